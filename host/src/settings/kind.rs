//! The types that a setting can have, each with what an operator must write, how it is read, and its JSON Schema.

use super::document::Value;
use crate::time::{exact, parse_time};
use serde_json::{Value as Json, json};
use std::{path::PathBuf, time::Duration};

/// A type of settings.
pub trait Setting: Sized {
    /// The type as JSON Schema.
    fn schema() -> Json;

    /// What an operator must write, behind "needs".
    fn wanted() -> String;

    /// Whether a value is of the right type, though it may be out of range.
    fn takes(value: &Value) -> bool;

    /// The value, if it is of the right type.
    fn read(value: &Value) -> Option<Self>;

    /// The value of a text without quotes.
    fn loosely(text: &str) -> Option<Self> {
        Self::read(&Value::typed(text)).or_else(|| Self::read(&Value::Text(text.to_owned())))
    }
}

/// A setting with a range.
pub trait Ranged: Setting + PartialOrd + Clone {
    /// The type, in front of the range.
    const NOUN: &str;

    /// A value in words.
    fn words(&self) -> String;

    /// The value as a bound in JSON Schema; `None` for a type that is not always written as a number.
    fn number(&self) -> Option<Json>;
}

impl Setting for bool {
    fn schema() -> Json {
        json!({ "type": "boolean" })
    }

    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Bool(_))
    }

    fn read(value: &Value) -> Option<Self> {
        if let Value::Bool(value) = value { Some(*value) } else { None }
    }
}

impl Setting for String {
    fn schema() -> Json {
        json!({ "type": "string" })
    }

    fn wanted() -> String {
        "text in quotes".to_owned()
    }

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Text(_))
    }

    fn read(value: &Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.clone()) } else { None }
    }

    fn loosely(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Setting for PathBuf {
    fn schema() -> Json {
        String::schema()
    }

    fn wanted() -> String {
        "a path in quotes".to_owned()
    }

    fn takes(value: &Value) -> bool {
        String::takes(value)
    }

    fn read(value: &Value) -> Option<Self> {
        String::read(value).filter(|path| !path.is_empty() && !path.contains('\0')).map(Self::from)
    }

    fn loosely(text: &str) -> Option<Self> {
        Self::read(&Value::Text(text.to_owned()))
    }
}

impl Setting for Vec<String> {
    fn schema() -> Json {
        json!({ "type": "array", "items": String::schema() })
    }

    fn wanted() -> String {
        "a list of texts in quotes: [\"one\", \"two\"]".to_owned()
    }

    fn takes(value: &Value) -> bool {
        matches!(value, Value::List(_))
    }

    fn read(value: &Value) -> Option<Self> {
        let Value::List(all) = value else { return None };
        all.iter().map(|node| String::read(&node.value)).collect()
    }

    fn loosely(text: &str) -> Option<Self> {
        let names = || text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        Self::read(&Value::typed(text)).or_else(|| Some(names()))
    }
}

impl Setting for f64 {
    fn schema() -> Json {
        json!({ "type": "number" })
    }

    fn wanted() -> String {
        Self::NOUN.to_owned()
    }

    fn takes(value: &Value) -> bool {
        matches!(value, Value::Integer(_) | Value::Float(_))
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(value) => Some(*value as Self),
            Value::Float(value) => Some(*value).filter(|value| value.is_finite()),
            _ => None,
        }
    }
}

impl Ranged for f64 {
    const NOUN: &str = "a number";

    fn words(&self) -> String {
        self.to_string()
    }

    fn number(&self) -> Option<Json> {
        Some((*self).into())
    }
}

impl Setting for Duration {
    fn schema() -> Json {
        json!({ "type": ["number", "string"] })
    }

    fn wanted() -> String {
        "a time: seconds, such as 0.5, or text with a unit, such as \"250ms\", \"30s\", \"5m\", \"1h\"".to_owned()
    }

    fn takes(value: &Value) -> bool {
        f64::takes(value) || String::takes(value)
    }

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(seconds) => u64::try_from(*seconds).ok().map(Self::from_secs),
            Value::Float(seconds) => Self::try_from_secs_f64(*seconds).ok(),
            Value::Text(text) => parse_time(text),
            _ => None,
        }
    }
}

impl Ranged for Duration {
    const NOUN: &str = "a time (seconds, or text such as \"250ms\")";

    fn words(&self) -> String {
        exact(*self)
    }

    fn number(&self) -> Option<Json> {
        None
    }
}

/// Digits in threes: `1,000,000`.
fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            fn schema() -> Json {
                json!({ "type": "integer", "minimum": Self::MIN, "maximum": Self::MAX })
            }

            fn wanted() -> String {
                format!("{} from {} to {}", Self::NOUN, Self::MIN, Self::MAX)
            }

            fn takes(value: &Value) -> bool {
                matches!(value, Value::Integer(_))
            }

            fn read(value: &Value) -> Option<Self> {
                if let Value::Integer(value) = value { Self::try_from(*value).ok() } else { None }
            }
        }

        impl Ranged for $type {
            const NOUN: &str = "a whole number";

            fn words(&self) -> String {
                grouped(&self.to_string())
            }

            fn number(&self) -> Option<Json> {
                Some((*self).into())
            }
        }
    )*};
}

whole_numbers!(u16, u32, u64, usize);
