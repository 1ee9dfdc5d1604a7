//! Reads the settings for `#[create]`, and explains what is wrong with them.

use crate::{Error, Result};
use serde::de::DeserializeOwned;

/// Reads settings, as `#[create]` does: for [`Plugin::create`](crate::Plugin::create) by hand. Empty input means `{}`.
///
/// ```
/// #[derive(Debug, serde::Deserialize)]
/// struct Mine {
///     city: String,
/// }
///
/// let error = plugin_api::settings::settings::<Mine>(b"{}").unwrap_err();
/// assert_eq!(error.detail(), "city: is not set and has no default");
/// ```
///
/// # Errors
/// When the JSON is not a `T`. The text is the name of the setting, a colon, and what it needs. It quotes no value,
/// because a value may be a secret.
pub fn settings<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    let json = if json.is_empty() { b"{}" } else { json };
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json)).map_err(|error| {
        let path = error.path().to_string();
        Error::internal(explain(&path, &error.into_inner().to_string()))
    })
}

/// Explains serde's error about the value at `path` to an operator. serde's own texts come from `serde::de::Error` and
/// have not changed since its first release; any other text is the author's.
fn explain(path: &str, text: &str) -> String {
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _)| text);
    let path = if path == "." { "" } else { path };
    let at = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let quoted = |rest: &str| rest.split('`').next().unwrap_or_default().to_owned();
    if let Some(name) = text.strip_prefix("missing field `").map(quoted) {
        return format!("{}: is not set and has no default", at(&name));
    }
    if let Some(rest) = text.strip_prefix("unknown field `") {
        let name = quoted(rest);
        let known = rest.split_once("`, expected ").map_or("none", |(_, known)| known);
        // The path may already end with the name.
        let setting = if path.ends_with(&name) { path.to_owned() } else { at(&name) };
        return format!("{setting}: there is no such setting; there is {}", known.replace("one of ", ""));
    }
    let needs = |needed: &str| format!("needs {}", noun(needed));
    let what = match text.split_once(": ") {
        Some(("invalid type" | "invalid value", rest)) => {
            rest.rsplit_once(", expected ").map(|(_, needed)| needs(needed))
        }
        _ if text.starts_with("unknown variant ") => text.rsplit_once("`, expected ").map(|(_, needed)| needs(needed)),
        _ => None,
    };
    let what = what.unwrap_or_else(|| text.to_owned());
    if path.is_empty() { what } else { format!("{path}: {what}") }
}

/// A type in serde's words, in plain words.
fn noun(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number that is not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" => "text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a character" => "a single character in quotes".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        _ if expected.starts_with("struct ") => "a table".to_owned(),
        _ if expected.starts_with("a nonzero ") => "a whole number other than 0".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read to be refused")]
    struct Settings {
        city: String,
        #[serde(default)]
        hours: Vec<u8>,
        #[serde(default)]
        mood: Option<Mood>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mood {
        Dark,
        Bright,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read to be refused")]
    struct Inner {
        on: bool,
    }

    #[test]
    fn each_refusal_names_the_setting_and_what_it_needs() {
        for (json, expected) in [
            ("", "city: is not set and has no default"),
            (r#"{"city": 5}"#, "city: needs text in quotes"),
            (r#"{"city": "x", "hours": [1, "hunter2"]}"#, "hours[1]: needs a whole number that is not negative"),
            (r#"{"city": "x", "hours": [-1]}"#, "hours[0]: needs a whole number that is not negative"),
            (r#"{"city": "x", "hours": {}}"#, "hours: needs a list"),
            (r#"{"city": "x", "mood": "hunter2"}"#, "mood: needs `dark` or `bright`"),
            (r#"{"city": "x", "inner": true}"#, "inner: needs a table"),
            (r#"{"city": "x", "inner": {}}"#, "inner.on: is not set and has no default"),
            (
                r#"{"city": "x", "ctiy": "hunter2"}"#,
                "ctiy: there is no such setting; there is `city`, `hours`, `mood`, `inner`",
            ),
        ] {
            let error = settings::<Settings>(json.as_bytes()).expect_err(json).to_string();
            assert_eq!(error, expected, "{json}");
        }
        let read = settings::<Settings>(br#"{"city": "x", "hours": [1]}"#).expect("good settings");
        assert_eq!((read.city.as_str(), &read.hours[..]), ("x", &[1][..]));
    }
}
