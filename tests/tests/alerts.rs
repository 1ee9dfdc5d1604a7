//! The alert rules in a real Prometheus, with a minute of the rules as a second: each alert fires on the fault that it
//! names, and on no other bot.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
    irc::{Network, Person},
    tool::{self, Server},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const TOKEN: &str = "correct horse battery staple";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("it is there")
}

/// The rules as they are shipped, sixty times as fast.
fn fast_rules() -> String {
    let text = fs::read_to_string(root().join("examples/prometheus/rosey.rules.yml")).expect("it is there");
    let text = text.replace("[1h]", "[60m]");
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let line = |line: &str| {
        let mut line = line.to_owned();
        for minutes in 1..=60 {
            line = line.replace(&format!("[{minutes}m]"), &format!("[{minutes}s]"));
        }
        match line.trim_start().strip_prefix("for: ").and_then(|time| time.strip_suffix('m')) {
            Some(minutes) if is_number(minutes) => line.replace(&format!("{minutes}m"), &format!("{minutes}s")),
            _ => line,
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A bot with one fault, in its folder.
struct Patient {
    folder: Folder,
    bot: Bot,
    address: String,
}

fn settings(port: &str, more: &str) -> String {
    format!(
        "[dashboard]\nenabled = true\nport = {port}\ntoken = {TOKEN:?}\n[metrics]\npoll_interval = 0.2\n[admin]\n\
         cooldown = 0\nper_minute = 1000\n[limits]\n{more}\n[plugins.misbehave]\n"
    )
}

impl Patient {
    fn start(variant: &str, limits: &str) -> Self {
        let folder = Folder::new(&[]);
        build::variant(&folder.library("misbehave"), variant);
        let bot = folder.start(&settings("0", limits));
        let address = bot.dashboard();
        Self { folder, bot, address }
    }

    /// Says a line that is answered later, if at all.
    fn say(&mut self, line: &str) {
        self.bot.say(line);
    }
}

/// Everything that has fired so far, by bot.
#[derive(Default)]
struct Fired(BTreeMap<String, BTreeSet<String>>);

impl Fired {
    fn look(&mut self, prometheus: &str) {
        let json = http::get(prometheus, "/api/v1/alerts").json();
        for alert in json["data"]["alerts"].as_array().into_iter().flatten() {
            if alert["state"] == "firing" {
                let label = |name: &str| alert["labels"][name].as_str().unwrap_or_default().to_owned();
                self.0.entry(label("instance")).or_default().insert(label("alertname"));
            }
        }
    }

    fn has(&self, bot: &str, alert: &str) -> bool {
        self.0.get(bot).is_some_and(|alerts| alerts.contains(alert))
    }

    /// Waits until an alert of this bot fires, and does `meanwhile` all the time.
    fn until(&mut self, prometheus: &str, bot: &str, alert: &str, mut meanwhile: impl FnMut()) {
        let mut next = Instant::now();
        wait_until(&format!("{alert} fires"), || {
            if Instant::now() >= next {
                meanwhile();
                next = Instant::now() + Duration::from_millis(200);
            }
            self.look(prometheus);
            self.has(bot, alert)
        });
    }
}

fn prometheus(folder: &Folder, bots: &[&str]) -> (Server, String) {
    let targets: Vec<String> = bots.iter().map(|bot| format!("{bot:?}")).collect();
    let example = fs::read_to_string(root().join("examples/prometheus/prometheus.yml")).expect("it is there");
    let config = example
        .replace("\"127.0.0.1:8080\"", &targets.join(", "))
        .replace("15s", "200ms")
        .replace("    # authorization:", "    authorization:")
        .replace(
            "    #   credentials: \"the dashboard.token of rosey.toml\"",
            &format!("      credentials: {TOKEN:?}"),
        );
    fs::write(folder.path().join("prometheus.yml"), config).expect("our directory");
    fs::write(folder.path().join("rosey.rules.yml"), fast_rules()).expect("our directory");
    let server = Server::start(
        Command::new("prometheus")
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"])
            .current_dir(folder.path()),
    );
    let address = server.told("msg=\"Listening on\" address=");
    wait_until("all bots are scraped", || {
        let answer = http::get(&address, "/api/v1/query?query=sum(up)");
        let count = |json: Value| json["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
        answer.status == 200 && count(answer.json()) == Some(bots.len())
    });
    (server, address)
}

fn names(all: &[&str]) -> BTreeSet<String> {
    all.iter().map(|&name| name.to_owned()).collect()
}

/// Waits until something of the plugin is so, as its JSON says it.
fn until_json(bot: &Patient, what: &str, is_so: impl Fn(&Value) -> bool) {
    wait_until(what, || is_so(&http::get(&bot.address, "/api/plugin/misbehave").json()));
}

/// Removes the newest record of the audit, and has Rosey write another one.
fn cut_the_audit(of: &mut Patient) {
    assert!(of.bot.ask("!admin restart misbehave").contains("confirm"));
    assert!(of.bot.ask("yes").starts_with("Restarting"));
    assert!(of.bot.answer().contains("is active"));
    let database = rusqlite::Connection::open(of.folder.path().join("state/rosey.db")).expect("it is there");
    database.busy_timeout(Duration::from_secs(5)).expect("an open database");
    database.execute("DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)", []).expect("it is our file");
    of.say("!admin restart misbehave");
    of.say("yes");
}

#[test]
fn plugins_that_go_wrong_fire_the_alert_that_says_so() {
    if !tool::is_there("prometheus", "prometheus") {
        return;
    }
    let well = Patient::start("first", "");
    let failed = Patient::start("create-refuses", "crash_loop_starts = 1");
    // It is not given up, and tried again only after two minutes.
    let down = Patient::start("create-refuses", "crash_loop_starts = 1000\nbackoff_first = 120\nbackoff_max = 120");
    let mut loops = Patient::start("first", "");
    let mut queue = Patient::start("first", "in_flight = 1\nqueue = 4\nheartbeat = 600");
    let mut fails = Patient::start("first", "");
    let mut slow = Patient::start("first", "");
    let mut trial = Patient::start("first", "bake = 60");
    let all = [&well, &failed, &down, &loops, &queue, &fails, &slow, &trial].map(|bot| bot.address.clone());
    let home = Folder::new(&[]);
    let (_server, prometheus) = prometheus(&home, &all.each_ref().map(String::as_str));
    let [_, failed, is_down, looping, full, failing, slowly, rolled] = &all;
    let mut fired = Fired::default();
    fired.until(&prometheus, failed, "RoseyPluginFailed", || {});

    loops.say("!abort");
    loops.say("!abort");
    fired.until(&prometheus, is_down, "RoseyPluginDown", || {});
    fired.until(&prometheus, looping, "RoseyCrashLoop", || {});
    fired.until(&prometheus, looping, "RoseyDeadLetters", || {});

    for _ in 0..4 {
        queue.say("!later 30000 x");
    }
    fired.until(&prometheus, full, "RoseyQueueFilling", || {});
    for _ in 0..3 {
        queue.say("!later 30000 x");
    }
    fired.until(&prometheus, full, "RoseyQueueFull", || {});

    fs::write(trial.folder.library("misbehave"), "no library").expect("our directory");
    trial.say("!admin reload misbehave");
    fired.until(&prometheus, rolled, "RoseyReloadRefused", || {});
    build::variant(&trial.folder.library("misbehave"), "echo-crashes");
    trial.say("!admin reload misbehave");
    trial.say("yes");
    until_json(&trial, "it is on trial", |json| json["bake_left"].is_u64());
    trial.say("!echo x");
    fired.until(&prometheus, rolled, "RoseyRolledBack", || {});

    let mut both = || {
        fails.say("!fail");
        slow.say("!later 3500 x");
    };
    fired.until(&prometheus, failing, "RoseyErrorRate", &mut both);
    fired.until(&prometheus, slowly, "RoseySlowReplies", &mut both);

    let none = BTreeSet::new();
    let of = |bot: &str| fired.0.get(bot).unwrap_or(&none).clone();
    let all: Vec<_> = all.iter().map(|bot| of(bot)).collect();
    let expected = [
        names(&[]),
        names(&["RoseyPluginFailed"]),
        names(&["RoseyPluginDown"]),
        names(&["RoseyCrashLoop", "RoseyDeadLetters"]),
        names(&["RoseyQueueFilling", "RoseyQueueFull"]),
        names(&["RoseyErrorRate"]),
        names(&["RoseySlowReplies"]),
        names(&["RoseyReloadRefused", "RoseyRolledBack"]),
    ];
    assert_eq!(all, expected, "each bot has the alerts of its own fault, and no other");
}

#[test]
fn a_host_and_its_people_fire_the_alert_that_says_so() {
    if !tool::is_there("prometheus", "prometheus") {
        return;
    }
    let Some(mut network) = Network::ngircd() else { return };
    let mut gone = Patient::start("first", "");
    let mut disk = Patient::start("first", "");
    let mut audit = Patient::start("first", "");
    let guessed = Patient::start("first", "");
    let folder = Folder::new(&["misbehave"]);
    let irc = "channels = [\"#rosey\"]\nline_interval = 0.1\n";
    let chat = folder.start_without_console(&format!("{}{irc}{}", network.settings(), settings("0", "")));
    chat.until_logged("irc: in #rosey");
    let all = [&gone.address, &disk.address, &audit.address, &guessed.address].map(String::clone);
    let chatting = chat.dashboard();
    let home = Folder::new(&[]);
    let bots: Vec<&str> = all.iter().chain([&chatting]).map(String::as_str).collect();
    let (_server, prometheus) = prometheus(&home, &bots);
    let mut fired = Fired::default();

    // Five denials within ten minutes; one person alone is silenced after three.
    for nick in ["eve", "mallory"] {
        let mut person = Person::beside("rosey", &network, nick);
        for _ in 0..3 {
            person.asks("rosey", "!admin list");
        }
    }
    fired.until(&prometheus, &chatting, "RoseyDeniedAdmins", || {});
    network.kill();
    fired.until(&prometheus, &chatting, "RoseyConnectorDown", || {});

    cut_the_audit(&mut audit);
    fired.until(&prometheus, &all[2], "RoseyAuditAlarm", || {});

    for _ in 0..12 {
        let wrong = ["Authorization: Bearer a wrong token"];
        http::request(&guessed.address, "GET", "/api/metrics", &wrong, "");
    }
    fired.until(&prometheus, &all[3], "RoseyWrongTokens", || {});

    for file in ["rosey.db", "rosey.db-wal", "rosey.db-shm"] {
        let _ = fs::remove_file(disk.folder.path().join("state").join(file));
    }
    disk.say("!admin restart misbehave");
    disk.say("yes");
    fired.until(&prometheus, &all[1], "RoseyCannotRecord", || {});

    gone.bot.signal(Signal::KILL);
    gone.bot.exit();
    fired.until(&prometheus, &all[0], "RoseyDown", || {});
    let port = all[0].rsplit(':').next().expect("a port");
    let _again = gone.folder.start(&settings(port, ""));
    fired.until(&prometheus, &all[0], "RoseyRestarted", || {});

    let none = BTreeSet::new();
    let found: Vec<_> = bots.iter().map(|bot| fired.0.get(*bot).unwrap_or(&none).clone()).collect();
    let expected = [
        names(&["RoseyDown", "RoseyRestarted"]),
        names(&["RoseyCannotRecord"]),
        names(&["RoseyAuditAlarm"]),
        names(&["RoseyWrongTokens"]),
        names(&["RoseyConnectorDown", "RoseyDeniedAdmins"]),
    ];
    assert_eq!(found, expected, "each bot has the alerts of its own fault, and no other");
}

#[test]
fn every_shipped_alert_is_tried_here() {
    let rules = fast_rules();
    let shipped: BTreeSet<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let here = include_str!("alerts.rs");
    let tried: BTreeSet<&str> =
        shipped.iter().filter(|alert| here.contains(&format!("\"{alert}\""))).copied().collect();
    assert_eq!(tried, shipped);
    assert!(!rules.contains("m]") && !rules.contains("1m"), "a minute is a second: {rules}");
}
