//! The methods that handle events other than commands: `#[on(…)]`, `#[timer]`, `#[every(…)]`, `#[start]`.

use crate::{
    block::{plain, takes_context},
    options::{once, unknown, value},
};
use syn::{
    Attribute, Error, FnArg, Ident, ImplItemFn, LitStr, Meta, Result, Token, Type,
    meta::ParseNestedMeta,
    parse::{ParseStream, Parser},
};

/// The attributes of these methods.
pub(crate) const HELPERS: [&str; 4] = ["on", "timer", "every", "start"];

/// A parsed method with one of these attributes.
pub(crate) struct Handler {
    pub(crate) method: Ident,
    /// The kind's name in the manifest.
    pub(crate) kind: &'static str,
    /// The type of its event in `plugin_api::event`.
    pub(crate) event: &'static str,
    pub(crate) pattern: String,
    pub(crate) cron: String,
    pub(crate) zone: String,
    pub(crate) is_async: bool,
    /// Whether the method takes the event in addition to the context.
    pub(crate) takes_event: bool,
}

/// The content of an attribute.
struct Subscription {
    kind: &'static str,
    event: &'static str,
    pattern: String,
    cron: String,
    zone: String,
}

impl Subscription {
    fn new(kind: &'static str, event: &'static str, pattern: String) -> Self {
        Self { kind, event, pattern, cron: String::new(), zone: String::new() }
    }
}

/// The kinds of `#[on(…)]`, with the types of their events.
const KINDS: [(&str, &str); 6] = [
    ("message", "Message"),
    ("join", "Join"),
    ("part", "Part"),
    ("nick", "Nick"),
    ("topic", "Topic"),
    ("signal", "Signal"),
];

pub(crate) fn read(method: &ImplItemFn, attribute: &Attribute) -> Result<Handler> {
    let signature = &method.sig;
    let Subscription { kind, event, pattern, cron, zone } = if attribute.path().is_ident("on") {
        on(attribute)?
    } else if attribute.path().is_ident("timer") {
        Subscription::new("timer", "Timer", timer(attribute)?)
    } else if attribute.path().is_ident("every") {
        every(attribute, plain(&signature.ident).replace('_', "-"))?
    } else {
        let text = "`#[start]` has no options: write the name alone";
        attribute.meta.require_path_only().map_err(|_| Error::new_spanned(attribute, text))?;
        Subscription::new("start", "Start", String::new())
    };
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a handler cannot be generic: name the types"));
    }
    let takes_event = match signature.inputs.len() {
        2 => false,
        3 => matches!(&signature.inputs[2], FnArg::Typed(it) if shared(&it.ty)),
        _ => true,
    };
    if !takes_context(method)? || signature.inputs.len() != 2 + usize::from(takes_event) {
        let text =
            format!("write `fn {}(&self, cx: &Context, event: &{event})`, or leave out `event`", signature.ident);
        return Err(Error::new_spanned(signature, text));
    }
    let (method, is_async) = (signature.ident.clone(), signature.asyncness.is_some());
    Ok(Handler { method, kind, event, pattern, cron, zone, is_async, takes_event })
}

/// The host fires timers by name, so each name belongs to one handler.
pub(crate) fn unique(handlers: &[Handler]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for timer in handlers.iter().filter(|handler| handler.kind == "timer") {
        if !seen.insert(timer.pattern.as_str()) {
            let text = match timer.pattern.as_str() {
                "*" => "another method has `#[timer]` without a name: give one of the two a name".to_owned(),
                name => format!("another method handles the timer {name:?}: choose another name"),
            };
            return Err(Error::new(timer.method.span(), text));
        }
    }
    Ok(())
}

fn shared(ty: &Type) -> bool {
    matches!(ty, Type::Reference(it) if it.mutability.is_none())
}

