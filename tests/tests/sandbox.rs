//! The sandbox of plugins in real processes: what holds, how it is told, and what a grant changes.

use rosey::{
    plugins::{PluginConfig, Sandbox},
    process::sandbox::RuleReport,
};
use rosey_core::state::PluginState;
use rosey_tests::{
    bot::{Folder, wait_until},
    build, http,
    rig::{Rig, plugin},
    shell::shell,
};
use rosey_wire::sandbox::{NEWEST_LANDLOCK, Network, Profile, Rule, RuleState};
use std::{net::TcpListener, sync::Arc};

/// A rig with one plugin under this sandbox.
async fn start(sandbox: Sandbox) -> Rig {
    Rig::start(vec![PluginConfig { sandbox, ..plugin("p", &build::library("misbehave")) }]).await
}

async fn reports(sandbox: Sandbox) -> Arc<[RuleReport]> {
    let rig = start(sandbox).await;
    let view = rig.until("p", |view| view.active().is_some()).await;
    let reports = Arc::clone(&view.active().expect("waited for").sandbox);
    rig.stop().await;
    reports
}

fn state(reports: &[RuleReport], rule: Rule) -> RuleState {
    reports.iter().find(|report| report.rule == rule).expect("every rule is told").state
}

/// The rules that are not enforced.
fn others(reports: &[RuleReport]) -> Vec<(Rule, RuleState)> {
    let others = reports.iter().filter(|report| report.state != RuleState::Enforced);
    others.map(|report| (report.rule, report.state)).collect()
}

#[tokio::test]
async fn a_plugin_without_grants_is_held_by_every_rule() {
    for profile in [Profile::Standard, Profile::Strict] {
        let reports = reports(Sandbox { profile, ..Sandbox::default() }).await;
        assert_eq!(reports.iter().map(|report| report.rule).collect::<Vec<_>>(), Rule::ALL);
        assert_eq!(others(&reports), [], "{reports:#?}");
    }
}

#[tokio::test]
async fn a_grant_turns_off_one_rule_and_says_so() {
    let all = Sandbox { network: Network::All, ..Sandbox::default() };
    assert_eq!(others(&reports(all).await), [(Rule::Network, RuleState::Off)]);
    let processes = Sandbox { processes: true, ..Sandbox::default() };
    assert_eq!(others(&reports(processes).await), [(Rule::Processes, RuleState::Off)]);
    let ports = Sandbox { network: Network::Ports(vec![443]), ..Sandbox::default() };
    assert_eq!(others(&reports(ports).await), []);
    let open = reports(Sandbox { profile: Profile::Open, ..Sandbox::default() }).await;
    let off = [Rule::Files, Rule::Network, Rule::Sockets, Rule::Processes].map(|rule| (rule, RuleState::Off));
    assert_eq!(others(&open), off);
}

#[tokio::test]
async fn each_version_of_landlock_is_told_apart() {
    let mut enforced = Vec::new();
    for version in 0..=NEWEST_LANDLOCK {
        let sandbox = Sandbox {
            landlock: Some(version),
            network: Network::Ports(vec![443]),
            processes: true,
            ..Sandbox::default()
        };
        let reports = reports(sandbox).await;
        let holds = |rule| state(&reports, rule) == RuleState::Enforced;
        enforced.push((holds(Rule::Files), holds(Rule::Network), holds(Rule::Signals)));
        let files = reports.iter().find(|report| report.rule == Rule::Files).expect("told");
        assert!(version == 0 || files.detail.starts_with("landlock "), "{files:?}");
    }
    assert_eq!(enforced[0], (false, false, false));
    assert_eq!(enforced[1..=3], [(true, false, false); 3]);
    // What this kernel lacks stays away.
    assert!(enforced[4..=5].iter().all(|(files, _, signals)| *files && !signals), "{enforced:?}");
    assert!(enforced.windows(2).all(|pair| pair[0] <= pair[1]), "a newer one holds no less: {enforced:?}");
}

#[tokio::test]
async fn without_landlock_system_calls_are_still_filtered() {
    let reports = reports(Sandbox { landlock: Some(0), ..Sandbox::default() }).await;
    assert_eq!(others(&reports), [(Rule::Files, RuleState::Unavailable)]);
}

#[tokio::test]
async fn a_required_rule_that_does_not_hold_keeps_the_library_closed() {
    let sandbox = Sandbox { landlock: Some(0), require: vec![Rule::Calls, Rule::Files], ..Sandbox::default() };
    let rig = start(sandbox).await;
    let view = rig.until("p", |view| view.state == PluginState::Crashed).await;
    let why = view.explanation.expect("it says why");
    assert!(why.contains("cannot enforce what sandbox.require names: files (this kernel has no landlock"), "{why}");
    assert_eq!(view.history.failures, 0, "nothing is held against the plugin");
    rig.stop().await;
}

