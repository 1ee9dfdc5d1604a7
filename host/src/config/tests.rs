use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn load(name: &str, text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(name);
    std::fs::write(&file, text).expect("ours");
    Config::load(&file).map_err(|error| error.to_string())
}

pub(super) const JSON: &str = r#"{
  "dashboard": {
"enabled": true,
"port": 8080,
"host": "0.0.0.0"
  },
  "metrics": {
"poll_interval": 5,
"history_duration": 3600,
"prometheus_enabled": true
  },
  "admins": [
"bot_owner",
"operator1",
"operator2"
  ]
}"#;

pub(super) const DESIGN: &str = r#"
owner = "alice"
admins = ["bob"]
plugin_dir = "target/release"
state_dir = ".rosey"
[connect.console]
user = "alice"
[dashboard]
enabled = true
[limits]
queue = 50
drain_timeout = "250ms"
[plugins.dice-roller]
[plugins.eight-ball]
library = "target/release/libeight_ball.so"
reload = "handoff"
[plugins.eight-ball.limits]
queue = 60
[plugins.eight-ball.config]
mood = "dark"
"#;

#[test]
fn json_without_connectors_or_plugins_loads() {
    let config = load("config.json", JSON).expect("valid");
    assert_eq!(config.dashboard, Dashboard { enabled: true, host: "0.0.0.0".into(), ..Dashboard::default() });
    assert_eq!(config.metrics, Metrics::default());
    assert_eq!(config.admins, ["bot_owner", "operator1", "operator2"]);
    assert!(load("config", JSON).is_ok(), "without a name that says JSON");
}

#[test]
fn the_designs_example_loads_and_limits_are_merged() {
    let config = load("rosey.toml", DESIGN).expect("valid");
    let [dice, ball] = &config.plugins()[..] else { panic!("two plugins") };
    assert!(dice.library.is_absolute() && dice.library.ends_with("target/release/libdice_roller.so"));
    assert_eq!((dice.limits.queue, ball.limits.queue), (50, 60));
    assert_eq!(ball.limits.drain_timeout, ms(250));
    assert_eq!(ball.reload, Some(ReloadMode::Handoff));
    assert_eq!(ball.config.to_string(), r#"{"mood":"dark"}"#);
}

#[test]
fn the_documentation_is_true() {
    let text = include_str!("../../../docs/CONFIG.md");
    let examples: Vec<_> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        load("rosey.toml", example).unwrap_or_else(|error| panic!("an example of docs/CONFIG.md: {error}"));
    }
    let table = limits_table();
    assert!(text.contains(&table), "the table of docs/CONFIG.md should be:\n{table}");
}

/// The table of docs/CONFIG.md.
fn limits_table() -> String {
    use crate::settings::Ranged;
    use rosey_core::limits::Value;
    let words = |value| match value {
        Value::Count(count) => count.words(),
        Value::Share(share) => share.words(),
        Value::Time(time) => time.words(),
    };
    let head = "| limit | default | from – to | what it is |\n| --- | --- | --- | --- |\n".to_owned();
    Limits::rows().iter().fold(head, |table, row| {
        let default = format!("{} {}", words(row.default), row.unit);
        let (default, least, most) = (default.trim_end(), words(row.least), words(row.most));
        table + &format!("| `{}` | {default} | {least} – {most} | {} |\n", row.name, row.doc)
    })
}

