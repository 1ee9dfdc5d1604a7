//! What stands in the `impl` block: the commands and the hooks.

use crate::options::CommandOptions;
use proc_macro2::Span;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, Result, ReturnType, Type, spanned::Spanned,
};

/// The attributes that this macro understands on methods.
const HELPERS: [&str; 5] = ["command", "create", "snapshot", "restore", "shutdown"];

/// The block, read.
pub(crate) struct Block {
    /// As written, without the helper attributes.
    pub(crate) item: ItemImpl,
    pub(crate) commands: Vec<Command>,
    pub(crate) create: Option<Create>,
    pub(crate) snapshot: Option<Ident>,
    pub(crate) restore: Option<Ident>,
    pub(crate) shutdown: Option<Ident>,
}

/// One `#[command]`.
pub(crate) struct Command {
    pub(crate) method: Ident,
    pub(crate) name: String,
    pub(crate) name_span: Span,
    pub(crate) aliases: Vec<(String, Span)>,
    pub(crate) cooldown_ms: u64,
    pub(crate) docs: String,
    pub(crate) is_async: bool,
    pub(crate) parameters: Vec<Parameter>,
}

/// One parameter of a command.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) ty: Type,
    pub(crate) optional: bool,
}

/// The `#[create]` hook.
pub(crate) struct Create {
    pub(crate) method: Ident,
    pub(crate) settings: Option<Type>,
    pub(crate) fallible: bool,
}

impl Block {
    pub(crate) fn read(item: ItemImpl) -> Result<Self> {
        if let Some((_, path, _)) = &item.trait_ {
            return Err(Error::new(path.span(), "#[plugin] stands on `impl Name { … }`, not on a trait's"));
        }
        if !item.generics.params.is_empty() {
            return Err(Error::new(item.generics.span(), "a plugin has no generic parameters"));
        }
        let span = item.self_ty.span();
        let (mut commands, mut hooks) = (Vec::new(), Hooks::default());
        for method in item.items.iter().filter_map(as_method) {
            match helper(method)? {
                Some(attribute) if attribute.path().is_ident("command") => commands.push(command(method, attribute)?),
                Some(attribute) => hooks.read(method, attribute)?,
                None => {}
            }
        }
        if commands.is_empty() {
            return Err(Error::new(span, "a plugin has at least one `#[command]`"));
        }
        unique(&commands)?;
        let Hooks { create, snapshot, restore, shutdown } = hooks;
        Ok(Self { item: without_helpers(item), commands, create, snapshot, restore, shutdown })
    }
}

#[derive(Default)]
struct Hooks {
    create: Option<Create>,
    snapshot: Option<Ident>,
    restore: Option<Ident>,
    shutdown: Option<Ident>,
}

impl Hooks {
    fn read(&mut self, method: &ImplItemFn, attribute: &Attribute) -> Result<()> {
        let signature = &method.sig;
        if let Some(token) = signature.asyncness {
            return Err(Error::new(token.span(), "a hook is not `async`: nothing else runs meanwhile anyway"));
        }
        attribute.meta.require_path_only()?;
        let (slot, inputs) = if attribute.path().is_ident("create") {
            return self.read_create(method);
        } else if attribute.path().is_ident("snapshot") {
            (&mut self.snapshot, 1)
        } else if attribute.path().is_ident("restore") {
            (&mut self.restore, 3)
        } else {
            (&mut self.shutdown, 1)
        };
        needs_self(method)?;
        if signature.inputs.len() != inputs {
            let text = match inputs {
                3 => "this hook is `fn (&self, version: u32, state: &[u8]) -> Result<()>`",
                _ => "this hook takes `&self` and nothing else",
            };
            return Err(Error::new(signature.inputs.span(), text));
        }
        set_once(slot, signature.ident.clone(), signature.ident.span())
    }

    fn read_create(&mut self, method: &ImplItemFn) -> Result<()> {
        let signature = &method.sig;
        let settings = match signature.inputs.first() {
            Some(FnArg::Receiver(this)) => return Err(Error::new(this.span(), "`#[create]` makes the `self`")),
            Some(FnArg::Typed(settings)) => Some((*settings.ty).clone()),
            None => None,
        };
        if signature.inputs.len() > 1 {
            return Err(Error::new(signature.inputs.span(), "`#[create]` takes the settings and nothing else"));
        }
        let fallible =
            matches!(&signature.output, ReturnType::Type(_, ty) if last_ident(ty).is_some_and(|it| it == "Result"));
        let create = Create { method: signature.ident.clone(), settings, fallible };
        set_once(&mut self.create, create, signature.ident.span())
    }
}

