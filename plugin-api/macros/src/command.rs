//! The methods with `#[command]`, and how they become commands with subcommands.

use crate::{
    block::{last_ident, plain, takes_context},
    options::{CommandOptions, words},
    usage,
};
use proc_macro2::Span;
use std::collections::HashSet;
use syn::{Attribute, Error, FnArg, Ident, ImplItemFn, Pat, Result, Type, spanned::Spanned};

/// A parsed method with `#[command]`.
pub(crate) struct Command {
    pub(crate) method: Ident,
    /// Its name: of a subcommand, the second word of the path.
    pub(crate) name: String,
    pub(crate) name_span: Span,
    /// The first word of the path, for a subcommand.
    pub(crate) of: Option<String>,
    pub(crate) aliases: Vec<(String, Span)>,
    /// Empty for everyone.
    pub(crate) requires: String,
    /// The variant of `plugin_api::manifest::Order`.
    pub(crate) order: Ident,
    pub(crate) cooldown_ms: u64,
    pub(crate) channel_cooldown_ms: u64,
    pub(crate) global_cooldown_ms: u64,
    docs: String,
    pub(crate) is_async: bool,
    pub(crate) parameters: Vec<Parameter>,
}

/// One parameter of a command.
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) span: Span,
    pub(crate) ty: Type,
    form: Form,
}

/// What a parameter takes, as far as its type says it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Required,
    Optional,
    /// All words that are left.
    Repeated,
}

/// A command of the manifest: a method of its own, or only subcommands, or both.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) own: Option<&'a Command>,
    pub(crate) subcommands: Vec<&'a Command>,
}

pub(crate) fn read(method: &ImplItemFn, attribute: &Attribute) -> Result<Command> {
    let options = CommandOptions::parse(attribute)?;
    let signature = &method.sig;
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "a command cannot be generic: name the types"));
    }
    if !takes_context(method)? {
        let text = format!("write `fn {}(&self, cx: &Context)`, and the arguments after `cx`", signature.ident);
        return Err(Error::new_spanned(signature, text));
    }
    let (of, name, name_span) = match (&options.path, &options.name) {
        (Some(path), _) => {
            let (of, name) = words(path)?;
            (Some(of), name, path.span())
        }
        (None, Some(name)) => (None, name.value(), name.span()),
        (None, None) => (None, plain(&signature.ident).replace('_', "-"), signature.ident.span()),
    };
    let parameters: Vec<_> = signature.inputs.iter().skip(2).map(parameter).collect::<Result<_>>()?;
    if let Some(early) = parameters.iter().rev().skip(1).find(|it| it.form == Form::Repeated || it.is_rest()) {
        let text = "it takes the rest of the line: make it the last parameter";
        return Err(Error::new(early.span, text));
    }
    Ok(Command {
        method: signature.ident.clone(),
        name,
        name_span,
        of,
        aliases: options.aliases.iter().map(|alias| (alias.value(), alias.span())).collect(),
        requires: options.requires.map(|role| role.value()).unwrap_or_default(),
        order: options.order,
        cooldown_ms: options.cooldown_ms,
        channel_cooldown_ms: options.channel_cooldown_ms,
        global_cooldown_ms: options.global_cooldown_ms,
        docs: usage::first_paragraph(&method.attrs),
        is_async: signature.asyncness.is_some(),
        parameters,
    })
}

impl Command {
    pub(crate) fn help(&self) -> String {
        usage::help(&self.docs)
    }

    pub(crate) fn usage(&self) -> String {
        let typed = match &self.of {
            Some(of) => format!("{of} {}", self.name),
            None => self.name.clone(),
        };
        let parameters: Vec<_> = self.parameters.iter().map(|it| (it.name.clone(), it.form)).collect();
        usage::usage(&self.docs, &typed, &parameters)
    }

    fn names(&self) -> impl Iterator<Item = (&String, Span)> {
        std::iter::once((&self.name, self.name_span)).chain(self.aliases.iter().map(|(name, span)| (name, *span)))
    }

