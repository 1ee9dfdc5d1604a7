//! The answers to queries: a chat line or two for people, the read model of [`crate::view`] for programs.

use super::{
    Admin, Answer, Dashboard, Query, Refusal,
    grammar::{self, Surface},
    permission::Role,
    settings, timers,
};
use crate::{
    journal::Line,
    log,
    plugins::{PluginError, wishes},
    process::{memory, sandbox},
    slot::{dead_letter, view::View},
    text::bounded,
    time::{rfc3339, span},
    view::{Plugin, mebibytes},
};
use rosey_core::state::PluginState;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Plugins whose figures one answer shows, and plugins that one answer names: as many as fit two chat lines.
const SHOWN: (usize, usize) = (6, 16);

/// Lines of log, or dead letters, in one answer in chat.
pub(super) const LINES: usize = 8;

/// Bytes of each of these lines in chat.
const LINE: usize = 200;

/// Dead letters that a query reads.
const LETTERS: u32 = 1000;

/// The person who asks, and the place of the answer.
pub(super) struct Asker {
    pub role: Role,
    pub surface: Surface,
}

/// Answers a query. `most` bounds lists of lines: as many as fit chat, or all.
pub(super) async fn answer(
    admin: &Admin,
    asked: (Query, Option<&str>),
    asker: &Asker,
    most: usize,
) -> Result<Answer, Refusal> {
    Ok(match asked {
        (Query::Help, _) => {
            let text = grammar::help(asker.role, asker.surface);
            Answer { data: json!({ "help": text, "role": asker.role.to_string() }), text }
        }
        (Query::Metrics, _) => metrics(admin),
        (Query::ConfigPlan, _) => admin.config_plan().await?,
        (Query::Status, Some("admin")) => host(admin),
        (Query::List, _) => {
            let views = admin.plugins.views().await;
            Answer { text: list(&views), data: all(admin, &views) }
        }
        (Query::Status, None) => {
            let (views, offered) = (admin.plugins.views().await, admin.plugins.offered().await);
            let mut data = all(admin, &views);
            data["not_loaded"] = json!(offered);
            Answer { text: overview(admin, &views) + &not_loaded(&offered, asker.surface), data }
        }
        (Query::Status, Some(plugin)) => {
            let view = admin.view_of(plugin).await?;
            let data = serde_json::to_value(read_model(admin, &view)).unwrap_or_default();
            Answer { text: status(admin, &view, asker.surface), data }
        }
        (Query::Logs, plugin) => {
            if let Some(plugin) = plugin {
                admin.view_of(plugin).await?;
            }
            logs(admin, plugin, most)
        }
        (Query::DeadLetters, plugin) => {
            if let Some(plugin) = plugin {
                admin.view_of(plugin).await?;
            }
            dead_letters(admin, plugin, most).await?
        }
        (Query::Log(_), plugin) => {
            let plugin = plugin.unwrap_or_default();
            admin.view_of(plugin).await?;
            log_level(plugin)
        }
        (Query::Settings, plugin) => {
            // The grammar asks for one.
            let view = admin.view_of(plugin.unwrap_or_default()).await?;
            settings::answer(admin, &view, most)
        }
        (Query::Timers, plugin) => {
            // The grammar asks for one.
            let view = admin.view_of(plugin.unwrap_or_default()).await?;
            timers::answer(admin, &view, most).await?
        }
    })
}

fn metrics(admin: &Admin) -> Answer {
    let (text, url) = match admin.dashboard.get() {
        Some(Dashboard::At(url)) => (format!("Dashboard: {url}"), Some(url)),
        Some(Dashboard::Failed(why)) => (format!("The dashboard did not start: {why}."), None),
        Some(Dashboard::Off) => ("The dashboard is off; set dashboard.enabled in the configuration.".to_owned(), None),
        None => ("The dashboard has not started yet; ask again in a moment.".to_owned(), None),
    };
    Answer { text, data: json!({ "dashboard": url }) }
}

/// The answer about Rosey itself.
fn host(admin: &Admin) -> Answer {
    let (version, pid, up) = (env!("CARGO_PKG_VERSION"), std::process::id(), admin.since.elapsed());
    let bytes = memory::resident_bytes(pid).unwrap_or_default();
    let state = if admin.is_stopping() { "stopping" } else { "running" };
    let plugins = admin.plugins.names().len();
    let text = format!(
        "rosey {version} {state}, up {}, {:.1} MiB, {}, pid {pid}. The admin is part of Rosey.",
        span(up),
        mebibytes(bytes),
        counted(plugins as u64, "plugin")
    );
    let data = json!({
        "name": "rosey", "version": version, "state": state, "pid": pid, "uptime": up.as_secs(), "memory_bytes": bytes,
        "plugins": plugins,
    });
    Answer { text, data }
}

