//! The answer to a query for the timers of a plugin.

use super::{Admin, Answer, Refusal};
use crate::{
    commit::timers::{Listed, MAX_LISTED},
    metrics,
    slot::view::View,
    text::bounded,
    time::{millis, span},
    view::Timer,
};
use rosey_wire::manifest::Manifest;
use serde_json::json;
use std::time::{Duration, SystemTime};

/// Longest line in chat, in bytes.
const LINE: usize = 200;

/// The timers of a plugin, the next one first. `most` bounds the lines; the data has all timers.
pub(super) async fn answer(admin: &Admin, view: &View, most: usize) -> Result<Answer, Refusal> {
    let plugin = &view.plugin;
    let timers = admin.plugins.timers(plugin, MAX_LISTED).await;
    let timers = timers.map_err(|error| Refusal::failed("timers", plugin, error, None))?;
    let manifest = view.manifest.as_deref();
    let lines: Vec<_> = timers.iter().take(most).map(|timer| bounded(&line(timer, manifest), LINE)).collect();
    let mut text = lines.join("\n");
    if timers.is_empty() {
        text = format!("{plugin} has no timers.");
    } else if timers.len() > most {
        text += &format!("\nand {} more", timers.len() - most);
    }
    let data: Vec<_> = timers.iter().map(|timer| metrics::timer(timer, manifest)).collect();
    Ok(Answer { text, data: json!({ "timers": data }) })
}

/// `7 tea in 4 m 10 s, set by alice in irc/#tea`
pub(super) fn line(timer: &Listed, manifest: Option<&Manifest>) -> String {
    let Timer { number, name, cron, zone, user, place, declared, handled, .. } = metrics::timer(timer, manifest);
    let now = millis(SystemTime::now());
    let when = match timer.due.checked_sub(now) {
        Some(left) => format!("in {}", span(Duration::from_millis(left))),
        None => format!("{} late", span(Duration::from_millis(now - timer.due))),
    };
    let mut line = format!("{number} {name} {when}");
    if !cron.is_empty() {
        let zone = if zone.is_empty() { "UTC" } else { &zone };
        line += &format!(", again by \"{cron}\" in {zone}");
    }
    if declared {
        line += ", declared by the plugin";
    } else if !user.is_empty() {
        line += &format!(", set by {user} in {place}");
    }
    if !handled {
        line += "; the plugin has no handler for it";
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Identity, Place, User, origin};
    use rosey_wire::manifest::Subscription;

    #[test]
    fn a_line_says_when_again_by_whom_and_what_is_wrong() {
        let user = User { name: "alice".into(), identity: Identity::Console };
        let mut timer = Listed {
            id: 7,
            name: "tea".into(),
            due: millis(SystemTime::now()) + 250_500,
            cron: String::new(),
            zone: String::new(),
            origin: origin::write(&user, &Place::new("irc", "#tea")),
            declared: false,
        };
        let subscription = Subscription { kind: "timer".into(), pattern: "tea".into(), ..Subscription::default() };
        let manifest = Manifest { subscriptions: vec![subscription], ..Manifest::default() };
        assert_eq!(line(&timer, Some(&manifest)), "7 tea in 4 m 10 s, set by alice in irc/#tea");
        (timer.due, timer.cron, timer.zone) = (1, "0 9 * * *".into(), "Europe/Berlin".into());
        (timer.declared, timer.name) = (true, "daily".into());
        let late = line(&timer, Some(&manifest));
        let end =
            "late, again by \"0 9 * * *\" in Europe/Berlin, declared by the plugin; the plugin has no handler for it";
        assert!(late.starts_with("7 daily ") && late.ends_with(end), "{late}");
    }
}
