//! A hostile plugin tries every act of the catalogue under the sandbox.

use rosey::plugins::{PluginConfig, Sandbox};
use rosey_tests::{
    acts::{ACTS, table},
    build,
    rig::{Rig, plugin},
};
use rosey_wire::sandbox::{Profile, Rule};
use std::{collections::BTreeMap, fs, os::unix::net::UnixListener};

/// A rig with a hostile plugin, and everything that it is after.
async fn start(sandbox: Sandbox) -> (Rig, UnixListener) {
    let rig = Rig::start(vec![PluginConfig { sandbox, ..plugin("p", &build::library("misbehave")) }]).await;
    let neighbour = rig.state().join("data/neighbour");
    fs::create_dir(&neighbour).expect("our directory");
    for file in [neighbour.join("secret"), rig.state().join("neighbour-file")] {
        fs::write(file, "secret").expect("our directory");
    }
    let control = UnixListener::bind(rig.state().join("control")).expect("our directory");
    (rig, control)
}

#[tokio::test]
async fn the_sandbox_stops_every_act() {
    let (rig, control) = start(Sandbox::default()).await;
    let mut wrong = BTreeMap::new();
    for act in ACTS {
        let answer = rig.ask(&format!("!act {}", act.name)).await;
        if answer != act.error {
            wrong.insert(act.name, answer);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let secret = fs::read_to_string(rig.state().join("neighbour-file")).expect("it is there");
    assert_eq!(secret, "secret");
    control.set_nonblocking(true).expect("it is open");
    assert!(control.accept().is_err(), "nobody has connected");
    let view = rig.until("p", |view| view.active().is_some()).await;
    assert_eq!(view.account.crash_count, 0, "the plugin got an error each time, and goes on");
    assert_eq!(rig.ask("!echo hello").await, "hello");
    rig.stop().await;
}

#[tokio::test]
async fn the_rule_stops_it_and_nothing_else() {
    let (rig, _control) = start(Sandbox { profile: Profile::Open, ..Sandbox::default() }).await;
    let mut wrong = BTreeMap::new();
    for act in ACTS {
        let answer = rig.ask(&format!("!act {}", act.name)).await;
        if (answer == "done") != act.succeeds_when_open {
            wrong.insert(act.name, answer);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    rig.stop().await;
}

#[test]
fn the_catalogue_is_what_the_page_says() {
    assert!(ACTS.len() >= 40);
    for rule in Rule::ALL {
        assert!(ACTS.iter().any(|act| act.rule == rule), "no act tries the rule {rule}");
    }
    let page = include_str!("../../SECURITY.md");
    let table = table();
    assert!(page.contains(&table), "the table of SECURITY.md should be:\n{table}");
}