fn all(admin: &Admin, views: &[View]) -> Value {
    json!({ "plugins": views.iter().map(|view| read_model(admin, view)).collect::<Vec<_>>() })
}

/// Plugins in trouble first.
fn by_urgency(views: &[View]) -> Vec<&View> {
    let mut views: Vec<_> = views.iter().collect();
    views.sort_by_key(|view| view.state == PluginState::Running);
    views
}

fn joined(parts: Vec<String>, left_out: usize) -> String {
    let more = if left_out > 0 { format!(" · and {left_out} more") } else { String::new() };
    if parts.is_empty() { "No plugins are configured.".to_owned() } else { parts.join(" · ") + &more }
}

fn list(views: &[View]) -> String {
    joined(
        by_urgency(views)
            .iter()
            .take(SHOWN.1)
            .map(|view| name_and_state(view) + &in_brackets(&[build(view)]))
            .collect(),
        views.len().saturating_sub(SHOWN.1),
    )
}

fn overview(admin: &Admin, views: &[View]) -> String {
    let figures = |view: &&View| name_and_state(view) + &in_brackets(&[build(view), figures(admin, view)]);
    joined(by_urgency(views).iter().take(SHOWN.0).map(figures).collect(), views.len().saturating_sub(SHOWN.0))
}

/// The plugins whose libraries lie in the plugin folder, for the end of an answer.
fn not_loaded(offered: &[String], surface: Surface) -> String {
    let Some(first) = offered.first() else { return String::new() };
    let named = offered.iter().take(SHOWN.1).cloned().collect::<Vec<_>>().join(", ");
    let left_out = offered.len().saturating_sub(SHOWN.1);
    let more = if left_out > 0 { format!(" and {left_out} more") } else { String::new() };
    format!(" · not loaded: {named}{more} ({})", surface.command(format_args!("load {first}")))
}

fn name_and_state(view: &View) -> String {
    match view.active() {
        Some(active) => format!("{} {} {}", view.plugin, active.version, view.state),
        None => format!("{} {}", view.plugin, view.state),
    }
}

/// The running build, in short: `gen. 2, 73f1028a6f63`. For a plugin that is down, the build that ran last.
fn build(view: &View) -> String {
    match (view.active(), view.current) {
        (Some(active), _) => format!("gen. {}, {}", active.number, active.artifact.short()),
        (None, Some(artifact)) => artifact.short(),
        (None, None) => String::new(),
    }
}

fn in_brackets(parts: &[String]) -> String {
    let parts: Vec<_> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Uptime, CPU, memory, events, crashes.
fn figures(admin: &Admin, view: &View) -> String {
    let mut parts = Vec::new();
    if let Some(active) = view.active() {
        parts.push(format!("up {}", span(active.since.elapsed().unwrap_or_default())));
    }
    let shown = read_model(admin, view);
    if shown.pid.is_some() {
        parts.push(format!("CPU {:.1} %", shown.cpu_percent));
        parts.push(format!("{:.1} MiB", shown.memory_mb));
    }
    parts.push(counted(shown.event_count, "event"));
    parts.push(counted(shown.crash_count, "crash"));
    parts.join(", ")
}

pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = match what.ends_with("sh") {
        _ if count == 1 => "",
        true => "es",
        false => "s",
    };
    format!("{count} {what}{plural}")
}

/// The answer about one plugin, in a chat line or two.
fn status(admin: &Admin, view: &View, surface: Surface) -> String {
    let mut line = name_and_state(view);
    let startup_choice = view.startup.as_ref().filter(|_| view.state == PluginState::Running);
    let startup_choice =
        startup_choice.map(|choice| choice.text(&surface.command(format_args!("reload {}", view.plugin))));
    if let Some(explanation) = startup_choice.as_ref().or(view.explanation.as_ref()) {
        line += &format!(" ({explanation})");
    }
    line += &format!(", {}", figures(admin, view));
    if let Some(active) = view.active() {
        line += &format!(", generation {}, artifact {}, pid {}", active.number, active.artifact.short(), active.pid);
        line += &format!(", sandbox: {}", sandbox::text(&active.sandbox));
        let config = admin.plugins.config(&view.plugin).ok();
        let wishes = config.zip(view.manifest.as_ref()).map(|(config, it)| wishes::told(&it.wishes, &config));
        line.extend(wishes.filter(|wishes| !wishes.is_empty()).map(|wishes| format!(", {wishes}")));
    }
    if view.queued + view.in_flight > 0 {
        line += &format!(", {} queued, {} in flight", view.queued, view.in_flight);
    }
    let ago = |at: &SystemTime| span(at.elapsed().unwrap_or_default());
    if let Some(crash) = view.account.crashes.back() {
        line += &format!(". Last crash {} ago: {}", ago(&crash.at), crash.cause);
    }
    if let Some((at, why)) = &view.account.rolled_back {
        line += &format!(". It went back to this build by itself {} ago: {why}", ago(at));
    }
    line
}

