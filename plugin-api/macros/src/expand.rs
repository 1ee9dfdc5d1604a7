//! Writes the implementation of `Plugin` and the exported symbol.

use crate::{
    block::{Block, Create},
    command::{Command, Group, groups},
    handler::Handler,
    options::Options,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Ident, LitBool, Result};

pub(crate) fn plugin(options: &Options, block: &Block) -> Result<TokenStream> {
    let this = &block.item.self_ty;
    check(options, block)?;
    let item = &block.item;
    let groups = groups(&block.commands);
    let manifest = manifest(options, block, &groups);
    let create = create(block);
    let find = find(&groups);
    let calls = calls(&groups);
    let hear = hear(block);
    let hooks = hooks(block);
    Ok(quote! {
        #item

        const _: () = {
            use ::plugin_api::__private as __api;

            #[automatically_derived]
            impl ::plugin_api::Plugin for #this {
                const MANIFEST: __api::Manifest = #manifest;
                #create
                #find
                #calls
                #hear
                #hooks
                fn slot() -> &'static __api::Slot<Self> {
                    static SLOT: __api::Slot<#this> = __api::Slot::new();
                    &SLOT
                }
            }

            // abi_stable defines this name; `plugin_api` checks that it has not changed.
            #[cfg(not(test))]
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT_MODULE: __api::LibHeader = __api::lib_header::<#this>();
        };
    })
}

/// Checks that need both the options and the block.
fn check(options: &Options, block: &Block) -> Result<()> {
    if let Some(probe) = &options.probe {
        let line = probe.value();
        let first = line.split_whitespace().next().unwrap_or_default();
        let is_known = groups(&block.commands).iter().any(|group| group.is_named(first));
        let hears = block.handlers.iter().any(|handler| handler.kind == "message");
        if !is_known && !hears {
            let text =
                format!("{first:?} is not a command of this plugin: write a line as a user types it, without the `!`");
            return Err(Error::new(probe.span(), text));
        }
    }
    if let Some(migrate) = block.migrate.as_ref().filter(|_| options.store_version.is_none()) {
        let text = "say to which version it brings the store: `#[plugin(store_version = 2)]`";
        return Err(Error::new(migrate.method.span(), text));
    }
    if let Some(reload) = options.reload.as_ref().filter(|reload| reload.value() == "handoff")
        && (block.snapshot.is_none() || block.restore.is_none())
    {
        return Err(Error::new(
            reload.span(),
            "a handoff moves state: add methods with `#[snapshot]` and `#[restore]`",
        ));
    }
    Ok(())
}

