//! Since when a plugin is in its state, how long it served, and what the host did while no person looked.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

fn start(folder: &Folder, more: &str) -> (Bot, String) {
    let bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n\
         [plugins.misbehave]\ngroup = \"test\"\n{more}"
    ));
    let address = bot.dashboard();
    wait_until("it runs", || http::get(&address, "/readyz").status == 200);
    (bot, address)
}

fn plugin(address: &str) -> Value {
    http::get(address, "/api/plugin/misbehave").json()
}

#[test]
fn a_state_has_a_beginning_and_a_length() {
    let folder = Folder::new(&["misbehave"]);
    let (mut bot, address) = start(&folder, "");
    assert_eq!(plugin(&address)["group"], "test");
    wait_until("it was seen", || plugin(&address)["states"][0]["state"] == "running");
    assert!(bot.ask("!admin stop misbehave").contains("confirm"));
    bot.ask("yes");
    bot.answer();
    let newest = || plugin(&address)["states"][0]["state"].clone();
    wait_until("it is stopped", || newest() == "stopped");
    assert!(bot.ask("!admin start misbehave").contains("confirm"));
    bot.say("yes");
    wait_until("it runs again", || newest() == "running");
    let plugin = plugin(&address);
    let states: Vec<&Value> = plugin["states"].as_array().into_iter().flatten().collect();
    assert_eq!(states[0]["since"], plugin["state_since"]);
    assert_eq!((&states[0]["is_over"], &states[1]["is_over"]), (&Value::Bool(false), &Value::Bool(true)));
    let begins: Vec<_> = states.iter().filter_map(|state| state["since"].as_str()).collect();
    assert!(begins.is_sorted_by(|later, earlier| later >= earlier) && begins.len() >= 3, "{states:#?}");
    assert!(states.iter().any(|state| state["state"] == "stopped"), "{states:#?}");
    assert!(bot.end().success());
}

#[test]
fn a_host_that_stood_still_says_so() {
    let folder = Folder::new(&["misbehave"]);
    let (mut bot, address) = start(&folder, "");
    bot.signal(Signal::STOP);
    let began = Instant::now();
    wait_until("it stood still", || began.elapsed() > Duration::from_secs(7));
    bot.signal(Signal::CONT);
    let events = || http::get(&address, "/events?kind=host").text();
    wait_until("it is in the events", || events().contains("stood still for "));
    assert!(events().contains("it was stopped, or got no processor"));
    assert!(bot.end().success());
}

#[test]
fn a_rollback_without_a_person_is_in_the_audit() {
    let folder = Folder::new(&[]);
    build::variant(&folder.library("misbehave"), "first");
    let (mut bot, address) = start(&folder, "[plugins.misbehave.limits]\nbake = 60\n");
    build::variant(&folder.library("misbehave"), "echo-crashes");
    assert!(bot.ask("!admin reload misbehave").contains("confirm"));
    bot.say("yes");
    wait_until("the new build is on trial", || plugin(&address)["bake_left"].is_u64());
    bot.say("!echo x");
    wait_until("it is rolled back", || plugin(&address)["rollbacks"] == 1);
    let changes = plugin(&address)["changes"].clone();
    let rollbacks = changes.as_array().into_iter().flatten().filter(|change| change["kind"] == "rollback");
    assert_eq!(rollbacks.count(), 1, "once on its page");
    let audit = || {
        let mut list = std::process::Command::new(build::rosey());
        list.args(["audit", "list", "--config", "rosey.toml"]).current_dir(folder.path());
        String::from_utf8_lossy(&list.output().expect("it is built").stdout).into_owned()
    };
    wait_until("it is in the audit", || {
        audit().lines().any(|line| line.contains("rosey") && line.contains("rollback"))
    });
    assert!(audit().contains("by itself, because "), "{}", audit());
    assert!(bot.end().success());
}
