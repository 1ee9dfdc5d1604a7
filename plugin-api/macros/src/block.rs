//! The `impl` block: its commands, handlers and hooks.

use crate::{
    command::{self, Command},
    handler::{self, Handler},
};
use syn::{Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Result, ReturnType, Type, spanned::Spanned};

/// The attributes of methods that this macro understands, besides those of handlers.
const HELPERS: [&str; 6] = ["command", "create", "snapshot", "restore", "shutdown", "migrate"];

/// A parsed `impl` block.
pub(crate) struct Block {
    /// The block as written, without the helper attributes.
    pub(crate) item: ItemImpl,
    pub(crate) commands: Vec<Command>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) create: Option<Create>,
    pub(crate) snapshot: Option<Ident>,
    pub(crate) restore: Option<Ident>,
    pub(crate) shutdown: Option<Ident>,
    pub(crate) migrate: Option<Migrate>,
}

/// The `#[migrate]` hook.
pub(crate) struct Migrate {
    pub(crate) method: Ident,
    pub(crate) is_async: bool,
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
            return Err(Error::new_spanned(path, "`#[plugin]` belongs on `impl Name { … }`, without a trait"));
        }
        if !item.generics.params.is_empty() {
            return Err(Error::new_spanned(&item.generics, "a plugin cannot be generic: name the types"));
        }
        let (mut commands, mut handlers, mut hooks) = (Vec::new(), Vec::new(), Hooks::default());
        for method in item.items.iter().filter_map(as_method) {
            match helper(method)? {
                Some(attribute) if attribute.path().is_ident("command") => {
                    commands.push(command::read(method, attribute)?)
                }
                Some(attribute) if is_one_of(&handler::HELPERS, attribute) => {
                    handlers.push(handler::read(method, attribute)?);
                }
                Some(attribute) => hooks.read(method, attribute)?,
                None => {}
            }
        }
        if commands.is_empty() && handlers.is_empty() {
            let text =
                "a plugin has at least one command or handler: write `#[command]` or `#[on(message)]` above a method";
            return Err(Error::new_spanned(&item.self_ty, text));
        }
        command::unique(&commands)?;
        handler::unique(&handlers)?;
        let Hooks { create, snapshot, restore, shutdown, migrate } = hooks;
        Ok(Self { item: without_helpers(item), commands, handlers, create, snapshot, restore, shutdown, migrate })
    }
}

#[derive(Default)]
struct Hooks {
    create: Option<Create>,
    snapshot: Option<Ident>,
    restore: Option<Ident>,
    shutdown: Option<Ident>,
    migrate: Option<Migrate>,
}

impl Hooks {
    fn read(&mut self, method: &ImplItemFn, attribute: &Attribute) -> Result<()> {
        if attribute.path().is_ident("migrate") {
            return self.read_migrate(method, attribute);
        }
        let signature = &method.sig;
        if let Some(token) = signature.asyncness {
            return Err(Error::new(token.span(), "a hook is a plain `fn`: the host waits for it, so remove `async`"));
        }
        if attribute.meta.require_path_only().is_err() {
            return Err(Error::new_spanned(attribute, "a hook has no options: write the name alone"));
        }
        if attribute.path().is_ident("create") {
            return self.read_create(method);
        }
        let name = &signature.ident;
        let (hook, inputs, form) = if attribute.path().is_ident("snapshot") {
            (&mut self.snapshot, 1, format!("write `fn {name}(&self) -> Result<Vec<u8>>`"))
        } else if attribute.path().is_ident("restore") {
            (&mut self.restore, 3, format!("write `fn {name}(&self, version: u32, state: &[u8]) -> Result<()>`"))
        } else {
            (&mut self.shutdown, 1, format!("write `fn {name}(&self)`"))
        };
        let shutdown = attribute.path().is_ident("shutdown");
        let returns = shutdown || !matches!(signature.output, ReturnType::Default);
        if !takes_self(method)? || !returns || signature.inputs.len() != inputs {
            return Err(Error::new_spanned(signature, form));
        }
        set_once(hook, name.clone(), name)
    }

