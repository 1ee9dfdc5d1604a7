//! Decides which of a plugin's settings people may see. A plugin may declare settings as secret, and need not. So of
//! the others only values are shown that can hardly be secrets: switches, numbers and short words, under names that do
//! not suggest a secret. Pure.

use rosey_wire::manifest::Setting;
use serde_json::Value;

/// Parts of names, in lower case, whose values are secrets. It is better to hide one too many than one too few.
const PARTS: [&str; 19] = [
    "token",
    "secret",
    "pass",
    "pwd",
    "key",
    "auth",
    "cred",
    "dsn",
    "hook",
    "url",
    "uri",
    "phrase",
    "cookie",
    "session",
    "private",
    "signature",
    "salt",
    "seed",
    "login",
];

/// Whole words of names with the same meaning, which are parts of too many other words.
const WORDS: [&str; 5] = ["pin", "otp", "code", "hash", "cert"];

/// Letters of a word that may be shown. Secrets of people and of machines are longer.
const LONGEST: usize = 16;

/// Words of a text that may be shown: `Europe/Zurich`, `New York`, `a.txt`. A passphrase has more.
const MOST_WORDS: usize = 3;

/// Digits of a word that also has letters: `v2`, `h264`. A password has more.
const MOST_DIGITS: usize = 3;

/// Digits of a word without letters: a date, a port.
const LONGEST_NUMBER: usize = 8;

/// Replaces a value that is not shown.
const HIDDEN: &str = "(hidden)";

/// The settings, with every value hidden that the plugin declares as a secret or that may be one.
pub fn hidden_of(settings: &Value, declared: &[Setting]) -> Value {
    let mut shown = hidden(settings);
    for secret in declared.iter().filter(|setting| setting.secret) {
        if let Some(value) = shown.get_mut(&secret.name) {
            *value = Value::from(HIDDEN);
        }
    }
    shown
}

/// The settings, with every value hidden that may be a secret.
pub fn hidden(settings: &Value) -> Value {
    match settings {
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| {
                let shown = if is_secret(name) { Value::from(HIDDEN) } else { hidden(value) };
                // A name may be a secret itself, as in a table of accounts by token.
                (if is_plain(name) { name.clone() } else { HIDDEN.to_owned() }, shown)
            })
            .collect(),
        Value::Array(all) => all.iter().map(hidden).collect(),
        Value::String(text) if !is_plain(text) => Value::from(HIDDEN),
        other => other.clone(),
    }
}

/// Whether the name of a setting suggests a secret.
fn is_secret(name: &str) -> bool {
    let small = name.to_lowercase();
    let mut words = small.split(|c: char| !c.is_alphanumeric());
    PARTS.iter().any(|part| small.contains(part)) || words.any(|word| WORDS.contains(&word))
}

/// Whether a text can hardly be a secret: a few short words, or a number.
fn is_plain(text: &str) -> bool {
    let is_between = |c: char| " _-./#:,%+".contains(c);
    let words: Vec<&str> = text.split(is_between).filter(|word| !word.is_empty()).collect();
    let is_word = |word: &&str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let length = word.chars().count();
        // A capital behind a small letter appears in no word, but in secrets that machines make.
        let is_mixed = word.chars().zip(word.chars().skip(1)).any(|(a, b)| a.is_lowercase() && b.is_uppercase());
        let is_figure = digits <= if digits == length { LONGEST_NUMBER } else { MOST_DIGITS };
        word.chars().all(char::is_alphanumeric) && length <= LONGEST && is_figure && !is_mixed
    };
    words.len() <= MOST_WORDS && words.iter().all(is_word) && !text.contains("://")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_however_deep_they_lie_and_whatever_they_are_called() {
        let settings = json!({
            "apiKey": "k1", "auth": {"user": "u1"}, "feeds": [{"Token": "t1"}], "db": {"PASSWORD": "p1"},
            "passphrase": "open sesame", "pwd": 1234, "dsn": "sqlite", "webhook": "x", "Pin": 1234, "url": "host",
            "database": "postgres://bot:hunter2@db/bot", "endpoint": "https://hooks.example/T00/B00",
            "word": "correct horse battery staple", "id": "AKIAIOSFODNN7EXAMPLE", "value": "hunter2024",
            "mixed": "aGVsbG8", "long": "abcdefghijklmnopqrst", "hex": "9f86d081884c7d65", "list": ["sk-live-4eC39HqL"],
            "accounts": {"xoxb-17653672481-19874698323": "alice"},
        });
        let shown = hidden(&settings);
        let text = shown.to_string();
        for (name, value) in shown.as_object().expect("it was one") {
            assert!(value.to_string().contains(HIDDEN) || name == "accounts", "{name} is {value}");
        }
        assert!(!text.contains("xoxb") && !text.contains("hunter") && !text.contains("1234"), "{text}");
    }

    #[test]
    fn what_a_plugin_declares_as_a_secret_is_hidden_under_any_name() {
        let settings = json!({"word": "sesame", "city": "Bern"});
        let secret = |name: &str, secret| Setting { name: name.into(), secret, ..Setting::default() };
        let shown = hidden_of(&settings, &[secret("word", true), secret("city", false), secret("absent", true)]);
        assert_eq!(shown, json!({"word": HIDDEN, "city": "Bern"}));
        assert_eq!(hidden_of(&settings, &[]), settings);
    }

    #[test]
    fn what_can_hardly_be_a_secret_is_shown() {
        let settings = json!({
            "city": "Bern", "zone": "Europe/Zurich", "place": "New York", "units": "metric", "sides": 6, "ratio": 0.5,
            "loud": true, "none": null, "channels": ["#rosey", "#dice-2"], "file": "quotes.txt", "at": "08:30:00",
            "model": "v2", "ping": 5, "barcode_width": 3, "since": "2026-11-26", "empty": "", "limits": {"rolls": 100},
        });
        assert_eq!(hidden(&settings), settings);
    }
}
