//! The answer to a query for the settings of a plugin.

use super::{Admin, Answer};
use crate::{metrics, plugins::SettingsPlaces, slot::view::View, text::bounded, view::Setting};
use serde_json::json;

/// Longest line in chat, in bytes.
const LINE: usize = 300;

/// The settings of a plugin as it declares them, a line each. `most` bounds the lines; the data has all settings.
pub(super) fn answer(admin: &Admin, view: &View, most: usize) -> Answer {
    let plugin = &view.plugin;
    let Some(manifest) = &view.manifest else {
        let text = format!("Nothing is known about the settings of {plugin} until it has run.");
        return Answer { text, data: json!({ "settings": null }) };
    };
    let settings = match admin.plugins.config(plugin) {
        Ok(config) => metrics::settings(&manifest.settings, &config.config, &config.config_places),
        // It has just left the set of plugins.
        Err(_) => metrics::settings(&manifest.settings, &json!({}), &SettingsPlaces::default()),
    };
    let lines: Vec<_> = settings.iter().take(most).map(|setting| bounded(&line(setting), LINE)).collect();
    let mut text = lines.join("\n");
    if settings.is_empty() {
        text = format!("{plugin} declares no settings.");
    } else if settings.len() > most {
        text += &format!("\nand {} more", settings.len() - most);
    }
    Answer { text, data: json!({ "settings": settings }) }
}

/// `city = "Thun" (rosey.toml:12; default "Bern"; text): The city.`, or `days = 3 days (default; whole number, 1 to 14 days): The most days that may be asked for.`
fn line(setting: &Setting) -> String {
    let notes = [
        setting.place.clone(),
        (setting.is_default && setting.value.is_some()).then(|| "default".to_owned()),
        (!setting.is_default).then(|| setting.default.as_ref().map(|default| format!("default {default}"))).flatten(),
        setting.required.then(|| "must be set".to_owned()),
        Some(setting.allowed()).filter(|allowed| !allowed.is_empty()),
    ];
    let notes = notes.into_iter().flatten().collect::<Vec<_>>().join("; ");
    let notes = if notes.is_empty() { notes } else { format!(" ({notes})") };
    let help = if setting.help.is_empty() { String::new() } else { format!(": {}", setting.help) };
    match &setting.value {
        Some(_) => format!("{} = {}{notes}{help}", setting.name, setting.in_force()),
        None => format!("{} is not set{notes}{help}", setting.name),
    }
}
