//! Shared memory, refused metrics and dropped lines count once, and under the right name.

use rosey::process::memory::resident_bytes;
use rosey_tests::{
    bot::{Folder, children, wait_until},
    build, http,
};
use serde_json::Value;

const SETTINGS: &str = "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n\
                        [plugins.misbehave]\n";

/// A process and all of its descendants.
fn family(pid: u32) -> Vec<u32> {
    let started = children(pid).into_iter().flat_map(family);
    std::iter::once(pid).chain(started).collect()
}

#[test]
fn what_forks_share_counts_once() {
    let folder = Folder::new(&["misbehave"]);
    // A slow machine takes long to start forty processes.
    let mut bot =
        folder.start(&format!("{SETTINGS}limits = {{ hang_timeout = 60 }}\nsandbox = {{ processes = true }}\n"));
    let (address, pid) = (bot.dashboard(), bot.pid_of("misbehave"));
    // Each of the forty is a fork of the shell that waits for a program.
    bot.say("!sh for i in $(seq 40); do (sleep 6; :) & done; wait");
    wait_until("they run", || family(pid).len() > 80);
    // One measurement may have begun before.
    let points = || {
        let plugin = http::get(&address, "/api/plugin/misbehave").json();
        plugin["history"].as_array().map_or(0, Vec::len)
    };
    let before = points();
    wait_until("it was measured twice", || points() >= before + 2);
    let used = http::get(&address, "/api/plugin/misbehave").json()["memory_bytes"].as_u64().expect("a number");
    let resident: u64 = family(pid).into_iter().filter_map(resident_bytes).sum();
    assert!(used > 0 && used * 3 < resident, "{used} used, {resident} resident");
    assert!(bot.end().success());
}

#[test]
fn a_plugin_that_does_not_run_uses_nothing_and_says_so() {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "create-refuses");
    let more = "[limits]\ncrash_loop_starts = 1\n[plugins.dice-roller]\n";
    let mut bot = folder.start(&format!("{SETTINGS}{more}"));
    let address = bot.dashboard();
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    let series = |name: &str, plugin: &str| {
        let begin = format!("rosey_plugin_{name}{{plugin=\"{plugin}\"");
        let text = http::get(&address, "/metrics").text();
        let values = text.lines().filter(|line| line.starts_with(&begin));
        values.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).collect::<Vec<_>>()
    };
    const GAUGES: [&str; 6] =
        ["memory_mb", "memory_bytes", "cpu_percent", "uptime_seconds", "queue_length", "in_flight"];
    let is_idle = |plugin: &str| GAUGES.iter().all(|gauge| series(gauge, plugin) == [0.0]);
    wait_until("what runs uses memory", || series("memory_mb", "dice-roller").first().is_some_and(|mb| *mb > 1.0));
    assert_eq!(series("info", "dice-roller"), [1.0]);
    assert!(is_idle("misbehave"), "one that has never run");
    assert_eq!(series("info", "misbehave"), Vec::<f64>::new(), "nothing runs");
    assert_eq!(series("crash_count", "misbehave"), [0.0]);
    bot.say("!admin stop dice-roller");
    bot.say("yes");
    wait_until("one that was stopped uses nothing", || is_idle("dice-roller"));
    let json = http::get(&address, "/api/plugin/dice-roller").json();
    assert_eq!((&json["pid"], &json["generation"], &json["loaded_at"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((json["uptime"].as_u64(), json["memory_bytes"].as_u64()), (Some(0), Some(0)));
    assert_eq!(json["event_count"].as_u64(), Some(1), "what was counted stays");
    let text = http::get(&address, "/api/plugin/dice-roller").text();
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').filter_map(|word| word.split_once('.'));
    let noisy: Vec<_> = numbers.filter(|(_, decimals)| decimals.len() > 6).collect();
    assert_eq!(noisy, [], "no more decimals than were measured: {text}");
    assert_eq!(series("info", "dice-roller"), Vec::<f64>::new());
    assert!(bot.end().success());
}

#[test]
fn a_build_that_cannot_run_is_counted_and_a_flood_of_records_once() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let mut bot = folder.start(&format!("{SETTINGS}[plugins.dice-roller]\n"));
    let address = bot.dashboard();
    let series = |series: &str| {
        let text = http::get(&address, "/metrics").text();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok())
    };
    const REFUSED: &str = "rosey_plugin_reloads_total{plugin=\"dice-roller\",status=\"failure\"}";
    const LEFT_OUT: &str = "rosey_plugin_limit_hits_total{plugin=\"misbehave\",limit=\"log_lines\"}";
    wait_until("there is something to show", || series(REFUSED) == Some(0) && series(LEFT_OUT) == Some(0));
    let library = folder.library("dice-roller");
    let good = std::fs::read(&library).expect("it is there");
    std::fs::write(&library, "no library").expect("our directory");
    assert!(bot.ask("!admin reload dice-roller").contains("1.0.0 goes on"));
    wait_until("it is counted", || series(REFUSED) == Some(1));
    std::fs::copy(folder.library("misbehave"), &library).expect("our directory");
    assert!(bot.ask("!admin reload dice-roller").contains("misbehave"), "another plugin's");
    wait_until("it is counted", || series(REFUSED) == Some(2));
    std::fs::write(&library, good).expect("our directory");
    assert!(bot.ask("!admin reload dice-roller").contains("already runs this build"));
    // 200 of 1000 may be logged, within one second or two.
    assert_eq!(bot.ask("!chatter 1000"), "chattered");
    wait_until("it is counted", || series(LEFT_OUT).is_some_and(|count| count >= 400));
    assert!(series(LEFT_OUT).is_some_and(|count| count <= 800), "each once");
    assert_eq!(series(REFUSED), Some(2), "a build that runs already is no failure");
    assert!(bot.end().success());
}

