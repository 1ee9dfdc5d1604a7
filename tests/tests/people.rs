//! Fifty people at once, as on a busy evening, while plugins change under them.

use rosey_core::outcome::OUTCOMES;
use rosey_tests::{
    build,
    rig::{Rig, plugin},
};
use std::sync::Arc;
use tokio::sync::watch;

const PEOPLE: usize = 50;

const RELOADS: usize = 10;

/// One person talks until told to stop: every answer is that of the line before, and none is an error. Returns their number.
async fn person(rig: Arc<Rig>, number: usize, stop: watch::Receiver<bool>) -> u64 {
    let mut channel = rig.channel(&format!("#room{}-{number}", number % 5));
    let name = format!("person{number}");
    let mut asked = 0;
    while !*stop.borrow() {
        channel.say_as(&name, &format!("!echo {name} {asked}")).await;
        assert_eq!(channel.answer().await.as_deref(), Some(format!("{name} {asked}").as_str()));
        asked += 1;
    }
    assert!(channel.is_quiet(), "an answer that nobody asked for");
    asked
}

#[tokio::test]
async fn fifty_people_notice_none_of_ten_reloads() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = directory.path().join("libp.so");
    build::variant(&library, "0");
    let rig = Arc::new(Rig::start(vec![plugin("p", &library)]).await);
    let (stop, stopped) = watch::channel(false);
    let people: Vec<_> =
        (0..PEOPLE).map(|number| tokio::spawn(person(Arc::clone(&rig), number, stopped.clone()))).collect();
    for number in 1..=RELOADS {
        // So that every one of them has asked and been answered since the reload before.
        let before = rig.plugins.view("p").await.expect("there").ledger.accepted;
        rig.until("p", |view| view.ledger.accepted > before + PEOPLE as u64).await;
        build::variant(&library, &number.to_string());
        let candidate = rig.plugins.inspect("p").await.expect("a good build");
        rig.plugins.reload("p", candidate.artifact, false).await.expect("it passes its probe");
    }
    stop.send_replace(true);
    let mut asked = 0;
    for person in people {
        asked += person.await.expect("each was answered in order");
    }
    assert_eq!(rig.ask("!variant").await, RELOADS.to_string());
    let view = rig.until("p", |view| view.queued + view.in_flight == 0).await;
    assert_eq!(view.ledger.accepted, asked + 1, "{view:#?}");
    assert_eq!(view.ledger.outcomes[0], asked + 1, "all were {}: {view:#?}", OUTCOMES[0]);
    assert_eq!((view.ledger.late, view.account.crash_count), (0, 0));
    Arc::into_inner(rig).expect("all people have left").stop().await;
}