#[test]
fn every_problem_is_named_at_once_with_its_line_and_what_would_be_right() {
    let text = r#"owner = "alice "
admins = [""]
colour = "red"
[dashbord]
enabled = true
[connect.irc]
server = "localhost:6667"
channels = ["rosey"]
[dashboard]
port = "http"
host = "[::1]"
allowed_hosts = ["https://bot.example"]
token = "short"
trusted_proxies = ["127.0.0.1", "proxy"]
base_path = "rosey"
[metrics]
poll_interval = -1
[limits]
queue = 0
bake = "99999999s"
[plugins.x.limits]
queu = 1
[plugins.Admin_]
[plugins.admin]
reload = "handof"
"#;
    let error = load("rosey.toml", text).expect_err("all wrong");
    for (line, part) in [
        (1, "owner: \"alice \": a name has no spaces"),
        (2, "admins: \"\": a name is missing"),
        (3, "colour: there is no such setting; there are owner, admins, "),
        (4, "dashbord: there is no such setting; did you mean dashboard?"),
        (6, "connect.irc.nick: is not set and has no default; write, for example, nick = \"rosey\""),
        (7, "connect.irc.server: needs a host without a port; set port for it"),
        (8, "connect.irc.channels: needs \"#name\""),
        (10, "dashboard.port: needs a whole number from 0 to 65535, not text"),
        (11, "dashboard.host: needs the address without brackets and without a port: ::1"),
        (12, "dashboard.allowed_hosts: \"https://bot.example\" needs the name of a host alone"),
        (13, "dashboard.token: needs 16 characters or more"),
        (14, "dashboard.trusted_proxies: \"proxy\" needs to be an address such as 127.0.0.1, or a network"),
        (15, "dashboard.base_path: needs a path such as /rosey"),
        (17, "metrics.poll_interval: needs a time (seconds, or text such as \"250ms\") from 200 ms to 1 h"),
        (19, "limits.queue: needs a whole number from 1 to 1,000,000"),
        (20, "limits.bake: needs a time (seconds, or text such as \"250ms\") from 0 s to 24 h"),
        (22, "plugins.x.limits.queu: there is no such setting; did you mean queue?"),
        (23, "plugins.Admin_: the name of a plugin has 1 to 64 of a-z, 0-9 and -"),
        (24, "plugins.admin: this name belongs to Rosey itself"),
        (25, "plugins.admin.reload: needs one of \"overlap\", \"handoff\", \"exclusive\"; did you mean \"handoff\"?"),
    ] {
        assert!(error.contains(&format!("rosey.toml:{line}: {part}")), "{part}\n{error}");
    }
    assert!(error.starts_with("there are 20 problems with the configuration\n"), "{error}");
    assert!(!error.contains("short"), "a token is a secret: {error}");
}

#[test]
fn json_is_read_as_strictly_as_toml() {
    let good = "{\"owner\": \"alice\"}";
    assert_eq!(load("rosey.json", &format!("\u{feff}{good}")).expect("a mark").owner.as_deref(), Some("alice"));
    assert!(load("rosey", &format!("\u{feff}{good}")).is_ok(), "and the brace behind it is seen");
    let twice = load("rosey.json", "{\"owner\": \"alice\",\n\"owner\": \"mallory\"}").expect_err("twice");
    assert!(twice.contains("rosey.json:2: owner: this name occurs twice in its table"), "{twice}");
    let null = load("rosey.json", "{\"owner\": null}").expect_err("null");
    assert!(null.contains("rosey.json:1: owner: needs text in quotes, not null"), "{null}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_in_plain_words() {
    let there = tempfile::tempdir().expect("a directory");
    for (path, why) in [(there.path().join("none.toml"), "no such file"), (there.path().to_owned(), "it is a folder")] {
        let error = Config::load(&path).expect_err(why).to_string();
        assert!(error.contains(why) && !error.contains("os error"), "{error}");
    }
    assert!(load("rosey.toml", "= nonsense").expect_err("no TOML").contains("rosey.toml:1: this is not TOML: "));
}

#[test]
fn the_admin_has_settings_and_people_have_roles() {
    let text = "[roles]\neve = \"viewer\"\n[admin]\nper_minute = 3\ncooldown = \"500ms\"\naudit_file = \"a.jsonl\"";
    let config = load("rosey.toml", text).expect("valid");
    assert_eq!((config.admin.per_minute, config.admin.cooldown), (3, ms(500)));
    assert!(config.admin.audit_file.as_ref().is_some_and(|file| file.is_absolute() && file.ends_with("a.jsonl")));
    assert!(config.summary().contains("eve viewer"));
    assert!(!Config::default().summary().contains("roles"));
    let role = load("rosey.toml", "[roles]\neve = \"queen\"").expect_err("no such role");
    assert!(role.contains("roles.eve") && role.contains("viewer"), "{role}");
    assert!(load("rosey.toml", "owner = \"console:alice\"\nadmins = [\"irc:bob\", \"system:carol\"]").is_ok());
    let source = load("rosey.toml", "owner = \"ircc:alice\"").expect_err("no such source");
    assert!(source.contains("ircc:alice") && source.contains("irc:"), "{source}");
    let rate = load("rosey.toml", "[admin]\nper_minute = 0").expect_err("with a rate of 0 no command would work");
    assert!(rate.contains("admin.per_minute"), "{rate}");
}