#[test]
fn counts_outlive_a_host_that_is_killed_and_one_that_stops() {
    let folder = Folder::new(&["misbehave"]);
    let settings = format!("{SETTINGS}[limits]\nbackoff_first = 0\n");
    let counts = |folder: &Folder| {
        let database = rusqlite::Connection::open(folder.path().join("state/rosey.db")).expect("there");
        let row =
            database.query_row("SELECT counts FROM plugin_count WHERE plugin = 'misbehave'", [], |row| row.get(0));
        row.ok().and_then(|text: String| serde_json::from_str::<Value>(&text).ok()).unwrap_or_default()
    };
    let shown = |address: &str| {
        let plugin = http::get(address, "/api/plugin/misbehave").json();
        let prometheus = http::get(address, "/metrics").text();
        let series = |name: &str, label: &str| {
            let mut lines = prometheus.lines().filter(|line| line.starts_with(name));
            let line = lines.find(|line| line.contains(label) && line.contains("plugin=\"misbehave\""))?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        let failed = plugin["outcomes"]["failed"].as_u64();
        (
            [plugin["crash_count"].as_u64(), plugin["restarts"].as_u64(), failed, plugin["event_count"].as_u64()],
            [
                series("rosey_plugin_crashes_total{", "signal"),
                series("rosey_plugin_restarts_total{", "signal"),
                series("rosey_event_outcomes_total{", "failed"),
            ],
        )
    };
    let mut bot = folder.start(&settings);
    let address = bot.dashboard();
    bot.ask("!fail");
    bot.ask("!fail");
    // The first crash is tried again, and the second one sets the event aside.
    bot.ask("!abort");
    assert_eq!(bot.ask("!echo one"), "one");
    wait_until("it is all written down", || {
        let counts = counts(&folder);
        (counts["crashes"].as_u64(), counts["outcome replied"].as_u64()) == (Some(2), Some(1))
    });
    let before = shown(&address);
    assert_eq!(before, ([Some(2), Some(2), Some(2), Some(4)], [Some(2.0); 3]));
    bot.signal(rustix::process::Signal::KILL);
    bot.exit();

    let mut bot = folder.start(&settings);
    let address = bot.dashboard();
    wait_until("there is a board", || http::get(&address, "/readyz").status == 200);
    assert_eq!(shown(&address), before);
    let status = bot.ask("!admin status misbehave");
    assert!(status.contains("4 events, 2 crashes"), "{status}");
    assert_eq!(bot.ask("!echo two"), "two");
    bot.ask("!fail");
    assert!(bot.end().success());

    let mut bot = folder.start(&settings);
    let address = bot.dashboard();
    wait_until("there is a board", || http::get(&address, "/readyz").status == 200);
    assert_eq!(shown(&address).0, [Some(2), Some(2), Some(3), Some(6)], "an orderly stop loses nothing");
    assert!(bot.end().success());
}
