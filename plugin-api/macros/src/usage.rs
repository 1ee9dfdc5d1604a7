//! The help and the usage of a command, from its doc comment.

use crate::command::Form;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of a doc comment, up to its first empty line.
pub(crate) fn first_paragraph(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let lines = lines.skip_while(String::is_empty).take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// The help: the text before the examples, or all of it when it begins with examples.
pub(crate) fn help(text: &str) -> String {
    let before = text.split('`').next().unwrap_or_default();
    let before = before.trim().trim_end_matches([':', ',', '-', '–']).trim_end();
    if before.is_empty() || !has_example(text) { text.replace('`', "") } else { before.to_owned() }
}

/// The usage: the code spans that begin with `!`, or else the signature.
pub(crate) fn usage(text: &str, command: &str, parameters: &[(String, Form)]) -> String {
    let examples: Vec<_> = spans(text).filter(|span| span.starts_with('!')).collect();
    if !examples.is_empty() {
        return examples.join(", ");
    }
    let mut usage = format!("!{command}");
    for (name, form) in parameters {
        usage.push_str(&match form {
            Form::Required => format!(" <{name}>"),
            Form::Optional => format!(" [{name}]"),
            Form::Repeated => format!(" [{name} …]"),
        });
    }
    usage
}

fn has_example(text: &str) -> bool {
    spans(text).any(|span| span.starts_with('!'))
}

fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_the_usage_and_what_precedes_them_the_help() {
        let text = "Roll dice: `!roll 2d6+3`, `!roll 4d6kh3`";
        assert_eq!(help(text), "Roll dice");
        assert_eq!(usage(text, "roll", &[]), "!roll 2d6+3, !roll 4d6kh3");
    }

    #[test]
    fn without_examples_the_signature_is_the_usage() {
        let of = |name: &str, form| (name.to_owned(), form);
        let parameters = [of("count", Form::Required), of("what", Form::Optional), of("more", Form::Repeated)];
        assert_eq!(help("Counts `things`."), "Counts things.");
        assert_eq!(usage("Counts `things`.", "count", &parameters), "!count <count> [what] [more …]");
    }
}