/// Which records of a plugin the log has now.
fn log_level(plugin: &str) -> Answer {
    let level = log::level_of(plugin).map(|level| level.to_string());
    let text = match &level {
        Some(level) => format!("Rosey logs the records of {plugin} from {level} on, until it stops."),
        None => format!("Rosey logs the records of {plugin} by its own level."),
    };
    Answer { text, data: json!({ "plugin": plugin, "level": level }) }
}

fn logs(admin: &Admin, plugin: Option<&str>, most: usize) -> Answer {
    let lines = match plugin {
        Some(plugin) => admin.plugins.journal().last(plugin, usize::MAX),
        None => admin.plugins.journal().last_of_all(),
    };
    let data = lines.iter().map(|line| log_data(line, plugin.is_none())).collect();
    let skipped = lines.len().saturating_sub(most);
    let text =
        lines.iter().skip(skipped).map(|line| log_line(line, plugin.is_none(), LINE)).collect::<Vec<_>>().join("\n");
    let text = match plugin {
        _ if !text.is_empty() => text,
        Some(plugin) => format!("{plugin} has no log lines yet."),
        None => "There are no log lines yet.".to_owned(),
    };
    Answer { text, data: json!({ "plugin": plugin, "lines": Value::Array(data) }) }
}

/// A line of a log as text, with its plugin when those of all plugins are shown.
pub(super) fn log_line(line: &Line, of_all: bool, most: usize) -> String {
    let of = if of_all { format!("{}: ", line.plugin) } else { String::new() };
    format!("{} {of}{}", rfc3339(line.at), bounded(&line.text, most))
}

/// A line of a log as data.
pub(super) fn log_data(line: &Line, of_all: bool) -> Value {
    let mut data = json!({ "at": rfc3339(line.at), "text": line.text });
    if of_all {
        data["plugin"] = (*line.plugin).into();
    }
    data
}

async fn dead_letters(admin: &Admin, plugin: Option<&str>, most: usize) -> Result<Answer, Refusal> {
    let letters = dead_letter::list(admin.plugins.database(), plugin, LETTERS).await;
    let letters = letters
        .map_err(|error| Refusal::failed("deadletters", plugin.unwrap_or_default(), PluginError::Store(error), None))?;
    let data = letters.iter().map(|letter| {
        json!({
            "number": letter.id,
            "plugin": letter.plugin,
            "buried_at": rfc3339(letter.buried_at),
            "accepted_at": rfc3339(letter.accepted_at),
            "line": letter.line,
            "user": letter.user,
            "place": format!("{}/{}", letter.connector, letter.channel),
            "causes": letter.causes,
        })
    });
    let data = Value::Array(data.collect());
    let line = |letter: &dead_letter::DeadLetter| {
        let cause = letter.causes.last().map(String::as_str).unwrap_or_default();
        let text = format!("{} {} by {}: {} ({cause})", letter.id, letter.plugin, letter.user, letter.line);
        bounded(&text, LINE)
    };
    let mut text = letters.iter().take(most).map(line).collect::<Vec<_>>().join("\n");
    if letters.is_empty() {
        text = "There are no dead letters.".to_owned();
    } else if letters.len() > most {
        text += &format!("\nand {} more", letters.len() - most);
    }
    Ok(Answer { text, data: json!({ "dead_letters": data }) })
}

/// The plugin as it is now. Before the first measurement its memory comes from the kernel directly.
fn read_model(admin: &Admin, view: &View) -> Plugin {
    let mut plugin = admin.metrics.plugin(view);
    if plugin.memory_bytes == 0 {
        plugin.memory_bytes = plugin.pid.and_then(memory::used_bytes).unwrap_or_default();
        plugin.memory_mb = mebibytes(plugin.memory_bytes);
    }
    plugin
}