fn set_once<T>(slot: &mut Option<T>, value: T, span: Span) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(span, "there is one such hook already")),
    }
}

fn command(method: &ImplItemFn, attribute: &Attribute) -> Result<Command> {
    let options = CommandOptions::parse(attribute)?;
    let signature = &method.sig;
    needs_self(method)?;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a command has no generic parameters"));
    }
    let mut inputs = signature.inputs.iter().skip(1);
    match inputs.next() {
        Some(FnArg::Typed(cx)) if matches!(&*cx.ty, Type::Reference(it) if it.mutability.is_none()) => {}
        Some(other) => return Err(Error::new(other.span(), "the parameter after `&self` is `cx: &Context`")),
        None => return Err(Error::new(signature.paren_token.span.join(), "after `&self` comes `cx: &Context`")),
    }
    let (name, name_span) = match options.name {
        Some(name) => (name.value(), name.span()),
        None => (plain(&signature.ident).replace('_', "-"), signature.ident.span()),
    };
    Ok(Command {
        method: signature.ident.clone(),
        name,
        name_span,
        aliases: options.aliases.iter().map(|alias| (alias.value(), alias.span())).collect(),
        cooldown_ms: options.cooldown_ms,
        docs: crate::usage::first_paragraph(&method.attrs),
        is_async: signature.asyncness.is_some(),
        parameters: inputs.map(parameter).collect::<Result<_>>()?,
    })
}

fn parameter(input: &FnArg) -> Result<Parameter> {
    let FnArg::Typed(typed) = input else {
        return Err(Error::new(input.span(), "`self` comes first"));
    };
    if let Type::Reference(reference) = &*typed.ty {
        return Err(Error::new(
            reference.span(),
            "an argument is owned: take a `String`, or `Rest` if it may be empty",
        ));
    }
    let name = match &*typed.pat {
        Pat::Ident(pattern) => plain(&pattern.ident),
        _ => "argument".to_owned(),
    };
    let optional = last_ident(&typed.ty).is_some_and(|ident| ident == "Option" || ident == "Rest");
    Ok(Parameter { name, span: typed.ty.span(), ty: (*typed.ty).clone(), optional })
}

/// Commands are found by name, so a name belongs to one.
fn unique(commands: &[Command]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for command in commands {
        let own = std::iter::once((&command.name, command.name_span));
        for (name, span) in own.chain(command.aliases.iter().map(|(name, span)| (name, *span))) {
            if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) || name.len() > 32 {
                return Err(Error::new(span, "a command's name is one word of at most 32 bytes"));
            }
            if !seen.insert(name.as_str()) {
                return Err(Error::new(span, format!("there is a command or alias {name:?} already")));
            }
        }
    }
    Ok(())
}

fn needs_self(method: &ImplItemFn) -> Result<()> {
    match method.sig.inputs.first() {
        Some(FnArg::Receiver(this)) if this.reference.is_some() && this.mutability.is_none() => Ok(()),
        Some(FnArg::Receiver(this)) => Err(Error::new(
            this.span(),
            "take `&self`: events are handled side by side, so keep what changes in a `Mutex`",
        )),
        _ => Err(Error::new(method.sig.ident.span(), "this takes `&self` first")),
    }
}

/// The one helper attribute of a method.
fn helper(method: &ImplItemFn) -> Result<Option<&Attribute>> {
    let mut helpers = method.attrs.iter().filter(|attribute| is_helper(attribute));
    let first = helpers.next();
    match helpers.next() {
        Some(second) => Err(Error::new(second.span(), "a method is one thing: a command or one hook")),
        None => Ok(first),
    }
}

fn is_helper(attribute: &Attribute) -> bool {
    HELPERS.iter().any(|helper| attribute.path().is_ident(helper))
}

fn as_method(item: &ImplItem) -> Option<&ImplItemFn> {
    match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    }
}

/// The block as rustc may read it.
pub(crate) fn without_helpers(mut item: ItemImpl) -> ItemImpl {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_helper(attribute));
        }
    }
    item
}

fn last_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// A name as people read it: `r#type` is `type`, `_unused` is `unused`.
fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.trim_start_matches("r#").trim_start_matches('_').to_owned()
}