    /// Whether a user may type this word for it.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        self.names().any(|(name, _)| name == word)
    }
}

impl Parameter {
    fn is_rest(&self) -> bool {
        last_ident(&self.ty).is_some_and(|ident| ident == "Rest")
    }
}

impl Group<'_> {
    /// Whether a user may type this word for it.
    pub(crate) fn is_named(&self, word: &str) -> bool {
        self.name == word || self.own.is_some_and(|own| own.is_named(word))
    }

    /// Without a method of its own, the usages of the subcommands.
    pub(crate) fn usage(&self) -> String {
        let of_all = || self.subcommands.iter().map(|it| it.usage()).collect::<Vec<_>>().join(", ");
        self.own.map_or_else(of_all, Command::usage)
    }
}

/// The commands in the order of their methods; each has the methods with its name as the first word of their path.
pub(crate) fn groups(commands: &[Command]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for command in commands {
        let name = command.of.as_ref().unwrap_or(&command.name);
        let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group { name, own: None, subcommands: Vec::new() });
            groups.len() - 1
        });
        match command.of {
            Some(_) => groups[at].subcommands.push(command),
            None => groups[at].own = Some(command),
        }
    }
    groups
}

fn parameter(input: &FnArg) -> Result<Parameter> {
    let FnArg::Typed(typed) = input else {
        return Err(Error::new_spanned(input, "`self` comes first"));
    };
    if let Type::Reference(reference) = &*typed.ty {
        let text = "an argument is owned: take a `String`, or `Rest` if it may be empty";
        return Err(Error::new_spanned(reference, text));
    }
    let name = match &*typed.pat {
        Pat::Ident(pattern) => plain(&pattern.ident),
        _ => "argument".to_owned(),
    };
    let form = match last_ident(&typed.ty).map(Ident::to_string).as_deref() {
        Some("Option" | "Rest") => Form::Optional,
        Some("Vec") => Form::Repeated,
        _ => Form::Required,
    };
    Ok(Parameter { name, span: typed.ty.span(), ty: (*typed.ty).clone(), form })
}

/// The host finds commands by name, so each name belongs to one command, and within a command to one subcommand.
pub(crate) fn unique(commands: &[Command]) -> Result<()> {
    let mut seen = HashSet::new();
    for command in commands {
        if let Some(of) = &command.of {
            usable(of).and_then(|()| reserved(of)).map_err(|text| Error::new(command.name_span, text))?;
            let alias = commands.iter().find(|it| it.of.is_none() && it.name != *of && it.is_named(of));
            if let Some(other) = alias {
                let text = format!("{of:?} is an alias of {:?}: write the command's own name", other.name);
                return Err(Error::new(command.name_span, text));
            }
        }
        for (name, span) in command.names() {
            usable(name).map_err(|text| Error::new(span, text))?;
            if command.of.is_none() {
                reserved(name).map_err(|text| Error::new(span, text))?;
            }
            if !seen.insert((command.of.as_deref(), name.as_str())) {
                let what = if command.of.is_some() { "subcommand" } else { "command" };
                return Err(Error::new(
                    span,
                    format!("another {what} or alias is named {name:?}: choose another name"),
                ));
            }
        }
    }
    Ok(())
}

/// The host checks this again, and also whether another plugin has the name, which the macro cannot know.
fn usable(name: &str) -> std::result::Result<(), String> {
    if name.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) || name.len() > 32 {
        return Err("a command's name is one word of at most 32 bytes".to_owned());
    }
    if let Some(bare) = name.strip_prefix('!') {
        return Err(format!("a command's name has no prefix: write {bare:?}"));
    }
    if name != name.to_lowercase() {
        return Err(format!(
            "a command's name is in lower case, and users may type any: write {:?}",
            name.to_lowercase()
        ));
    }
    Ok(())
}

fn reserved(name: &str) -> std::result::Result<(), String> {
    match ["admin", "help"].contains(&name) {
        true => Err(format!("`!{name}` belongs to Rosey itself: choose another name")),
        false => Ok(()),
    }
}
