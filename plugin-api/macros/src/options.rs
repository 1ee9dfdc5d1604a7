//! The options of `#[plugin(…)]` and `#[command(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, Error, ExprRange, Ident, LitBool, LitInt, LitStr, Meta, Result, Token,
    meta::ParseNestedMeta,
    parse::{Parse, Parser},
    punctuated::Punctuated,
};

/// `#[plugin(…)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) probe: Option<LitStr>,
    pub(crate) reload: Option<LitStr>,
    pub(crate) state_version: Option<u32>,
    pub(crate) reads_state: Option<Versions>,
    pub(crate) store_version: Option<u32>,
    pub(crate) network: Option<Vec<LitStr>>,
    pub(crate) files: Option<Vec<LitStr>>,
    pub(crate) processes: Option<LitBool>,
    pub(crate) memory: Option<u32>,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.read(&meta)).parse2(tokens)?;
        let version = options.state_version.unwrap_or(1);
        if let Some(Versions { range, first, last }) = &options.reads_state
            && !(*first..=*last).contains(&version)
        {
            let text = format!("a plugin reads the state it writes: include {version}, its `state_version`");
            return Err(Error::new_spanned(range, text));
        }
        Ok(options)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("probe") {
            once(meta, &mut self.probe, value(meta, "probe = \"roll 1d20\"")?)
        } else if meta.path.is_ident("reload") {
            let mode: LitStr = value(meta, "reload = \"handoff\"")?;
            if !["overlap", "handoff", "exclusive"].contains(&mode.value().as_str()) {
                let text = "there is no such reload mode: write \"overlap\", \"handoff\" or \"exclusive\"";
                return Err(Error::new(mode.span(), text));
            }
            once(meta, &mut self.reload, mode)
        } else if meta.path.is_ident("state_version") {
            once(meta, &mut self.state_version, version(meta, "state_version = 2")?)
        } else if meta.path.is_ident("store_version") {
            once(meta, &mut self.store_version, version(meta, "store_version = 2")?)
        } else if meta.path.is_ident("reads_state") {
            once(meta, &mut self.reads_state, versions(value(meta, "reads_state = 1..=2")?)?)
        } else if meta.path.is_ident("network") {
            once(meta, &mut self.network, targets(meta)?)
        } else if meta.path.is_ident("files") {
            once(meta, &mut self.files, list(meta, "files(\"/usr/share/dict\")")?)
        } else if meta.path.is_ident("processes") {
            once(meta, &mut self.processes, value(meta, "processes = true")?)
        } else if meta.path.is_ident("memory") {
            once(meta, &mut self.memory, version(meta, "memory = 256")?)
        } else {
            Err(unknown(meta, PLUGIN))
        }
    }
}

/// The options of `#[plugin(…)]`.
const PLUGIN: &str = "`probe`, `reload`, `state_version`, `reads_state`, `store_version`, `network`, `files`, `processes` and \
                      `memory`";

/// `("api.example.org:443")`.
fn targets(meta: &ParseNestedMeta<'_>) -> Result<Vec<LitStr>> {
    const FORM: &str = "network(\"api.example.org:443\")";
    let targets = list(meta, FORM)?;
    let is_target = |text: &str| {
        let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains(char::is_whitespace));
        text == "*" || parts.is_some_and(|(_, port)| port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    match targets.iter().find(|target| !is_target(&target.value())) {
        Some(wrong) => Err(Error::new(wrong.span(), format!("write a host and a port: `{FORM}`"))),
        None => Ok(targets),
    }
}

/// `1..=2`, the versions of the state that `#[restore]` reads.
pub(crate) struct Versions {
    range: ExprRange,
    pub(crate) first: u32,
    pub(crate) last: u32,
}

/// What the author writes in `#[command(…)]`.
pub(crate) struct CommandOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) path: Option<LitStr>,
    pub(crate) requires: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    /// The variant of `plugin_api::manifest::Order`.
    pub(crate) order: Ident,
    pub(crate) cooldown_ms: u64,
    pub(crate) channel_cooldown_ms: u64,
    pub(crate) global_cooldown_ms: u64,
}

impl CommandOptions {
    pub(crate) fn parse(attribute: &Attribute) -> Result<Self> {
        let (mut name, mut aliases, mut path, mut requires) = (None::<LitStr>, None, None::<LitStr>, None);
        let (mut user, mut channel, mut global, mut order) = (None, None, None, None);
        if let Meta::NameValue(_) = attribute.meta {
            return Err(Error::new_spanned(attribute, "write options in parentheses: `#[command(name = \"roll\")]`"));
        }
        if let Meta::List(_) = attribute.meta {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    once(&meta, &mut name, value(&meta, "name = \"roll\"")?)
                } else if meta.path.is_ident("path") {
                    once(&meta, &mut path, value(&meta, PATH)?)
                } else if meta.path.is_ident("requires") {
                    once(&meta, &mut requires, role(&meta)?)
                } else if meta.path.is_ident("order") {
                    once(&meta, &mut order, order_of(&meta)?)
                } else if meta.path.is_ident("aliases") {
                    once(&meta, &mut aliases, list(&meta, ALIASES)?)
                } else if meta.path.is_ident("cooldown") {
                    once(&meta, &mut user, milliseconds(&value(&meta, "cooldown = \"1s\"")?)?)
                } else if meta.path.is_ident("channel_cooldown") {
                    once(&meta, &mut channel, milliseconds(&value(&meta, "channel_cooldown = \"5s\"")?)?)
                } else if meta.path.is_ident("global_cooldown") {
                    once(&meta, &mut global, milliseconds(&value(&meta, "global_cooldown = \"1s\"")?)?)
                } else {
                    Err(unknown(&meta, KNOWN))
                }
            })?;
        }
        if let (Some(_), Some(path)) = (&name, &path) {
            let text = "a path has the name in it: remove `name`, or write the name alone and remove `path`";
            return Err(Error::new(path.span(), text));
        }
        Ok(Self {
            name,
            path,
            requires,
            aliases: aliases.unwrap_or_default(),
            order: order.unwrap_or_else(|| Ident::new("User", Span::call_site())),
            cooldown_ms: user.unwrap_or(0),
            channel_cooldown_ms: channel.unwrap_or(0),
            global_cooldown_ms: global.unwrap_or(0),
        })
    }
}

