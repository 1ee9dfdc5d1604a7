//! Writes the implementation of `Plugin` and the exported symbol.

use crate::{
    block::{Block, Command, Create},
    options::Options,
    usage,
};
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Ident, Result};

pub(crate) fn plugin(options: &Options, block: &Block) -> Result<TokenStream> {
    let this = &block.item.self_ty;
    check(options, block)?;
    let item = &block.item;
    let manifest = manifest(options, block);
    let create = create(block);
    let find = find(block);
    let calls = block.commands.iter().enumerate().map(|(index, command)| call(index, command));
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
                fn call(
                    &self,
                    command: usize,
                    cx: ::plugin_api::Context,
                ) -> ::core::result::Result<::plugin_api::Handling<'_>, __api::ArgError> {
                    match command {
                        #(#calls)*
                        _ => ::core::unreachable!("`find` knows only these"),
                    }
                }
                #hooks
                fn slot() -> &'static __api::Slot<Self> {
                    static SLOT: __api::Slot<#this> = __api::Slot::new();
                    &SLOT
                }
            }

            // The name is abi_stable's; `plugin_api` checks that it still is.
            #[cfg(not(test))]
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static ROOT_MODULE: __api::LibHeader = __api::lib_header::<#this>();
        };
    })
}

/// What can only be checked with both the options and the block at hand.
fn check(options: &Options, block: &Block) -> Result<()> {
    if let Some(probe) = &options.probe {
        let line = probe.value();
        let first = line.split_whitespace().next().unwrap_or_default();
        let known =
            |command: &Command| command.name == first || command.aliases.iter().any(|(alias, _)| alias == first);
        if !block.commands.iter().any(known) {
            let text = format!("the probe calls {first:?}, which is no command of this plugin (it has no prefix)");
            return Err(Error::new(probe.span(), text));
        }
    }
    if let Some(reload) = options.reload.as_ref().filter(|reload| reload.value() == "handoff")
        && (block.snapshot.is_none() || block.restore.is_none())
    {
        return Err(Error::new(reload.span(), "a handoff needs `#[snapshot]` and `#[restore]`"));
    }
    Ok(())
}

fn manifest(options: &Options, block: &Block) -> TokenStream {
    let commands = block.commands.iter().map(|command| {
        let Command { name, cooldown_ms, docs, .. } = command;
        let aliases = command.aliases.iter().map(|(alias, _)| alias);
        let parameters: Vec<_> = command.parameters.iter().map(|it| (it.name.clone(), it.optional)).collect();
        let usage = usage::usage(docs, name, &parameters);
        let help = usage::help(docs);
        quote! {
            __api::Command {
                name: #name,
                aliases: &[#(#aliases),*],
                usage: #usage,
                help: #help,
                cooldown_ms: #cooldown_ms,
            }
        }
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
    let version = options.state_version.unwrap_or(1);
    let [first, last] = options.reads_state.unwrap_or([version, version]);
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
        }
    }
}

fn create(block: &Block) -> TokenStream {
    let body = match &block.create {
        Some(Create { method, settings, fallible }) => {
            let settings = settings.as_ref().map(|ty| {
                let span = located(syn::spanned::Spanned::span(ty));
                quote_spanned!(span=> __api::settings::<#ty>(settings)?)
            });
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
    quote! {
        fn create(settings: &[::core::primitive::u8]) -> ::plugin_api::Result<Self> {
            let _ = settings;
            #body
        }
    }
}

fn find(block: &Block) -> TokenStream {
    let arms = block.commands.iter().enumerate().map(|(index, command)| {
        let name = &command.name;
        let aliases = command.aliases.iter().map(|(alias, _)| alias);
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

/// The arm that reads the arguments of a command and calls it.
fn call(index: usize, command: &Command) -> TokenStream {
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
    let handling = if command.is_async {
        quote_spanned! {span=>
            ::plugin_api::Handling::future(async move {
                __api::IntoReply::into_reply(self.#method(&cx, #(#names),*).await)
            })
        }
    } else {
        quote_spanned! {span=>
            ::plugin_api::Handling::Done(__api::IntoReply::into_reply(self.#method(&cx, #(#names),*)))
        }
    };
    quote! {
        #index => {
            #args
            #(#reads)*
            ::core::result::Result::Ok(#handling)
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
    quote!(#snapshot #restore #shutdown)
}

/// A span that errors point at, but whose lints are the macro's and not the author's.
fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}
