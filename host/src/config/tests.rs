use super::*;
use crate::time::parse_time;

fn load(name: &str, text: &str) -> Result<Config, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join(name);
    std::fs::write(&file, text).expect("ours");
    Config::load(&file).map_err(|error| error.to_string())
}

#[test]
fn the_prds_appendix_loads_as_it_stands() {
    let text = r#"{
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
    let config = load("config.json", text).expect("valid");
    assert_eq!(config.dashboard, Dashboard { enabled: true, host: "0.0.0.0".into(), ..Dashboard::default() });
    assert_eq!(config.metrics, Metrics::default());
    assert_eq!(config.admins, ["bot_owner", "operator1", "operator2"]);
    assert!(load("config", text).is_ok(), "without a name that says JSON");
}

#[test]
fn the_designs_example_loads_and_limits_are_merged() {
    let text = r#"
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
    let config = load("rosey.toml", text).expect("valid");
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
    assert_eq!(examples.len(), 2);
    for example in examples {
        load("rosey.toml", example).unwrap_or_else(|error| panic!("an example of docs/CONFIG.md: {error}"));
    }
    for name in LimitsConfig::NAMES {
        assert!(text.contains(&format!("| `{name}` |")), "docs/CONFIG.md does not name limits.{name}");
    }
}

#[test]
fn each_problem_is_named_with_what_would_be_right() {
    let problem = |text: &str| load("rosey.toml", text).expect_err(text);
    let typo = problem("[dashbord]\nenabled = true");
    assert!(typo.contains("dashbord") && typo.contains("did you mean dashboard?"), "{typo}");
    let deep = problem("[plugins.x.limits]\nqueu = 1");
    assert!(deep.contains("plugins.x.limits.queu") && deep.contains("queue"), "{deep}");
    let kind = problem("[dashboard]\nport = \"http\"");
    assert!(kind.contains("dashboard.port"), "{kind}");
    let range = problem("[limits]\nqueue = 0\nprobe_attempts = 0");
    assert!(range.contains("limits.queue") && range.contains("limits.probe_attempts"), "{range}");
    assert!(problem("[plugins.Admin_]").contains("a-z"));
    assert!(problem("[plugins.admin]").contains("Rosey itself"));
    assert!(problem("[metrics]\npoll_interval = -1").contains("negative"));
    assert!(load("rosey.toml", "= nonsense").is_err());
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
    let rate = load("rosey.toml", "[admin]\nper_minute = 0").expect_err("nobody could do anything");
    assert!(rate.contains("admin.per_minute"), "{rate}");
}

#[test]
fn times_have_units() {
    assert_eq!(parse_time("250ms"), Some(ms(250)));
    assert_eq!(parse_time("1.5 s"), Some(ms(1500)));
    assert_eq!(parse_time("5m"), Some(ms(300_000)));
    assert_eq!(parse_time("1h"), Some(ms(3_600_000)));
    for bad in ["", "5", "5x", "-1s", "s", "1e400s"] {
        assert_eq!(parse_time(bad), None, "{bad}");
    }
}
