//! `#[derive(Settings)]`.

use crate::{
    block::last_ident,
    options::{once, span_of, unknown, value},
    usage,
};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, ExprLit, ExprRange, Field, Fields, GenericArgument, Ident, Lit, LitStr,
    Meta, PathArguments, RangeLimits, Result, Token, Type,
};

/// One field of the struct.
struct Setting<'a> {
    field: &'a Ident,
    ty: &'a Type,
    name: String,
    docs: String,
    unit: String,
    default: Option<Default>,
    range: Option<Range>,
    /// `T` of an `Option<T>`.
    inner: Option<&'a Type>,
}

/// The value of a setting that the operator does not set.
struct Default {
    value: TokenStream,
    /// As the operator would write it, as far as the macro can tell.
    shown: String,
}

/// The values that a setting may have.
struct Range {
    tokens: TokenStream,
    /// `1 to 100`, `at least 1`.
    shown: String,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            _ => return Err(Error::new(input.ident.span(), "settings have names: write a struct with named fields")),
        },
        _ => return Err(Error::new(input.ident.span(), "settings are a struct, with a field for each setting")),
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "settings cannot be generic: name the types"));
    }
    let settings = fields.iter().map(read).collect::<Result<Vec<_>>>()?;
    let this = &input.ident;
    let (schema, raw) = (settings.iter().map(schema), settings.iter().enumerate().map(raw));
    let readers = settings.iter().enumerate().map(|(at, setting)| functions(at, setting));
    let names = settings.iter().map(|setting| setting.field);
    Ok(quote! {
        const _: () = {
            use ::plugin_api::__private as __api;

            #(#readers)*

            #[derive(__api::serde::Deserialize)]
            #[serde(crate = "::plugin_api::__private::serde", deny_unknown_fields)]
            struct __Raw {
                #(#raw,)*
            }

            #[automatically_derived]
            impl<'de> __api::serde::Deserialize<'de> for #this {
                fn deserialize<D>(deserializer: D) -> ::core::result::Result<Self, D::Error>
                where
                    D: __api::serde::Deserializer<'de>,
                {
                    let raw = <__Raw as __api::serde::Deserialize<'de>>::deserialize(deserializer)?;
                    ::core::result::Result::Ok(Self { #(#names: raw.#names),* })
                }
            }

            #[automatically_derived]
            impl ::plugin_api::Settings for #this {
                const SCHEMA: &'static [::plugin_api::manifest::Setting] = {
                    use __api::NotSecret as _;
                    &[#(#schema),*]
                };
            }
        };
    })
}

fn schema(setting: &Setting<'_>) -> TokenStream {
    let Setting { name, docs, unit, ty, .. } = setting;
    let default = setting.default.as_ref().map(|default| default.shown.as_str()).unwrap_or_default();
    let range = setting.range.as_ref().map(|range| range.shown.as_str()).unwrap_or_default();
    let kind = kind(setting.inner.unwrap_or(ty));
    let required = setting.inner.is_none() && setting.default.is_none();
    quote! {
        ::plugin_api::manifest::Setting {
            name: #name,
            help: #docs,
            kind: #kind,
            unit: #unit,
            range: #range,
            default: if __api::IsSecret::<#ty>::SECRET { "" } else { #default },
            required: #required,
            secret: __api::IsSecret::<#ty>::SECRET,
        }
    }
}