/// A command of the manifest, without subcommands or with them.
fn entry(name: &str, command: Option<&Command>, usage: &str, subcommands: &[TokenStream]) -> TokenStream {
    let Some(Command { requires, order, cooldown_ms, channel_cooldown_ms, global_cooldown_ms, aliases, .. }) = command
    else {
        return quote!(__api::Command { usage: #usage, subcommands: &[#(#subcommands),*], ..__api::Command::new(#name) });
    };
    let help = command.map(Command::help).unwrap_or_default();
    let aliases = aliases.iter().map(|(alias, _)| alias);
    quote! {
        __api::Command {
            name: #name,
            aliases: &[#(#aliases),*],
            usage: #usage,
            help: #help,
            cooldown_ms: #cooldown_ms,
            channel_cooldown_ms: #channel_cooldown_ms,
            global_cooldown_ms: #global_cooldown_ms,
            requires: #requires,
            order: __api::Order::#order,
            subcommands: &[#(#subcommands),*],
        }
    }
}

fn manifest(options: &Options, block: &Block, groups: &[Group<'_>]) -> TokenStream {
    let commands = groups.iter().map(|group| {
        let subcommands = group.subcommands.iter().map(|it| entry(&it.name, Some(it), &it.usage(), &[]));
        entry(group.name, group.own, &group.usage(), &subcommands.collect::<Vec<_>>())
    });
    let probe = match &options.probe {
        Some(probe) => quote!(::core::option::Option::Some(#probe)),
        None => quote!(::core::option::Option::None),
    };
    let reload = match options.reload.as_ref().map(syn::LitStr::value).as_deref() {
        Some("handoff") => quote!(Handoff),
        Some("exclusive") => quote!(Exclusive),
        _ => quote!(Overlap),
    };
    let subscriptions = block.handlers.iter().map(|handler| {
        let Handler { kind, pattern, cron, zone, .. } = handler;
        quote!(__api::Subscription { kind: #kind, pattern: #pattern, cron: #cron, zone: #zone })
    });
    let settings = block
        .create
        .as_ref()
        .and_then(|create| create.settings.as_ref())
        .map(|ty| quote!(settings: { use __api::NoSchema as _; __api::SchemaOf::<#ty>::SCHEMA }));
    let settings = settings.unwrap_or_else(|| quote!(settings: &[]));
    let (store_version, migrates) = (options.store_version.unwrap_or(0), block.migrate.is_some());
    let wishes = wishes(options);
    let version = options.state_version.unwrap_or(1);
    let (first, last) = options.reads_state.as_ref().map_or((version, version), |it| (it.first, it.last));
    quote! {
        __api::Manifest {
            name: ::core::env!("CARGO_PKG_NAME"),
            version: ::core::env!("CARGO_PKG_VERSION"),
            api: __api::API_VERSION,
            description: ::core::env!("CARGO_PKG_DESCRIPTION"),
            commands: &[#(#commands),*],
            probe: #probe,
            reload: __api::Reload::#reload,
            state_version: #version,
            reads_state: [#first, #last],
            subscriptions: &[#(#subscriptions),*],
            store_version: #store_version,
            migrates: #migrates,
            #settings,
            wishes: #wishes,
        }
    }
}

fn wishes(options: &Options) -> TokenStream {
    let (network, files) = (options.network.iter().flatten(), options.files.iter().flatten());
    let processes = options.processes.as_ref().is_some_and(LitBool::value);
    let memory = u64::from(options.memory.unwrap_or(0));
    quote!(__api::Wishes { network: &[#(#network),*], files: &[#(#files),*], processes: #processes, memory: #memory })
}

/// The two functions that read the settings: one creates the plugin from them, the other only checks them.
fn create(block: &Block) -> TokenStream {
    let settings = block.create.as_ref().and_then(|create| create.settings.as_ref());
    let settings = settings.map(|ty| {
        let span = located(syn::spanned::Spanned::span(ty));
        quote_spanned!(span=> __api::settings::<#ty>(settings)?)
    });
    let body = match &block.create {
        Some(Create { method, fallible, .. }) => {
            let made = quote!(Self::#method(#settings));
            if *fallible {
                quote!(#made.map_err(::core::convert::Into::into))
            } else {
                quote!(::core::result::Result::Ok(#made))
            }
        }
        None => {
            let this = &block.item.self_ty;
            let span = located(syn::spanned::Spanned::span(&**this));
            quote_spanned! {span=>
                ::core::result::Result::Ok(<#this as ::core::default::Default>::default())
            }
        }
    };
    let check = settings.as_ref().map(|settings| {
        quote! {
            fn check_settings(settings: &[::core::primitive::u8]) -> ::plugin_api::Result<()> {
                let _ = #settings;
                ::core::result::Result::Ok(())
            }
        }
    });
    quote! {
        fn create(settings: &[::core::primitive::u8]) -> ::plugin_api::Result<Self> {
            let _ = settings;
            #body
        }
        #check
    }
}

fn find(groups: &[Group<'_>]) -> TokenStream {
    let arms = groups.iter().enumerate().map(|(index, group)| {
        let name = group.name;
        let aliases = group.own.into_iter().flat_map(|own| &own.aliases).map(|(alias, _)| alias);
        quote!(#name #(| #aliases)* => ::core::option::Option::Some(#index),)
    });
    quote! {
        fn find(command: &::core::primitive::str) -> ::core::option::Option<usize> {
            match command {
                #(#arms)*
                _ => ::core::option::Option::None,
            }
        }
    }
}

/// The functions that call commands and subcommands. A plugin without subcommands keeps the trait's default.
fn calls(groups: &[Group<'_>]) -> TokenStream {
    let commands = groups.iter().enumerate().map(|(index, group)| match group.own {
        Some(command) => call(&quote!(#index), command),
        None => quote!(#index => ::core::result::Result::Err(__api::ArgError::Subcommand),),
    });
    let subcommands: Vec<_> = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| group.subcommands.iter().enumerate().map(move |(at, it)| (index, at, *it)))
        .map(|(index, at, command)| call(&quote!((#index, #at)), command))
        .collect();
    let subcommands = (!subcommands.is_empty()).then(|| {
        quote! {
            fn call_subcommand(
                &self,
                command: usize,
                subcommand: usize,
                cx: ::plugin_api::Context,
            ) -> ::core::result::Result<::plugin_api::Handling<'_>, __api::ArgError> {
                match (command, subcommand) {
                    #(#subcommands)*
                    _ => ::core::unreachable!("the manifest has only these"),
                }
            }
        }
    });
    quote! {
        fn call(
            &self,
            command: usize,
            cx: ::plugin_api::Context,
        ) -> ::core::result::Result<::plugin_api::Handling<'_>, __api::ArgError> {
            match command {
                #(#commands)*
                _ => ::core::unreachable!("`find` knows only these"),
            }
        }
        #subcommands
    }
}

/// The arm that reads the arguments of a command and calls it.
fn call(pattern: &TokenStream, command: &Command) -> TokenStream {
    let span = located(command.method.span());
    let method = &command.method;
    let names: Vec<_> =
        (0..command.parameters.len()).map(|i| Ident::new(&format!("arg{i}"), Span::call_site())).collect();
    let last = names.len().saturating_sub(1);
    let reads = command.parameters.iter().zip(&names).enumerate().map(|(i, (parameter, name))| {
        let (ty, text) = (&parameter.ty, &parameter.name);
        let take = if i == last { quote!(last) } else { quote!(word) };
        quote_spanned!(located(parameter.span)=> let #name = args.#take::<#ty, _>(#text)?;)
    });
    let args = match names.len() {
        0 => quote!(),
        1 => quote!(let args = __api::Args::new(cx.args());),
        _ => quote!(let mut args = __api::Args::new(cx.args());),
    };
    let handling = handling(span, command.is_async, &quote_spanned!(span=> self.#method(&cx, #(#names),*)));
    quote! {
        #pattern => {
            #args
            #(#reads)*
            ::core::result::Result::Ok(#handling)
        }
    }
}

/// The arms that pass an event to its handler. A plugin with commands alone keeps the trait's default.
fn hear(block: &Block) -> Option<TokenStream> {
    if block.handlers.is_empty() {
        return None;
    }
    let arms = block.handlers.iter().enumerate().map(|(index, handler)| {
        let method = &handler.method;
        let span = located(method.span());
        let ty = Ident::new(handler.event, Span::call_site());
        let event = handler.takes_event.then(|| quote_spanned!(span=> , &event));
        let handling = handling(span, handler.is_async, &quote_spanned!(span=> self.#method(&cx #event)));
        quote! {
            #index => {
                let event = <::plugin_api::event::#ty as __api::FromBody>::from_body(body)?;
                let _ = &event;
                #handling
            }
        }
    });
    Some(quote! {
        fn hear(
            &self,
            handler: usize,
            cx: ::plugin_api::Context,
            body: &__api::Body<'_>,
        ) -> ::core::option::Option<::plugin_api::Handling<'_>> {
            ::core::option::Option::Some(match handler {
                #(#arms)*
                _ => return ::core::option::Option::None,
            })
        }
    })
}

/// Calls a handler, and combines its result with its reads and changes.
fn handling(span: Span, is_async: bool, call: &TokenStream) -> TokenStream {
    if is_async {
        quote_spanned! {span=>
            ::plugin_api::Handling::future(async move {
                let result = __api::IntoReply::into_reply(#call.await);
                cx.finish(result)
            })
        }
    } else {
        quote_spanned! {span=>
            {
                let result = __api::IntoReply::into_reply(#call);
                ::plugin_api::Handling::Done(cx.finish(result))
            }
        }
    }
}

fn hooks(block: &Block) -> TokenStream {
    let snapshot = block.snapshot.as_ref().map(|method| {
        quote_spanned! {located(method.span())=>
            fn snapshot(&self) -> ::plugin_api::Result<::std::vec::Vec<::core::primitive::u8>> {
                self.#method().map_err(::core::convert::Into::into)
            }
        }
    });
    let restore = block.restore.as_ref().map(|method| {
        quote_spanned! {located(method.span())=>
            fn restore(
                &self,
                version: ::core::primitive::u32,
                state: &[::core::primitive::u8],
            ) -> ::plugin_api::Result<()> {
                self.#method(version, state).map_err(::core::convert::Into::into)
            }
        }
    });
    let shutdown = block.shutdown.as_ref().map(|method| {
        quote_spanned! {located(method.span())=>
            fn shutdown(&self) {
                self.#method();
            }
        }
    });
    let migrate = block.migrate.as_ref().map(|migrate| {
        let method = &migrate.method;
        let span = located(method.span());
        let handling = handling(span, migrate.is_async, &quote_spanned!(span=> self.#method(&cx, from)));
        quote! {
            fn migrate(
                &self,
                cx: ::plugin_api::Context,
                from: ::core::primitive::u32,
            ) -> ::plugin_api::Handling<'_> {
                #handling
            }
        }
    });
    quote!(#snapshot #restore #shutdown #migrate)
}

/// A span that errors point at, but whose lints are the macro's and not the author's.
fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}
