//! `rosey config schema`: the settings as JSON Schema, from the very code that reads them.

use super::Config;
use crate::settings::Shape;
use serde_json::{Value, json};

/// The JSON Schema of a configuration, for editors and programs. It requires no setting, because each can also come from a
/// variable, a credential or another file.
pub fn schema() -> Value {
    let mut schema = Shape::of(Config::read).schema();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Configuration of Rosey");
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{self, Document};
    use std::collections::BTreeSet;

    /// What does not fit the schema. It knows those words of JSON Schema that [`schema`] uses.
    fn misfits(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
        let types: Vec<&Value> = match &schema["type"] {
            Value::Array(types) => types.iter().collect(),
            Value::Null => Vec::new(),
            one => vec![one],
        };
        let is = |kind: &&Value| match kind.as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            other => panic!("{other:?}"),
        };
        let bound = |word: &str, fits: fn(f64, f64) -> bool| {
            let (bound, value) = (schema[word].as_f64(), value.as_f64());
            bound.zip(value).is_none_or(|(bound, value)| fits(value, bound))
        };
        let is_one = schema["enum"].as_array().is_none_or(|words| words.contains(value));
        let is_within =
            bound("minimum", |value, least| value >= least) && bound("maximum", |value, most| value <= most);
        if !is_one || !is_within || !types.is_empty() && !types.iter().any(is) {
            found.push(path.to_owned());
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(known), _) => misfits(known, inner, &path, found),
                (None, Value::Bool(false)) => found.push(path),
                (None, other) => misfits(other, inner, &path, found),
            }
        }
        for inner in value.as_array().into_iter().flatten() {
            misfits(&schema["items"], inner, path, found);
        }
    }

    fn check(text: &str) -> Vec<String> {
        let document = Document::parse(text.as_bytes(), |text| text.starts_with('{')).expect(text);
        let value = settings::Value::Table(document.table).to_json().expect("JSON can write it");
        let mut found = Vec::new();
        misfits(&schema(), &value, "", &mut found);
        found
    }

    /// The examples of docs/CONFIG.md.
    fn examples() -> impl Iterator<Item = &'static str> {
        let page = include_str!("../../../docs/CONFIG.md");
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next())
    }

    #[test]
    fn valid_configurations_fit_the_schema() {
        let shipped = include_str!("../../package/rosey.toml");
        for text in examples().chain([shipped, crate::config::tests::JSON, crate::config::tests::DESIGN]) {
            assert_eq!(check(text), Vec::<String>::new(), "{text}");
        }
        // What stands in comments of the shipped file, too.
        let whole: Vec<_> = shipped.lines().map(|line| line.strip_prefix("# ").unwrap_or(line)).collect();
        let whole = whole.into_iter().filter(|line| line.starts_with('[') || line.contains(" = ")).collect::<Vec<_>>();
        assert_eq!(check(&whole.join("\n")), Vec::<String>::new());
    }

    #[test]
    fn what_rosey_refuses_does_not_fit_the_schema() {
        for (text, path) in [
            ("owner = 1", "/owner"),
            ("colour = \"red\"", "/colour"),
            ("admins = [1]", "/admins"),
            ("[roles]\neve = \"queen\"", "/roles/eve"),
            ("[dashboard]\nport = 70000", "/dashboard/port"),
            ("[dashboard]\nport = \"many\"", "/dashboard/port"),
            ("[limits]\nqueue = 0", "/limits/queue"),
            ("[plugins.x]\nreload = \"handof\"", "/plugins/x/reload"),
            ("[plugins.x.limits]\nqueu = 1", "/plugins/x/limits/queu"),
            ("[plugins.x.sandbox]\nprofile = 1", "/plugins/x/sandbox/profile"),
            ("[connect.irc]\nburst = 0", "/connect/irc/burst"),
            ("[connect.libera]\nkind = \"matrix\"", "/connect/libera/kind"),
        ] {
            assert_eq!(check(text), [path], "{text}");
        }
    }

    #[test]
    fn every_setting_of_the_page_is_in_the_schema() {
        fn names(schema: &Value, all: &mut BTreeSet<String>) {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                all.insert(name.clone());
                names(inner, all);
            }
            names_of_others(&schema["additionalProperties"], all);
        }
        fn names_of_others(schema: &Value, all: &mut BTreeSet<String>) {
            if schema.is_object() {
                names(schema, all);
            }
        }
        let mut known = BTreeSet::new();
        names(&schema(), &mut known);
        let name = |line: &'static str| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.split_once(" = ").map(|(name, _)| name).filter(|name| !name.contains([' ', '"']))
        };
        let settings: BTreeSet<_> = examples().flat_map(str::lines).filter_map(name).collect();
        assert!(settings.len() > 50, "{settings:?}");
        let unknown: Vec<_> = settings.iter().filter(|name| !known.contains(**name) && **name != "eve").collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        for limit in rosey_core::limits::Limits::rows() {
            assert!(known.contains(limit.name), "{}", limit.name);
        }
    }
}