#[test]
fn what_holds_is_told_in_chat_on_the_page_in_metrics_and_by_check() {
    let folder = Folder::new(&["misbehave", "dice-roller"]);
    let settings = "[dashboard]\nenabled = true\nport = 0\n[plugins.dice-roller]\n[plugins.misbehave]\n\
                    sandbox = { processes = true }\n";
    let mut bot = folder.start(settings);
    let address = bot.dashboard();
    let told = bot.ask("!admin status dice-roller");
    assert!(told.contains("sandbox: every rule is enforced"), "{told}");
    let told = bot.ask("!admin status misbehave");
    assert!(told.contains("sandbox: 8 of 9 rules are enforced; off: processes (they are granted)"), "{told}");
    let json = http::get(&address, "/api/plugin/misbehave").json();
    let rule = json["sandbox"].as_array().expect("a list").iter().find(|rule| rule["rule"] == "processes");
    assert_eq!(rule.expect("it is told")["state"], "off");
    let page = http::get(&address, "/plugin/misbehave").text();
    assert!(page.contains("they are granted"), "{page}");
    for line in [
        "rosey_plugin_sandbox{plugin=\"dice-roller\",rule=\"files\",state=\"enforced\"} 1",
        "rosey_plugin_sandbox{plugin=\"misbehave\",rule=\"processes\",state=\"off\"} 1",
        "rosey_plugin_sandbox{plugin=\"misbehave\",rule=\"processes\",state=\"enforced\"} 0",
    ] {
        wait_until("the metrics have it", || http::get(&address, "/metrics").text().contains(line));
    }
    assert!(bot.end().success());
    let (code, out, _) = shell(&folder, &["check"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("sandbox    dice-roller: every rule is enforced"), "{out}");
}

#[tokio::test]
async fn what_is_granted_works_and_nothing_else() {
    let granted = tempfile::tempdir().expect("a directory");
    let path = |name: &str| granted.path().join(name);
    for folder in ["read", "write", "other"] {
        std::fs::create_dir(path(folder)).expect("our directory");
        std::fs::write(path(folder).join("file"), folder).expect("our directory");
    }
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (granted_port, other_port) = (listen(), listen());
    let port = |listener: &TcpListener| listener.local_addr().expect("it is bound").port();
    let rig = start(Sandbox {
        files: vec![path("read")],
        writable: vec![path("write")],
        network: Network::Ports(vec![port(&granted_port)]),
        processes: true,
        ..Sandbox::default()
    })
    .await;
    let ask = async |script: &str| rig.ask(&format!("!sh cd {} && {script}", granted.path().display())).await;
    assert_eq!(ask("cat read/file").await, "read");
    assert_eq!(ask("cat write/file").await, "write");
    assert_eq!(ask("cat other/file || echo refused").await, "refused");
    assert_eq!(ask("echo more >> write/file && cat write/file").await, "writemore");
    assert_eq!(ask("(echo more >> read/file) 2> /dev/null || echo refused").await, "refused");
    assert_eq!(ask("ls other || echo refused").await, "refused");
    // Names are resolved, and certificates are there to be read.
    assert_eq!(rig.ask(&format!("!reach localhost:{}", port(&granted_port))).await, "done");
    assert_eq!(rig.ask(&format!("!reach 127.0.0.1:{}", port(&other_port))).await, "EACCES");
    assert_eq!(ask("date -d @0 +%Y").await, "1970");
    assert_eq!(ask("kill -0 1 2> /dev/null || echo refused").await, "refused");
    assert_eq!(ask("sleep 100 & kill $! && wait $!; echo $?").await, "143");
    rig.stop().await;
}

#[test]
fn no_plugin_gets_into_the_control_socket_whatever_its_profile() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder.start("[plugins.misbehave]\nsandbox = { profile = \"open\" }\n");
    let config = folder.path().join("rosey.toml");
    let rosey = format!("{} admin list --config {}", build::rosey().display(), config.display());
    assert_eq!(bot.ask("!echo hello"), "hello");
    assert_eq!(shell(&folder, &["admin", "list"]).0, 0);
    assert_eq!(bot.ask(&format!("!sh {rosey} 2>&1")), "rosey: plugins may not use the control socket.");
    // Nor by a process that leaves its parent.
    bot.ask(&format!("!sh (({rosey} > out 2>&1; mv out told) &); echo started"));
    let told = folder.path().join("state/data/misbehave/told");
    wait_until("it was refused", || told.exists());
    let told = std::fs::read_to_string(told).expect("it exists");
    assert!(told.contains("plugins may not use the control socket"), "{told}");
    assert!(bot.end().success());
}

#[test]
fn memory_of_a_process_that_left_its_plugin_counts() {
    let folder = Folder::new(&["misbehave"]);
    let mut bot = folder
        .start("[plugins.misbehave]\nsandbox = { processes = true }\nlimits = { memory_mb = 64, log_lines = 1000 }\n");
    let hoard = "x=\\$(head -c 150M /dev/zero | tr '\\\\0' x); sleep 1000";
    assert_eq!(bot.ask(&format!("!sh (sh -c \"{hoard}\" > /dev/null 2>&1 < /dev/null &); echo started")), "started");
    bot.until_logged("MiB of memory; its limit is 64 MiB");
    bot.end();
}
