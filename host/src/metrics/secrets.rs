//! What of a plugin's configuration nobody is shown. Pure.

use serde_json::Value;

/// Parts of names, in small letters, whose values are secrets. Rather one too many hidden than one too few.
const NAMES: [&str; 6] = ["token", "secret", "password", "passwd", "key", "auth"];

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";

/// A configuration without its secrets.
pub fn hidden(config: &Value) -> Value {
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        NAMES.iter().any(|part| name.contains(part))
    };
    match config {
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| {
                let shown = if is_secret(name) { Value::from(HIDDEN) } else { hidden(value) };
                (name.clone(), shown)
            })
            .collect(),
        Value::Array(all) => all.iter().map(hidden).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_hidden_however_deep_they_lie() {
        let config = json!({"city": "Bern", "apiKey": "k1", "auth": {"user": "u1"}, "feeds": [{"url": "x", "Token": "t1"}],
                            "db": {"PASSWORD": "p1", "port": 5432}});
        let shown = hidden(&config);
        assert_eq!(shown["city"], "Bern");
        assert_eq!((&shown["db"]["port"], &shown["feeds"][0]["url"]), (&json!(5432), &json!("x")));
        let text = shown.to_string();
        assert!(!["k1", "u1", "t1", "p1"].iter().any(|secret| text.contains(secret)), "{text}");
        assert_eq!(text.matches(HIDDEN).count(), 4);
    }
}
