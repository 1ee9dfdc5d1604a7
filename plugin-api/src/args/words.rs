//! Errors of the standard library in words for people in chat. `invalid digit found in string` speaks to programmers.

use std::{
    any::{Any, type_name},
    borrow::Cow,
    char::ParseCharError,
    error::Error as StdError,
    fmt,
    net::AddrParseError,
    num::{IntErrorKind, ParseFloatError, ParseIntError},
    str::ParseBoolError,
};

/// Longest text of a user that an answer repeats, in characters.
const SHOWN: usize = 40;

/// Why `text` is not a `T`: an author's error in its own words, an error of the standard library in plain words.
pub(super) fn explain<T>(name: &str, text: &str, error: &(impl fmt::Display + 'static)) -> String {
    match plain::<T>(text, error) {
        Some(why) => format!("{name}: {} {why}", shown(text)),
        None => error.to_string(),
    }
}

/// A user's text in quotes, cut when it is long.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

/// `None` for an author's error.
fn plain<T>(text: &str, error: &(impl fmt::Display + 'static)) -> Option<String> {
    let any = error as &dyn Any;
    if let Some(boxed) = any.downcast_ref::<Box<dyn StdError + Send + Sync>>() {
        return boxed.downcast_ref::<ParseIntError>().map(|error| whole_number::<T>(text, error.kind())).or_else(
            || {
                let is_float = boxed.is::<ParseFloatError>();
                is_float.then(|| "is not a number".to_owned())
            },
        );
    }
    if any.is::<String>() || any.is::<Cow<'static, str>>() {
        return None;
    }
    if let Some(error) = any.downcast_ref::<ParseIntError>() {
        return Some(whole_number::<T>(text, error.kind()));
    }
    let why = if any.is::<ParseFloatError>() {
        "is not a number"
    } else if any.is::<ParseBoolError>() {
        "is neither true nor false"
    } else if any.is::<ParseCharError>() {
        "is not a single character"
    } else if any.is::<AddrParseError>() {
        "is not an IP address"
    } else if is_std(type_name_of(error)) {
        "does not fit here"
    } else {
        return None;
    };
    Some(why.to_owned())
}

fn type_name_of<E>(_: &E) -> &'static str {
    type_name::<E>()
}

/// Whether the type belongs to the standard library. It has no other mark than its name.
fn is_std(name: &str) -> bool {
    ["core::", "std::", "alloc::"].iter().any(|of| name.starts_with(of))
}

fn whole_number<T>(text: &str, kind: &IntErrorKind) -> String {
    let bounds = bounds(type_name::<T>());
    match (kind, bounds) {
        (IntErrorKind::PosOverflow, Some((_, largest))) => format!("is too large; the largest is {largest}"),
        (IntErrorKind::PosOverflow, None) => "is too large".to_owned(),
        (IntErrorKind::NegOverflow, Some((smallest, _))) => format!("is too small; the smallest is {smallest}"),
        (IntErrorKind::NegOverflow, None) => "is too small".to_owned(),
        (IntErrorKind::Zero, _) => "must not be 0".to_owned(),
        (_, Some((0, _))) if text.parse::<i128>().is_ok() => "must not be negative".to_owned(),
        _ => "is not a whole number".to_owned(),
    }
}

/// The smallest and the largest value of an integer type.
fn bounds(name: &str) -> Option<(i128, u128)> {
    let name = name.rsplit_once('<').map_or(name, |(_, inner)| inner.trim_end_matches('>'));
    let (signed, bits) = name.split_at_checked(1)?;
    let bits = if bits == "size" { usize::BITS } else { bits.parse().ok().filter(|bits| (8..=128).contains(bits))? };
    match signed {
        "u" => Some((0, u128::MAX >> (128 - bits))),
        "i" => Some((i128::MIN >> (128 - bits), u128::MAX >> (129 - bits))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{ArgError, Args};
    use std::{num::NonZeroU8, str::FromStr};

    fn refused<T: FromStr<Err: fmt::Display + 'static> + fmt::Debug>(text: &str) -> String {
        match Args::new(text).last::<T, _>("it") {
            Err(ArgError::Invalid(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_standard_library_is_not_quoted() {
        assert_eq!(refused::<u8>("x"), "it: \"x\" is not a whole number");
        assert_eq!(refused::<u8>("2.5"), "it: \"2.5\" is not a whole number");
        assert_eq!(refused::<u8>("-1"), "it: \"-1\" must not be negative");
        assert_eq!(refused::<u8>("256"), "it: \"256\" is too large; the largest is 255");
        assert_eq!(refused::<i8>("-129"), "it: \"-129\" is too small; the smallest is -128");
        assert_eq!(
            refused::<i64>(&"9".repeat(50)),
            format!("it: \"{}…\" is too large; the largest is {}", "9".repeat(40), i64::MAX)
        );
        assert_eq!(refused::<NonZeroU8>("0"), "it: \"0\" must not be 0");
        assert_eq!(refused::<NonZeroU8>("300"), "it: \"300\" is too large; the largest is 255");
        assert_eq!(refused::<f32>("x"), "it: \"x\" is not a number");
        assert_eq!(refused::<bool>("x"), "it: \"x\" is neither true nor false");
        assert_eq!(refused::<char>("xy"), "it: \"xy\" is not a single character");
        assert_eq!(refused::<std::net::IpAddr>("x"), "it: \"x\" is not an IP address");
    }

    #[derive(Debug)]
    struct Boxed;
    impl FromStr for Boxed {
        type Err = Box<dyn StdError + Send + Sync>;
        fn from_str(text: &str) -> Result<Self, Self::Err> {
            if text == "?" { Err("it is a riddle".into()) } else { Ok(text.parse::<u8>().map(|_| Self)?) }
        }
    }

    #[derive(Debug)]
    struct Own;
    impl FromStr for Own {
        type Err = String;
        fn from_str(_: &str) -> Result<Self, String> {
            Err("I cannot read this".to_owned())
        }
    }

    #[test]
    fn an_author_is_quoted() {
        assert_eq!(refused::<Own>("x"), "I cannot read this");
        assert_eq!(refused::<Boxed>("?"), "it is a riddle");
        assert_eq!(refused::<Boxed>("x"), "it: \"x\" is not a whole number");
    }
}
