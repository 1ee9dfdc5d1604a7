//! Measurements as programs read them: JSON against its description, Prometheus text against Prometheus' own tools, and
//! a real Prometheus that scrapes a running bot.

use rosey_tests::{
    bot::{Bot, Folder, children, signal_process, wait_until},
    build, http,
    tool::{self, Server},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

const SETTINGS: &str = "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n\
                        [plugins.dice-roller]\n[plugins.misbehave]\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("it is there")
}

/// A bot with every event that makes metrics: answers, a failure, a crash, a restart, a denied reload.
fn eventful(folder: &Folder) -> (Bot, String) {
    let mut bot = folder.start(SETTINGS);
    let address = bot.dashboard();
    for _ in 0..3 {
        assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    }
    // Counts after the last poll of a generation are lost with it.
    wait_until("the rolls were counted", || {
        http::get(&address, "/metrics").text().contains("rosey_custom_dice_rolls_total{plugin=\"dice-roller\"} 3")
    });
    assert_eq!(bot.ask("!fail"), "Sorry, something went wrong.");
    assert!(bot.ask("!abort").contains("That command crashed"));
    assert_eq!(bot.ask("!echo back"), "back");
    assert!(bot.ask("!admin restart dice-roller").contains("confirm"));
    assert!(bot.ask("yes").starts_with("Restarting"));
    assert!(bot.answer().contains("generation 2 is active"));
    assert!(bot.ask("!admin reload misbehave").contains("already runs this build"));
    wait_until("all of it is shown", || {
        let json = http::get(&address, "/api/metrics").json();
        let [dice, misbehave] = [0, 1].map(|at| json["plugins"][at].clone());
        dice["generation"] == 2 && misbehave["crash_count"] == 2 && misbehave["dead_letters"] == 1
    });
    (bot, address)
}

/// The value of a series with this beginning, such as `rosey_events_total{plugin="x"`.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series)).unwrap_or_else(|| panic!("no {series}:\n{text}"));
    line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok()).expect("a number")
}