/// The options of `#[command(…)]`.
const KNOWN: &str =
    "`name`, `path`, `aliases`, `requires`, `order`, `cooldown`, `channel_cooldown` and `global_cooldown`";

/// How to write a path.
const PATH: &str = "path = \"quotes search\"";

/// The command and the subcommand of a path.
pub(crate) fn words(path: &LitStr) -> Result<(String, String)> {
    let text = path.value();
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        [command, subcommand] => Ok((command.to_owned(), subcommand.to_owned())),
        [_] => {
            Err(Error::new(path.span(), format!("a path has two words: write `{PATH}`, or `name` for a command alone")))
        }
        _ => Err(Error::new(path.span(), format!("a path is a command and a subcommand: write `{PATH}`"))),
    }
}

/// `"viewer"`, `"operator"` or `"owner"`.
fn role(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    let role: LitStr = value(meta, "requires = \"operator\"")?;
    if ["viewer", "operator", "owner"].contains(&role.value().as_str()) {
        return Ok(role);
    }
    Err(Error::new(role.span(), "there is no such role: write \"viewer\", \"operator\" or \"owner\""))
}

/// `"user"`, `"channel"` or `"none"`, as the variant of `plugin_api::manifest::Order`.
fn order_of(meta: &ParseNestedMeta<'_>) -> Result<Ident> {
    let order: LitStr = value(meta, "order = \"channel\"")?;
    let variant = match order.value().as_str() {
        "user" => "User",
        "channel" => "Channel",
        "none" => "None",
        _ => return Err(Error::new(order.span(), "there is no such order: write \"user\", \"channel\" or \"none\"")),
    };
    Ok(Ident::new(variant, Span::call_site()))
}

/// Sets an option, which may be given once.
pub(crate) fn once<T>(meta: &ParseNestedMeta<'_>, option: &mut Option<T>, value: T) -> Result<()> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::new_spanned(&meta.path, "this option is given twice: remove one")),
    }
}

pub(crate) fn unknown(meta: &ParseNestedMeta<'_>, known: &str) -> Error {
    let verb = if known.contains(" and ") { "are" } else { "is" };
    Error::new_spanned(&meta.path, format!("there is no such option; there {verb} {known}"))
}

/// The value after the `=` of an option. `form` shows the author how to write it.
pub(crate) fn value<T: Parse>(meta: &ParseNestedMeta<'_>, form: &str) -> Result<T> {
    let text = format!("write `{form}`");
    let value = meta.value().map_err(|_| Error::new_spanned(&meta.path, &text))?;
    value.parse().map_err(|error| Error::new(error.span(), &text))
}

fn version(meta: &ParseNestedMeta<'_>, form: &str) -> Result<u32> {
    let version: LitInt = value(meta, form)?;
    version.base10_parse().map_err(|_| Error::new(version.span(), format!("write a smaller number: `{form}`")))
}

/// How to write further names.
pub(crate) const ALIASES: &str = "aliases(\"r\", \"d\")";

/// Texts in parentheses. `form` shows the author how to write them.
pub(crate) fn list(meta: &ParseNestedMeta<'_>, form: &str) -> Result<Vec<LitStr>> {
    let read = || {
        let inner;
        syn::parenthesized!(inner in meta.input);
        Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)
    };
    match read() {
        Ok(list) => Ok(list.into_iter().collect()),
        Err(error) => Err(Error::new(error.span(), format!("write `{form}`"))),
    }
}

fn versions(range: ExprRange) -> Result<Versions> {
    let number = |expr: &Option<Box<syn::Expr>>| match expr.as_deref() {
        Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(int), .. })) => int.base10_parse().ok(),
        _ => None,
    };
    match (number(&range.start), &range.limits, number(&range.end)) {
        (Some(first), syn::RangeLimits::Closed(_), Some(last)) if first <= last => Ok(Versions { range, first, last }),
        _ => Err(Error::new_spanned(range, "write the first and the last version: `reads_state = 1..=2`")),
    }
}

/// `"500ms"`, `"1s"`, `"2m"`.
fn milliseconds(text: &LitStr) -> Result<u64> {
    // The manifest has it as a `u32`.
    span_of(&text.value()).filter(|milliseconds| *milliseconds <= u32::MAX.into()).ok_or_else(|| {
        let form = "write a number with `ms`, `s`, `m`, `h` or `d`, of 49 days at most: `cooldown = \"1s\"`";
        Error::new(text.span(), form)
    })
}

/// The milliseconds of a text such as `1h30m`, as `plugin_api::args` reads it from users.
pub(crate) fn span_of(text: &str) -> Option<u64> {
    let (mut total, mut left) = (0u64, text);
    while !left.is_empty() {
        let digits = left.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = left.split_at(digits);
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(letters);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        total = number.parse::<u64>().ok()?.checked_mul(factor)?.checked_add(total)?;
        left = rest;
    }
    (!text.is_empty()).then_some(total)
}
