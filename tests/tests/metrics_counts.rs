//! What is shared, refused or left out counts once and as what it is.

use rosey::process::memory::resident_bytes;
use rosey_tests::{
    bot::{Folder, children, wait_until},
    http,
};

const SETTINGS: &str = "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n\
                        [plugins.misbehave]\n";

/// A process and all that it has started.
fn family(pid: u32) -> Vec<u32> {
    let started = children(pid).into_iter().flat_map(family);
    std::iter::once(pid).chain(started).collect()
}

#[test]
fn what_forks_share_counts_once() {
    let folder = Folder::new(&["misbehave"]);
    // A slow machine takes its time to start forty.
    let mut bot = folder.start(&format!("{SETTINGS}limits = {{ hang_timeout = 60 }}\n"));
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
    assert!(bot.ask("!admin reload dice-roller").contains("runs that very build already"));
    // 200 of 1000 may be logged, in a second or in two.
    assert_eq!(bot.ask("!chatter 1000"), "chattered");
    wait_until("it is counted", || series(LEFT_OUT).is_some_and(|count| count >= 400));
    assert!(series(LEFT_OUT).is_some_and(|count| count <= 800), "each once");
    assert_eq!(series(REFUSED), Some(2), "a build that runs already is no failure");
    assert!(bot.end().success());
}