/// The field as serde reads it.
fn raw((at, setting): (usize, &Setting<'_>)) -> TokenStream {
    let Setting { field, ty, name, .. } = setting;
    let default = match (&setting.default, setting.inner) {
        (Some(_), _) => {
            let function = format!("__default_{at}");
            quote!(#[serde(default = #function)])
        }
        (None, Some(_)) => quote!(#[serde(default)]),
        (None, None) => quote!(),
    };
    let reader = setting.has_reader().then(|| {
        let function = format!("__read_{at}");
        quote!(#[serde(deserialize_with = #function)])
    });
    quote!(#[serde(rename = #name)] #default #reader #field: #ty)
}

/// The functions that make the default of a field, and read and check its value.
fn functions(at: usize, setting: &Setting<'_>) -> TokenStream {
    let ty = setting.ty;
    let default = setting.default.as_ref().map(|default| {
        let (function, value) = (ident("default", at), &default.value);
        quote! {
            fn #function() -> #ty {
                #value
            }
        }
    });
    let reader = setting.has_reader().then(|| {
        let (function, inner) = (ident("read", at), setting.inner.unwrap_or(ty));
        let read = if is_duration(inner) {
            quote!(__api::duration(deserializer)?)
        } else {
            quote!(<#inner as __api::serde::Deserialize<'de>>::deserialize(deserializer)?)
        };
        let check = setting.range.as_ref().map(|Range { tokens, shown }| {
            let text = format!("needs {shown} {}", setting.unit);
            let text = text.trim_end();
            quote! {
                if !(#tokens).contains(&value) {
                    return ::core::result::Result::Err(<D::Error as __api::serde::de::Error>::custom(#text));
                }
            }
        });
        let done = if setting.inner.is_some() { quote!(::core::option::Option::Some(value)) } else { quote!(value) };
        quote! {
            fn #function<'de, D>(deserializer: D) -> ::core::result::Result<#ty, D::Error>
            where
                D: __api::serde::Deserializer<'de>,
            {
                let value: #inner = #read;
                #check
                ::core::result::Result::Ok(#done)
            }
        }
    });
    quote!(#default #reader)
}

impl Setting<'_> {
    fn has_reader(&self) -> bool {
        self.range.is_some() || is_duration(self.inner.unwrap_or(self.ty))
    }
}

fn read(field: &Field) -> Result<Setting<'_>> {
    let ident = field.ident.as_ref().expect("the fields have names");
    let inner = option(&field.ty);
    let is_duration = is_duration(inner.unwrap_or(&field.ty));
    let (mut default, mut range, mut unit, mut name) = (None, None, None::<LitStr>, None::<LitStr>);
    for attribute in field.attrs.iter().filter(|it| it.path().is_ident("setting") || it.path().is_ident("serde")) {
        refuse_forms(attribute)?;
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("default") {
                let value = if meta.input.peek(Token![=]) { Some(meta.value()?.parse::<Expr>()?) } else { None };
                if inner.is_some() {
                    let text = "an `Option` may be absent: remove `default`, or the `Option`";
                    return Err(Error::new_spanned(&meta.path, text));
                }
                once(&meta, &mut default, default_of(value.as_ref(), is_duration)?)
            } else if meta.path.is_ident("range") {
                once(&meta, &mut range, range_of(&value(&meta, RANGE)?, is_duration)?)
            } else if meta.path.is_ident("unit") {
                once(&meta, &mut unit, value(&meta, "unit = \"messages\"")?)
            } else if meta.path.is_ident("name") {
                once(&meta, &mut name, value(&meta, "name = \"type\"")?)
            } else {
                Err(unknown(&meta, "`default`, `range`, `unit` and `name`"))
            }
        })?;
    }
    let written = ident.to_string().trim_start_matches("r#").to_owned();
    Ok(Setting {
        field: ident,
        ty: &field.ty,
        name: name.map_or(written, |name| name.value()),
        docs: usage::first_paragraph(&field.attrs),
        unit: unit.map(|unit| unit.value()).unwrap_or_default(),
        default,
        range,
        inner,
    })
}

/// How to write a range.
const RANGE: &str = "range = 1..=100";

fn refuse_forms(attribute: &Attribute) -> Result<()> {
    if attribute.path().is_ident("serde") {
        let text = "`#[derive(Settings)]` reads the setting itself: write `#[setting(…)]` in place of `#[serde(…)]`";
        return Err(Error::new_spanned(attribute, text));
    }
    match attribute.meta {
        Meta::List(_) => Ok(()),
        _ => Err(Error::new_spanned(attribute, "write options in parentheses: `#[setting(default = 5)]`")),
    }
}

fn default_of(value: Option<&Expr>, is_duration: bool) -> Result<Default> {
    Ok(match value {
        None => Default { value: quote!(::core::default::Default::default()), shown: String::new() },
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => {
            let shown = format!("{:?}", text.value());
            let value = if is_duration { duration(text)? } else { quote!(::core::convert::Into::into(#text)) };
            Default { value, shown }
        }
        Some(other) if is_duration => {
            return Err(Error::new_spanned(other, "write a duration: `default = \"10m\"`"));
        }
        Some(Expr::Lit(literal)) => Default { value: quote!(#literal), shown: literal_text(&literal.lit) },
        Some(Expr::Unary(negative)) if matches!(*negative.expr, Expr::Lit(_)) => {
            let shown = quote!(#negative).to_string().replace(' ', "");
            Default { value: quote!(#negative), shown }
        }
        // Its value is known only when the plugin runs.
        Some(other) => Default { value: quote!(#other), shown: String::new() },
    })
}

/// A number without its Rust decoration, or another literal as it is written.
fn literal_text(literal: &Lit) -> String {
    match literal {
        Lit::Int(int) => int.base10_digits().to_owned(),
        Lit::Float(float) => float.base10_digits().to_owned(),
        other => quote!(#other).to_string(),
    }
}

fn range_of(range: &ExprRange, is_duration: bool) -> Result<Range> {
    let bound = |expr: &Expr| -> Result<(TokenStream, String)> {
        match expr {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if is_duration => Ok((duration(text)?, text.value())),
            Expr::Lit(literal) if !is_duration && !matches!(literal.lit, Lit::Str(_)) => {
                Ok((quote!(#literal), literal_text(&literal.lit)))
            }
            Expr::Unary(negative) if !is_duration => {
                Ok((quote!(#negative), quote!(#negative).to_string().replace(' ', "")))
            }
            other if is_duration => Err(Error::new_spanned(other, "write durations: `range = \"1s\"..=\"1h\"`")),
            other => Err(Error::new_spanned(other, format!("write numbers: `{RANGE}`"))),
        }
    };
    let start = range.start.as_deref().map(bound).transpose()?;
    let end = range.end.as_deref().map(bound).transpose()?;
    match (start, &range.limits, end) {
        (Some((start, first)), RangeLimits::Closed(_), Some((end, last))) => {
            Ok(Range { tokens: quote!(#start..=#end), shown: format!("{first} to {last}") })
        }
        (Some((start, first)), RangeLimits::HalfOpen(_), None) => {
            Ok(Range { tokens: quote!(#start..), shown: format!("at least {first}") })
        }
        (None, RangeLimits::Closed(_), Some((end, last))) => {
            Ok(Range { tokens: quote!(..=#end), shown: format!("at most {last}") })
        }
        _ => Err(Error::new_spanned(range, format!("write the first and the last value: `{RANGE}`"))),
    }
}

fn duration(text: &LitStr) -> Result<TokenStream> {
    let milliseconds = span_of(&text.value()).ok_or_else(|| {
        Error::new(text.span(), "write a duration with a unit: \"500ms\", \"10s\", \"5m\", \"2h30m\" or \"1d\"")
    })?;
    Ok(quote!(::core::time::Duration::from_millis(#milliseconds)))
}

fn ident(what: &str, at: usize) -> Ident {
    Ident::new(&format!("__{what}_{at}"), Span::call_site())
}

fn is_duration(ty: &Type) -> bool {
    last_ident(ty).is_some_and(|ident| ident == "Duration")
}

/// `T` of an `Option<T>`.
fn option(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match &last.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::Type(inner) => Some(inner),
            _ => None,
        }),
        _ => None,
    }
}

/// A type in plain words; empty for a type of the author's own.
fn kind(ty: &Type) -> &'static str {
    match last_ident(ty).map(Ident::to_string).as_deref() {
        Some("String" | "PathBuf" | "char" | "Secret") => "text",
        Some("bool") => "true or false",
        Some("f32" | "f64") => "number",
        Some("Duration") => "duration",
        Some("Vec" | "HashSet" | "BTreeSet") => "list",
        Some("HashMap" | "BTreeMap") => "table",
        Some("u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize") => {
            "whole number"
        }
        _ => "",
    }
}
