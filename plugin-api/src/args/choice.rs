//! One of several names.

use super::{Arg, ArgError, invalid};

/// A type with a name for each of its values, of which a user types one. [`#[derive(Choice)]`](macro@crate::Choice)
/// writes it for an enum; this is how it looks by hand:
///
/// ```
/// use plugin_api::args::{Args, Choice};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Mood {
///     Dark,
///     Bright,
/// }
///
/// impl Choice for Mood {
///     const CHOICES: &'static [(&'static [&'static str], Self)] =
///         &[(&["dark"], Self::Dark), (&["bright", "light"], Self::Bright)];
/// }
///
/// assert_eq!(Args::new("LIGHT").last::<Mood, _>("mood"), Ok(Mood::Bright));
/// ```
pub trait Choice: Copy + 'static {
    /// The names of each value. Answers to users show the first name; all names are in lower case.
    const CHOICES: &'static [(&'static [&'static str], Self)];
}

/// The `Via` of a [`Choice`].
#[doc(hidden)]
#[derive(Debug)]
pub struct Chosen;

impl<T: Choice> Arg<Chosen> for T {
    fn read(name: &'static str, text: &str) -> Result<Self, ArgError> {
        if text.is_empty() {
            return Err(ArgError::Missing(name));
        }
        let folded = text.to_lowercase();
        let chosen = T::CHOICES.iter().find(|(names, _)| names.contains(&folded.as_str()));
        chosen.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<_> = T::CHOICES.iter().filter_map(|(names, _)| names.first().copied()).collect();
            invalid(name, text, &format!("is not a choice; write {}", one_of(&names)))
        })
    }
}

/// `dark, bright or red`.
fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