/// Words like `rosey_plugin_state` in a text, without the suffixes that a histogram's series have.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !is_part(c))
        .filter(|word| word.starts_with("rosey_") || word.starts_with("process_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn what_is_exported_what_is_documented_and_what_is_used_are_the_same() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = eventful(&folder);
    let text = http::get(&address, "/metrics").text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    // The plugins' own metrics begin at their first use.
    let own = |name: &&str| !name.starts_with("rosey_custom_");
    let exported: BTreeSet<String> =
        types.filter_map(|line| line.split(' ').next()).filter(own).map(str::to_owned).collect();
    let documentation = std::fs::read_to_string(root().join("docs/METRICS.md")).expect("it is there");
    let rows = documentation.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<String> = rows.filter(|name| !name.starts_with('/')).map(str::to_owned).collect();
    assert_eq!(exported, documented);
    for used in ["examples/grafana/rosey.json", "examples/prometheus/rosey.rules.yml"] {
        let used = names(&std::fs::read_to_string(root().join(used)).expect("it is there"));
        assert!(used.is_subset(&exported), "{:?}", used.difference(&exported));
    }
    for (series, expected) in [
        ("rosey_events_total{plugin=\"dice-roller\",type=\"command\"}", 3.0),
        ("rosey_event_outcomes_total{plugin=\"misbehave\",outcome=\"failed\"}", 1.0),
        ("rosey_event_outcomes_total{plugin=\"misbehave\",outcome=\"dead_lettered\"}", 1.0),
        ("rosey_plugin_crash_count{plugin=\"misbehave\"}", 2.0),
        ("rosey_plugin_crashes_total{plugin=\"misbehave\",cause=\"signal\"}", 2.0),
        ("rosey_plugin_restarts_total{plugin=\"misbehave\",cause=\"signal\"}", 2.0),
        ("rosey_plugin_reloads_total{plugin=\"dice-roller\",status=\"success\"}", 1.0),
        ("rosey_reload_duration_seconds_count{plugin=\"dice-roller\"}", 1.0),
        ("rosey_plugin_response_time_seconds_count{plugin=\"dice-roller\"}", 3.0),
        ("rosey_admin_commands_total{command=\"restart\",user=\"alice\"}", 1.0),
        ("rosey_audit_records_total{stage=\"after\"}", 1.0),
        ("rosey_connector_up{connector=\"console\"}", 1.0),
        ("rosey_plugin_queue_limit{plugin=\"dice-roller\"}", 10_000.0),
        ("rosey_dashboard_limit_hits_total{limit=\"connections\"}", 0.0),
    ] {
        let found = value(&text, series);
        assert!(found.total_cmp(&expected).is_eq(), "{series}: {found}");
    }
    assert!(bot.end().success());
}

#[test]
fn prometheus_own_tools_find_nothing_but_the_two_names_that_are_fixed() {
    if !tool::is_there("promtool", "prometheus") {
        return;
    }
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = eventful(&folder);
    let answer = http::get(&address, "/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let (_, stdout) = tool::run("promtool", &["check", "metrics"], &root(), &answer.body);
    let fixed =
        |line: &&str| !line.starts_with("rosey_plugin_memory_mb") && !line.starts_with("rosey_plugin_crash_count");
    assert_eq!(stdout.lines().filter(fixed).collect::<Vec<_>>(), Vec::<&str>::new());
    let examples = root().join("examples/prometheus");
    for arguments in [
        ["check", "config", "prometheus.yml"],
        ["check", "rules", "rosey.rules.yml"],
        ["test", "rules", "rosey.rules.test.yml"],
    ] {
        let (code, stdout) = tool::run("promtool", &arguments, &examples, b"");
        assert_eq!(code, Some(0), "{arguments:?}: {stdout}");
    }
    let (code, stdout) = tool::run("promtool", &["check", "rules", &panels(&folder)], &examples, b"");
    assert_eq!(code, Some(0), "{stdout}");
    assert!(bot.end().success());
}

/// A file of rules with every query of the Grafana dashboard, for tools that read rules.
fn panels(folder: &Folder) -> String {
    let text = std::fs::read_to_string(root().join("examples/grafana/rosey.json")).expect("it is there");
    let text = text.replace("$__rate_interval", "1m").replace("$instance", "a").replace("$plugin", "b");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let list = |at: &Value| at.as_array().cloned().unwrap_or_default();
    let targets = list(&dashboard["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
    let queries: Vec<_> =
        targets.chain(list(&dashboard["annotations"]["list"])).map(|query| query["expr"].to_string()).collect();
    assert!(queries.len() > 20 && dashboard["annotations"]["list"].as_array().is_some_and(|all| all.len() == 3));
    let rules: String =
        queries.iter().enumerate().map(|(n, expr)| format!("  - record: q{n}\n    expr: {expr}\n")).collect();
    let file = folder.path().join("panels.yml");
    std::fs::write(&file, format!("groups:\n- name: panels\n  rules:\n{rules}")).expect("our directory");
    file.display().to_string()
}

/// The parts of `value` that do not fit the schema, whose references are in `described`.
fn misfits(described: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointed = described.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"));
        return misfits(described, pointed, value, at, found);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &&Value| {
            let mut found = Vec::new();
            misfits(described, choice, value, at, &mut found);
            found.is_empty()
        };
        if !choices.iter().any(|choice| fits(&choice)) {
            found.push(format!("{at}: fits none of {choices:?}"));
        }
        return;
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let one = [schema["type"].clone()];
    let kinds = schema["type"].as_array().map_or(&one[..], Vec::as_slice);
    let is = |name: &Value| name.is_null() || name == kind || (name == "number" && kind == "integer");
    if !kinds.iter().any(is) {
        found.push(format!("{at}: {kind}, and not {kinds:?}"));
    }
    if let (Some(choices), false) = (schema["enum"].as_array(), value.is_null())
        && !choices.contains(value)
    {
        found.push(format!("{at}: {value} is none of {choices:?}"));
    }
    if let ("date-time", Some(text)) = (schema["format"].as_str().unwrap_or_default(), value.as_str())
        && !(text.len() == 24 && text.ends_with('Z') && text.as_bytes()[10] == b'T')
    {
        found.push(format!("{at}: {text} is no time in UTC"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        let schema = schema["prefixItems"].get(number).unwrap_or(&schema["items"]);
        misfits(described, schema, item, &format!("{at}[{number}]"), found);
    }
    for (name, item) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Null) if schema["properties"].is_object() => {
                found.push(format!("{at}.{name} is not described"))
            }
            (Value::Null, schema) | (schema, _) => misfits(described, schema, item, &format!("{at}.{name}"), found),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            found.push(format!("{at}.{name} is missing"));
        }
    }
}

/// Whether `value` has all fields of `sample`, with the same types.
fn has_all_of(sample: &Value, value: &Value, at: &str) {
    match (sample, value) {
        (Value::Object(sample), Value::Object(value)) => {
            for (name, item) in sample {
                has_all_of(
                    item,
                    value.get(name).unwrap_or_else(|| panic!("{at}.{name} is missing")),
                    &format!("{at}.{name}"),
                );
            }
        }
        (Value::Array(sample), Value::Array(value)) => {
            let both = (sample.first(), value.first());
            let (Some(sample), Some(value)) = both else { panic!("{at}: {both:?}") };
            has_all_of(sample, value, &format!("{at}[0]"));
        }
        (sample, value) => assert_eq!(std::mem::discriminant(sample), std::mem::discriminant(value), "{at}: {value}"),
    }
}

#[test]
fn the_json_is_as_described_and_has_every_field_that_programs_rely_on() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = eventful(&folder);
    let described: Value =
        serde_json::from_str(&std::fs::read_to_string(root().join("docs/openapi.json")).expect("it is there"))
            .expect("JSON");
    let check = |path: &str, template: &str, status: u16| {
        let answer = http::get(&address, path);
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/json"), "{path}");
        let schema = &described["paths"][template]["get"]["responses"][status.to_string()]["content"]["application/json"]
            ["schema"];
        assert!(!schema.is_null());
        let (json, mut found) = (answer.json(), Vec::new());
        misfits(&described, schema, &json, path, &mut found);
        assert!(found.is_empty(), "{found:#?}");
        json
    };
    let all = check("/api/metrics", "/api/metrics", 200);
    let one = check("/api/plugin/misbehave", "/api/plugin/{name}", 200);
    let dice = check("/api/plugin/dice-roller", "/api/plugin/{name}", 200);
    let none = check("/api/plugin/weather", "/api/plugin/{name}", 404);
    assert_eq!(none["error"], "there is no plugin weather");
    let short = check("/api/plugin/dice-roller?window=1m", "/api/plugin/{name}", 200);
    assert_eq!(short["metrics"]["window"]["seconds"], 60);
    assert_eq!(dice["metrics"]["window"]["seconds"], 3600);
    assert_eq!(dice["metrics"]["window"]["outcomes"]["replied"], 3);
    let long = check("/api/plugin/dice-roller?window=99999999999999999999h", "/api/plugin/{name}", 200);
    assert_eq!(long["metrics"]["window"]["seconds"], 604_800, "as much as there is");
    assert_eq!(http::get(&address, "/openapi.json").json(), described);
    for bad in ["0", "-1m", "x", "1m&window=2m"] {
        let refused = check(&format!("/api/plugin/dice-roller?window={bad}"), "/api/plugin/{name}", 400);
        assert!(refused["error"].as_str().is_some_and(|error| error.starts_with("window: a time")), "{refused}");
    }

    let sample = |text: &str| serde_json::from_str::<Value>(text).expect("JSON, as docs/openapi.json describes it");
    let metrics = sample(
        r#"{"timestamp": "2025-12-01T10:30:00Z", "bot_uptime": 86400, "plugins": [{"name": "dice-roller", "version": "1.1",
            "state": "running", "pid": 12345, "uptime": 3600, "cpu_percent": 1.2, "memory_mb": 45, "event_count": 1234,
            "crash_count": 0}], "system": {"total_events": 5000, "total_plugins": 3, "plugins_running": 3, "plugins_crashed": 0}}"#,
    );
    has_all_of(&metrics, &all, "");
    let plugin = sample(
        r#"{"name": "dice-roller", "version": "1.1", "loaded_at": "2025-12-01T09:30:00Z", "state": "running", "pid": 12345,
            "metrics": {"current": {"cpu_percent": 1.2, "memory_mb": 45, "uptime": 3600},
            "aggregates_1h": {"cpu_avg": 1.5, "cpu_max": 3.2, "memory_avg": 42, "memory_max": 48}},
            "history": [{"timestamp": "2025-12-01T10:25:00Z", "cpu": 1.1, "memory": 44}]}"#,
    );
    has_all_of(&plugin, &dice, "");

    let crash = &one["crashes"][0];
    assert_eq!((crash["kind"].as_str(), crash["executing"][0].as_str()), (Some("signal"), Some("!abort")));
    assert!(crash["cause"].as_str().is_some_and(|cause| cause.contains("SIGABRT")), "{crash}");
    assert!(crash["stderr"].to_string().contains("about to abort"), "{crash}");
    let change = &dice["changes"][0];
    assert_eq!(
        (change["kind"].as_str(), change["by"].as_str(), change["ok"].as_bool()),
        (Some("restart"), Some("alice, chat"), Some(true))
    );
    let refused = &one["changes"][0];
    assert_eq!((refused["kind"].as_str(), refused["ok"].as_bool()), (Some("reload"), Some(false)), "{refused}");
    assert_eq!((all["system"]["plugins_running"].as_u64(), all["system"]["total_events"].as_u64()), (Some(2), Some(6)));
    assert!(bot.end().success());
}

