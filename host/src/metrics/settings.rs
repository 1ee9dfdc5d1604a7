//! The settings of a plugin as people see them: what each is for, what it may be, and the value in force. Pure.

use super::secrets;
use crate::{process::start::SettingsPlaces, view::Setting};
use rosey_wire::manifest::Setting as Declared;
use serde_json::Value;

/// Every setting that the plugin declares, in its own order, with the value in force. `config` is what the operator
/// wrote, in these places. A value that may be a secret is hidden.
pub fn settings(declared: &[Declared], config: &Value, places: &SettingsPlaces) -> Vec<Setting> {
    let shown = secrets::hidden_of(config, declared);
    let of = |setting: &Declared| {
        let written = shown.get(&setting.name).map(Value::to_string);
        let default = Some(&setting.default).filter(|default| !default.is_empty());
        Setting {
            name: setting.name.clone(),
            help: setting.help.clone(),
            kind: setting.kind.clone(),
            unit: setting.unit.clone(),
            range: setting.range.clone(),
            default: default.cloned(),
            required: setting.required,
            secret: setting.secret,
            is_default: written.is_none(),
            place: places.of(&setting.name).filter(|_| written.is_some()).map(str::to_owned),
            value: written.or_else(|| default.cloned()),
        }
    };
    declared.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_setting_has_the_value_in_force_and_a_secret_is_hidden() {
        let of =
            |name: &str, default: &str| Declared { name: name.into(), default: default.into(), ..Default::default() };
        let days =
            Declared { kind: "whole number".into(), unit: "days".into(), range: "1 to 14".into(), ..of("days", "3") };
        let word = Declared { secret: true, ..of("word", "") };
        let places = SettingsPlaces([("city".to_owned(), "rosey.toml:7".to_owned())].into());
        let declared = [days, of("city", "\"Bern\""), word, of("keeper", "")];
        let all = settings(&declared, &json!({"city": "Thun", "word": "sesame"}), &places);
        let shown: Vec<_> = all.iter().map(|it| (it.name.as_str(), it.in_force(), it.is_default)).collect();
        let expected = [
            ("days", "3 days", true),
            ("city", "\"Thun\"", false),
            ("word", "\"(hidden)\"", false),
            ("keeper", "not set", true),
        ];
        assert_eq!(shown, expected.map(|(name, value, is_default)| (name, value.to_owned(), is_default)));
        assert_eq!((all[0].place.as_deref(), all[1].place.as_deref()), (None, Some("rosey.toml:7")));
        assert_eq!((all[0].allowed().as_str(), all[1].allowed().as_str()), ("whole number, 1 to 14 days", ""));
    }
}
