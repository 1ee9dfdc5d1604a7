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
use std::sync::Arc;

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