/// `#[on(message, regex = "…")]`.
fn on(attribute: &Attribute) -> Result<Subscription> {
    let form = "write what to hear: `#[on(message)]`, or `join`, `part`, `nick`, `topic`, `signal`";
    let Meta::List(list) = &attribute.meta else {
        return Err(Error::new_spanned(attribute, form));
    };
    let parser = |input: ParseStream<'_>| {
        let name: Ident = input.parse().map_err(|error| Error::new(error.span(), form))?;
        let (mut regex, mut topic) = (None::<LitStr>, None::<LitStr>);
        options(input, |meta| {
            if name == "message" && meta.path.is_ident("regex") {
                once(meta, &mut regex, filled(meta, "regex = \"https?://\"")?)
            } else if name == "signal" && meta.path.is_ident("topic") {
                once(meta, &mut topic, filled(meta, "topic = \"build-done\"")?)
            } else if name == "message" {
                Err(unknown(meta, "`regex`"))
            } else if name == "signal" {
                Err(unknown(meta, "`topic`"))
            } else {
                Err(Error::new_spanned(&meta.path, format!("`{name}` has no options: write `#[on({name})]`")))
            }
        })?;
        let Some((kind, event)) = KINDS.into_iter().find(|(kind, _)| name == kind) else {
            return Err(Error::new(name.span(), elsewhere(&name)));
        };
        if kind == "signal" && topic.is_none() {
            return Err(Error::new(name.span(), "write which signals: `#[on(signal, topic = \"build-done\")]`"));
        }
        let pattern = regex.or(topic).map(|text| text.value()).unwrap_or_default();
        Ok(Subscription::new(kind, event, pattern))
    };
    parser.parse2(list.tokens.clone())
}

/// What to write for a kind that `#[on(…)]` does not have.
fn elsewhere(name: &Ident) -> String {
    match name.to_string().as_str() {
        "command" => "write `#[command]` above a method for one command".to_owned(),
        "timer" => {
            "write `#[timer]` for timers that handlers set, and `#[every(\"0 9 * * *\")]` for one of its own".into()
        }
        "start" => "write `#[start]`".to_owned(),
        _ => "there is no such kind of event; there are `message`, `join`, `part`, `nick`, `topic` and `signal`".into(),
    }
}

/// `#[timer]`, `#[timer("tea")]`.
fn timer(attribute: &Attribute) -> Result<String> {
    let form = "write `#[timer]`, or `#[timer(\"tea\")]` for timers of one name";
    match &attribute.meta {
        Meta::Path(_) => Ok("*".to_owned()),
        Meta::List(list) => {
            let name: LitStr = syn::parse2(list.tokens.clone()).map_err(|error| Error::new(error.span(), form))?;
            if name.value().is_empty() || name.value() == "*" {
                return Err(Error::new(name.span(), form));
            }
            Ok(name.value())
        }
        Meta::NameValue(_) => Err(Error::new_spanned(attribute, form)),
    }
}

/// `#[every("0 9 * * 1-5", tz = "Europe/Berlin")]`.
fn every(attribute: &Attribute, name: String) -> Result<Subscription> {
    let form = "write when: `#[every(\"0 9 * * 1-5\", tz = \"Europe/Berlin\")]`";
    let Meta::List(list) = &attribute.meta else {
        return Err(Error::new_spanned(attribute, form));
    };
    let parser = |input: ParseStream<'_>| {
        let cron: LitStr = input.parse().map_err(|error| Error::new(error.span(), form))?;
        if cron.value().split_whitespace().count() != 5 {
            let text = "write five fields: minute, hour, day of the month, month, day of the week (`\"0 9 * * 1-5\"`)";
            return Err(Error::new(cron.span(), text));
        }
        let mut zone = None::<LitStr>;
        options(input, |meta| {
            if meta.path.is_ident("tz") {
                once(meta, &mut zone, filled(meta, "tz = \"Europe/Berlin\"")?)
            } else {
                Err(unknown(meta, "`tz`"))
            }
        })?;
        let zone = zone.map(|zone| zone.value()).unwrap_or_default();
        Ok(Subscription { cron: cron.value(), zone, ..Subscription::new("timer", "Timer", name.clone()) })
    };
    parser.parse2(list.tokens.clone())
}

/// The options after the first word of an attribute: `, name = "value"`.
fn options(input: ParseStream<'_>, read: impl FnMut(&ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    let mut read = read;
    if !input.is_empty() {
        input.parse::<Token![,]>()?;
    }
    syn::meta::parser(|meta| read(&meta)).parse2(input.parse()?)
}

/// A text that is not empty.
fn filled(meta: &ParseNestedMeta<'_>, form: &str) -> Result<LitStr> {
    let text: LitStr = value(meta, form)?;
    if text.value().is_empty() {
        return Err(Error::new(text.span(), format!("it is empty: write `{form}`")));
    }
    Ok(text)
}
