//! What stands in `#[plugin(…)]` and `#[command(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, Error, ExprRange, LitInt, LitStr, Meta, Result, Token, meta::ParseNestedMeta, parse::Parser,
    punctuated::Punctuated, spanned::Spanned,
};

/// `#[plugin(…)]`.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) probe: Option<LitStr>,
    pub(crate) reload: Option<LitStr>,
    pub(crate) state_version: Option<u32>,
    pub(crate) reads_state: Option<[u32; 2]>,
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let mut options = Self::default();
        syn::meta::parser(|meta| options.read(&meta)).parse2(tokens)?;
        let version = options.state_version.unwrap_or(1);
        if let Some([first, last]) = options.reads_state
            && !(first..=last).contains(&version)
        {
            let text = format!("a plugin reads the state it writes: `reads_state` has to contain {version}");
            return Err(Error::new(Span::call_site(), text));
        }
        Ok(options)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("probe") {
            once(meta, &mut self.probe, meta.value()?.parse()?)
        } else if meta.path.is_ident("reload") {
            let mode: LitStr = meta.value()?.parse()?;
            if !["overlap", "handoff", "exclusive"].contains(&mode.value().as_str()) {
                return Err(Error::new(mode.span(), "a reload is \"overlap\", \"handoff\" or \"exclusive\""));
            }
            once(meta, &mut self.reload, mode)
        } else if meta.path.is_ident("state_version") {
            let version: LitInt = meta.value()?.parse()?;
            once(meta, &mut self.state_version, version.base10_parse()?)
        } else if meta.path.is_ident("reads_state") {
            let range: ExprRange = meta.value()?.parse()?;
            once(meta, &mut self.reads_state, versions(&range)?)
        } else {
            Err(meta.error("unknown option; there are `probe`, `reload`, `state_version` and `reads_state`"))
        }
    }
}

/// `#[command(…)]`.
pub(crate) struct CommandOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) cooldown_ms: u64,
}

impl CommandOptions {
    pub(crate) fn parse(attribute: &Attribute) -> Result<Self> {
        let (mut name, mut aliases, mut cooldown) = (None, None, None);
        if !matches!(attribute.meta, Meta::Path(_)) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    once(&meta, &mut name, meta.value()?.parse()?)
                } else if meta.path.is_ident("aliases") {
                    let inner;
                    syn::parenthesized!(inner in meta.input);
                    let list = Punctuated::<LitStr, Token![,]>::parse_terminated(&inner)?;
                    once(&meta, &mut aliases, list.into_iter().collect())
                } else if meta.path.is_ident("cooldown") {
                    once(&meta, &mut cooldown, milliseconds(&meta.value()?.parse()?)?)
                } else {
                    Err(meta.error("unknown option; there are `name`, `aliases` and `cooldown`"))
                }
            })?;
        }
        Ok(Self { name, aliases: aliases.unwrap_or_default(), cooldown_ms: cooldown.unwrap_or(0) })
    }
}

/// Sets an option that may stand there once.
fn once<T>(meta: &ParseNestedMeta<'_>, option: &mut Option<T>, value: T) -> Result<()> {
    match option.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("given twice")),
    }
}

/// `1..=2`.
fn versions(range: &ExprRange) -> Result<[u32; 2]> {
    let number = |expr: &Option<Box<syn::Expr>>| match expr.as_deref() {
        Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(int), .. })) => int.base10_parse().ok(),
        _ => None,
    };
    match (number(&range.start), &range.limits, number(&range.end)) {
        (Some(first), syn::RangeLimits::Closed(_), Some(last)) if first <= last => Ok([first, last]),
        _ => Err(Error::new(range.span(), "write the first and the last version: `1..=2`")),
    }
}

/// `"500ms"`, `"1s"`, `"2m"`.
fn milliseconds(text: &LitStr) -> Result<u64> {
    let value = text.value();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let factor = match &value[digits..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        _ => None,
    };
    let number = value[..digits].parse::<u64>().ok();
    number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .ok_or_else(|| Error::new(text.span(), "write a number with `ms`, `s` or `m`: \"500ms\", \"1s\""))
}