    fn read_migrate(&mut self, method: &ImplItemFn, attribute: &Attribute) -> Result<()> {
        let signature = &method.sig;
        let name = &signature.ident;
        if attribute.meta.require_path_only().is_err() {
            return Err(Error::new_spanned(attribute, "a hook has no options: write the name alone"));
        }
        if !takes_context(method)? || signature.inputs.len() != 3 {
            let form = format!("write `async fn {name}(&self, cx: &Context, from: u32) -> Result<()>`");
            return Err(Error::new_spanned(signature, form));
        }
        let migrate = Migrate { method: name.clone(), is_async: signature.asyncness.is_some() };
        set_once(&mut self.migrate, migrate, name)
    }

    fn read_create(&mut self, method: &ImplItemFn) -> Result<()> {
        let signature = &method.sig;
        let name = &signature.ident;
        let settings = match signature.inputs.first() {
            Some(FnArg::Typed(settings)) => Some((*settings.ty).clone()),
            _ => None,
        };
        let returned = match &signature.output {
            ReturnType::Type(_, ty) if signature.inputs.len() == usize::from(settings.is_some()) => ty,
            _ => {
                let form = format!("write `fn {name}() -> Self`, or `fn {name}(settings: Settings) -> Result<Self>`");
                return Err(Error::new_spanned(signature, form));
            }
        };
        let fallible = last_ident(returned).is_some_and(|it| it == "Result");
        set_once(&mut self.create, Create { method: name.clone(), settings, fallible }, name)
    }
}

fn set_once<T>(hook: &mut Option<T>, value: T, name: &Ident) -> Result<()> {
    match hook.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new(name.span(), "a plugin has this hook once: remove one of the two")),
    }
}

/// Whether a method takes `&self`.
///
/// # Errors
/// When it takes `&mut self`.
fn takes_self(method: &ImplItemFn) -> Result<bool> {
    match method.sig.inputs.first() {
        Some(FnArg::Receiver(this)) if this.mutability.is_some() => Err(Error::new_spanned(
            this,
            "take `&self`: events are handled side by side, so keep what changes in a `Mutex`",
        )),
        Some(FnArg::Receiver(this)) => Ok(this.reference.is_some()),
        _ => Ok(false),
    }
}

/// Whether a method takes `&self`, and then `cx: &Context`.
///
/// # Errors
/// As [`takes_self`].
pub(crate) fn takes_context(method: &ImplItemFn) -> Result<bool> {
    let is_context = |ty: &Type| matches!(ty, Type::Reference(it) if it.mutability.is_none());
    let second = method.sig.inputs.iter().nth(1);
    Ok(takes_self(method)? && matches!(second, Some(FnArg::Typed(cx)) if is_context(&cx.ty)))
}

/// The helper attribute of a method; a method may have one.
fn helper(method: &ImplItemFn) -> Result<Option<&Attribute>> {
    let mut helpers = method.attrs.iter().filter(|attribute| is_helper(attribute));
    let first = helpers.next();
    match helpers.next() {
        Some(second) => {
            Err(Error::new_spanned(second, "a method is one command, one handler or one hook: remove one attribute"))
        }
        None => Ok(first),
    }
}

fn is_helper(attribute: &Attribute) -> bool {
    is_one_of(&HELPERS, attribute) || is_one_of(&handler::HELPERS, attribute)
}

fn is_one_of(helpers: &[&str], attribute: &Attribute) -> bool {
    helpers.iter().any(|helper| attribute.path().is_ident(helper))
}

fn as_method(item: &ImplItem) -> Option<&ImplItemFn> {
    match item {
        ImplItem::Fn(method) => Some(method),
        _ => None,
    }
}

/// The block in the form that rustc reads.
pub(crate) fn without_helpers(mut item: ItemImpl) -> ItemImpl {
    for item in &mut item.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_helper(attribute));
        }
    }
    item
}

pub(crate) fn last_ident(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// A name without its Rust decoration: `r#type` is `type`, `_unused` is `unused`.
pub(crate) fn plain(ident: &Ident) -> String {
    let text = ident.to_string();
    text.trim_start_matches("r#").trim_start_matches('_').to_owned()
}