#[test]
fn a_reload_and_a_crash_do_not_break_the_series() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = eventful(&folder);
    wait_until("the history goes on", || {
        http::get(&address, "/api/plugin/misbehave").json()["history"].as_array().is_some_and(|points| points.len() > 5)
    });
    let misbehave = http::get(&address, "/api/plugin/misbehave").json();
    let first = misbehave["history"][0]["timestamp"].as_str().expect("a time").to_owned();
    assert!(first.as_str() < misbehave["loaded_at"].as_str().expect("it runs"), "there are points of before the crash");
    let marks =
        |kind: &str| misbehave["marks"].as_array().into_iter().flatten().filter(|mark| mark["kind"] == kind).count();
    assert_eq!((marks("crash"), marks("dead_letter")), (2, 1), "{}", misbehave["marks"]);
    let dice = http::get(&address, "/api/plugin/dice-roller").json();
    assert_eq!((dice["event_count"].as_u64(), dice["generation"].as_u64()), (Some(3), Some(2)));
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    wait_until("its own metrics are collected", || {
        let custom = &http::get(&address, "/api/plugin/dice-roller").json()["custom"][0];
        // Three rolls came before the restart.
        custom["name"] == "rosey_custom_dice_rolls_total" && custom["value"] == 4.0
    });
    assert!(http::get(&address, "/plugin/dice-roller").text().contains("rosey_custom_dice_rolls_total"));
    let last = dice_history_end(&address);
    assert_eq!((last["generation"].as_u64(), last["queued"].as_u64()), (Some(2), Some(0)), "{last}");
    // The process and its counts are gone; the counter is not.
    signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    wait_until("it goes on counting", || {
        http::get(&address, "/metrics").text().contains("rosey_custom_dice_rolls_total{plugin=\"dice-roller\"} 5")
    });
    wait_until("the history has the crash", || dice_history_end(&address)["crash_count"] == 1);
    assert!(bot.end().success());
}

