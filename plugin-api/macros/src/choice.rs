//! `#[derive(Choice)]`.

use crate::options::{ALIASES, list, once, unknown, value};
use proc_macro2::TokenStream;
use quote::quote;
use std::collections::HashSet;
use syn::{Data, DeriveInput, Error, Fields, LitStr, Meta, Result, Variant};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Enum(data) = &input.data else {
        let text = "a choice is an enum, with a variant for each name";
        return Err(Error::new(input.ident.span(), text));
    };
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a choice cannot be generic: name the types"));
    }
    if data.variants.is_empty() {
        return Err(Error::new(input.ident.span(), "there is nothing to choose: add a variant"));
    }
    let (mut seen, mut choices) = (HashSet::new(), Vec::new());
    for variant in &data.variants {
        let names = names(variant)?;
        for (name, span) in &names {
            usable(name).map_err(|text| Error::new(*span, text))?;
            if !seen.insert(name.clone()) {
                return Err(Error::new(*span, format!("another variant is named {name:?}: choose another name")));
            }
        }
        let (ident, names) = (&variant.ident, names.iter().map(|(name, _)| name));
        choices.push(quote!((&[#(#names),*], Self::#ident)));
    }
    let this = &input.ident;
    Ok(quote! {
        #[automatically_derived]
        impl ::plugin_api::args::Choice for #this {
            const CHOICES: &'static [(&'static [&'static ::core::primitive::str], Self)] = &[#(#choices),*];
        }
    })
}

/// The names of a variant, the one that answers show first.
fn names(variant: &Variant) -> Result<Vec<(String, proc_macro2::Span)>> {
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new_spanned(&variant.fields, "a choice has no values of its own: remove the fields"));
    }
    let (mut name, mut aliases) = (None::<LitStr>, None);
    for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("choice")) {
        if !matches!(attribute.meta, Meta::List(_)) {
            return Err(Error::new_spanned(attribute, "write options in parentheses: `#[choice(name = \"big\")]`"));
        }
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                once(&meta, &mut name, value(&meta, "name = \"big\"")?)
            } else if meta.path.is_ident("aliases") {
                once(&meta, &mut aliases, list(&meta, ALIASES)?)
            } else {
                Err(unknown(&meta, "`name` and `aliases`"))
            }
        })?;
    }
    let first = match name {
        Some(name) => (name.value(), name.span()),
        None => (kebab(&variant.ident.to_string()), variant.ident.span()),
    };
    let aliases = aliases.unwrap_or_default().into_iter().map(|alias| (alias.value(), alias.span()));
    Ok(std::iter::once(first).chain(aliases).collect())
}

/// A name that a user can type as one word.
fn usable(name: &str) -> std::result::Result<(), String> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("a name is one word".to_owned());
    }
    match name.to_lowercase() {
        lower if lower == name => Ok(()),
        lower => Err(format!("a name is in lower case, and users may type any: write {lower:?}")),
    }
}

/// `VeryBig` as `very-big`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for c in name.trim_start_matches("r#").chars() {
        if c.is_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.extend(c.to_lowercase());
    }
    kebab
}