fn dice_history_end(address: &str) -> Value {
    let history = http::get(address, "/api/plugin/dice-roller").json()["history"].take();
    history.as_array().and_then(|points| points.last().cloned()).unwrap_or_default()
}

#[test]
fn what_happened_outlives_the_host() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (bot, address) = eventful(&folder);
    let marks = |address: &str| http::get(address, "/api/plugin/misbehave").json()["marks"].clone();
    wait_until("it is written down", || {
        let mut files = std::fs::read_dir(folder.path().join("state")).expect("it is there").flatten();
        files.any(|file| file.file_name() == "rosey.db-wal" && file.metadata().is_ok_and(|meta| meta.len() > 20_000))
            && marks(&address).to_string().contains("dead_letter")
    });
    // The last board was written together with the events before it.
    let number = http::get(&address, "/metrics").header("etag").to_owned();
    wait_until("another board was made", || http::get(&address, "/metrics").header("etag") != number);
    bot.signal(Signal::KILL);
    drop(bot);
    let mut bot = folder.start(SETTINGS);
    let address = bot.dashboard();
    wait_until("it runs", || http::get(&address, "/readyz").status == 200);
    let misbehave = http::get(&address, "/api/plugin/misbehave").json();
    assert_eq!(misbehave["crashes"].as_array().map(Vec::len), Some(2), "{}", misbehave["crashes"]);
    assert_eq!(
        (misbehave["crashes"][0]["executing"][0].as_str(), misbehave["crashes"][0]["by"][0].as_str()),
        (Some("!abort"), Some("alice"))
    );
    assert_eq!(misbehave["crash_count"], 2);
    assert!(marks(&address).to_string().contains("set aside after two crashes"));
    let dice = http::get(&address, "/api/plugin/dice-roller").json();
    let change = &dice["changes"][0];
    assert_eq!((change["kind"].as_str(), change["by"].as_str()), (Some("restart"), Some("alice, chat")), "{change}");
    assert!(change["to_artifact"].as_str().is_some_and(|hash| hash.len() == 64), "{change}");
    let events = http::get(&address, "/events?kind=host").text();
    assert!(events.contains("ended without stopping") && events.matches("started: Rosey").count() == 2, "{events}");
    assert_eq!(http::get(&address, "/events?plugin=weather").status, 404);
    assert!(bot.end().success());
    let mut third = folder.start(SETTINGS);
    let address = third.dashboard();
    let events = http::get(&address, "/events?kind=host").text();
    assert!(
        events.matches("ended without stopping").count() == 1 && events.contains("<span class=\"what\">stopped</span>"),
        "{events}"
    );
    assert!(http::get(&address, "/events?kind=connector&severity=error").text().contains("No events match."));
    assert!(third.end().success());
}

#[test]
fn secrets_are_not_shown_and_commands_that_are_somebody_elses_are_marked() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    // The same commands twice: the first plugin by name has them.
    std::fs::copy(folder.library("dice-roller"), folder.library("roller")).expect("our directory");
    let mut bot = folder.start(&format!(
        "{SETTINGS}[plugins.roller]\n[plugins.roller.config]\ncity = \"Bern\"\napi_key = \"hunter2\"\n\
         passphrase = \"hunter sesame\"\nfeed = \"https://bot:hunter4@example/\"\n\
         [plugins.roller.config.db]\nPassword = \"hunter3\"\n[plugins.misbehave.config]\nword = \"sesame\"\n"
    ));
    let address = bot.dashboard();
    wait_until("it runs", || http::get(&address, "/readyz").status == 200);
    for path in ["/api/plugin/roller", "/plugin/roller"] {
        let text = http::get(&address, path).text();
        assert!(text.contains("Bern") && text.contains("(hidden)") && !text.contains("hunter"), "{path}: {text}");
    }
    for path in ["/api/plugin/misbehave", "/plugin/misbehave"] {
        let text = http::get(&address, path).text();
        assert!(text.contains("(hidden)") && !text.contains("sesame"), "a declared secret on {path}: {text}");
    }
    let roller = http::get(&address, "/api/plugin/roller").json();
    assert_eq!(roller["commands"][0]["taken"], serde_json::json!({"r": "dice-roller", "roll": "dice-roller"}));
    assert!(http::get(&address, "/plugin/roller").text().contains("!roll is taken by dice-roller"));
    assert_eq!(http::get(&address, "/api/plugin/dice-roller").json()["commands"][0]["taken"], serde_json::json!({}));
    assert!(bot.end().success());
}

#[test]
fn hidden_characters_of_people_are_written_out_on_every_page() {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "echo-crashes");
    let mut bot = folder.start(SETTINGS);
    let address = bot.dashboard();
    assert!(bot.ask("!echo roll\u{200b} \u{202e}live").contains("That command crashed"));
    for path in ["/plugin/misbehave", "/events"] {
        wait_until("it is shown", || http::get(&address, path).text().contains("!echo roll"));
        let page = http::get(&address, path).text();
        assert!(page.contains("!echo roll\\u{200b} \\u{202e}live") && !page.contains('\u{202e}'), "{path}: {page}");
    }
    assert!(bot.end().success());
}

#[test]
fn a_real_prometheus_returns_the_rolls_just_made() {
    if !tool::is_there("prometheus", "prometheus") {
        return;
    }
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let mut bot = folder.start(SETTINGS);
    let address = bot.dashboard();
    let example = std::fs::read_to_string(root().join("examples/prometheus/prometheus.yml")).expect("it is there");
    let config = example.replace("127.0.0.1:8080", &address).replace("15s", "200ms");
    std::fs::write(folder.path().join("prometheus.yml"), config).expect("our directory");
    std::fs::copy(root().join("examples/prometheus/rosey.rules.yml"), folder.path().join("rosey.rules.yml"))
        .expect("it is there");
    let prometheus = Server::start(
        Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"])
            .current_dir(folder.path()),
    );
    let server = prometheus.told("msg=\"Listening on\" address=");
    let query = |query: &str| {
        let answer = http::get(&server, &format!("/api/v1/query?query={query}"));
        let json = if answer.status == 200 { answer.json() } else { Value::Null };
        json["data"]["result"][0]["value"][1].as_str().unwrap_or_default().to_owned()
    };
    for _ in 0..7 {
        assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    }
    const ROLLS: &str = "rosey_events_total%7Bplugin=%22dice-roller%22%7D";
    wait_until("the target is up", || query("up%7Bjob=%22rosey%22%7D") == "1");
    wait_until("the rolls are there", || query(ROLLS) == "7");
    let roller = http::get(&address, "/api/plugin/dice-roller").json()["pid"].as_u64().expect("it runs");
    let roller = u32::try_from(roller).expect("a pid");
    assert!(children(bot.pid()).contains(&roller));
    signal_process(roller, Signal::KILL);
    for _ in 0..3 {
        assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    }
    wait_until("the series goes on", || query(ROLLS) == "10");
    assert_eq!(query(&format!("count({ROLLS})")), "1");
    wait_until("the crash is there", || {
        query("rosey_plugin_crashes_total%7Bcause=%22signal%22,plugin=%22dice-roller%22%7D") == "1"
    });
    assert!(bot.end().success());
}
