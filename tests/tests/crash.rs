//! Crashes on real processes: each has its cause, costs one process, and ends no innocent event.

use rosey::{
    plugins::PluginConfig,
    slot::{dead_letter, view::View},
};
use rosey_core::state::PluginState;
use rosey_tests::{
    bot::signal_process,
    build,
    rig::{Rig, plugin},
};
use rustix::process::Signal;
use std::time::Duration;

/// A rig with one misbehaving plugin `p`.
async fn start(change: impl FnOnce(&mut PluginConfig)) -> Rig {
    let mut config = plugin("p", &build::library("misbehave"));
    config.limits.backoff_first = Duration::from_millis(10);
    change(&mut config);
    Rig::start(vec![config]).await
}

fn assert_balanced(view: &View) {
    assert_eq!(view.ledger.accepted, view.ledger.finished() + (view.queued + view.in_flight) as u64, "{view:#?}");
}

/// The active generation's process.
async fn pid(rig: &Rig) -> u32 {
    rig.until("p", |view| view.active().is_some()).await.active().expect("waited for").pid
}

#[tokio::test]
async fn every_cause_has_its_name_and_the_last_words_are_kept() {
    let cases = [
        ("!abort", "signal", "SIGABRT", "about to abort"),
        ("!exit 9", "exit", "exit status 9", ""),
        ("!overflow", "signal", "SIGABRT", "overflow"),
        ("!garbage", "protocol", "broke the protocol", ""),
    ];
    for (line, kind, text, last_words) in cases {
        let rig = start(|_| {}).await;
        let answer = rig.ask(line).await;
        assert_eq!(
            answer, "That command crashed p twice, so Rosey does not try it again. The operator can see it.",
            "{line}"
        );
        let view = rig.until("p", |view| view.state == PluginState::Running && view.account.crash_count == 2).await;
        for crash in &view.account.crashes {
            assert_eq!(crash.cause.name(), kind, "{line}");
            assert!(crash.cause.to_string().contains(text), "{line}: {}", crash.cause);
            assert!(
                crash.stderr.iter().any(|printed| printed.contains(last_words)) || last_words.is_empty(),
                "{crash:?}"
            );
            // The host reads garbage only after the handler that wrote it is done.
            assert!(crash.executing == [line] || kind == "protocol", "{line}: {:?}", crash.executing);
        }
        assert_eq!(rig.ask("!echo hello").await, "hello");
        rig.stop().await;
    }
}

#[tokio::test]
async fn a_panic_costs_its_event_and_nothing_else() {
    let rig = start(|_| {}).await;
    let before = pid(&rig).await;
    assert!(!rig.ask("!panic").await.contains("this handler panics"), "that is for the operator");
    assert_eq!(rig.ask("!elsewhere").await, "it panicked");
    assert_eq!(pid(&rig).await, before);
    let view = rig.until("p", |view| view.ledger.outcomes[2] == 1).await;
    assert_eq!(view.account.crash_count, 0);
}

#[tokio::test]
async fn a_killed_process_comes_back_and_what_it_had_is_answered() {
    let rig = start(|_| {}).await;
    let mut channel = rig.channel("here");
    for n in 0..100 {
        channel.say(&format!("!later 50 {n}")).await;
    }
    rig.until("p", |view| view.in_flight == 100).await;
    signal_process(pid(&rig).await, Signal::KILL);
    for n in 0..100 {
        assert_eq!(channel.answer().await, Some(n.to_string()));
    }
    let view = rig.until("p", |view| view.account.crash_count == 1 && view.state == PluginState::Running).await;
    assert!(view.account.crashes[0].cause.to_string().contains("SIGKILL"), "{}", view.account.crashes[0].cause);
    assert_eq!(view.ledger.outcomes[0], 100);
    assert_balanced(&view);
}

#[tokio::test]
async fn events_that_take_long_are_not_delivered_one_at_a_time_after_a_kill() {
    let rig = start(|config| config.limits.event_deadline = Duration::from_secs(20)).await;
    let mut channel = rig.channel("here");
    for n in 0..60 {
        channel.say(&format!("!later 1000 {n}")).await;
    }
    rig.until("p", |view| view.in_flight == 60).await;
    // The plugin's thread polls it after all of them: its answer shows that each has begun and only waits now.
    assert_eq!(rig.ask("!later 1 x").await, "x");
    signal_process(pid(&rig).await, Signal::KILL);
    for n in 0..60 {
        assert_eq!(channel.answer().await, Some(n.to_string()), "each would time out behind the others");
    }
    let view = rig.until("p", |view| view.account.crash_count == 1).await;
    assert!(view.account.crashes[0].executing.is_empty());
    assert_eq!((view.ledger.outcomes[0], view.ledger.redelivered), (61, 60));
}

#[tokio::test]
async fn an_event_that_only_waits_is_not_blamed_for_kills() {
    let rig = start(|_| {}).await;
    let mut channel = rig.channel("here");
    channel.say("!later 500 innocent").await;
    for crash in 1..=3 {
        let pid = pid(&rig).await;
        rig.until("p", |view| view.active().is_some_and(|active| active.pid == pid && active.in_flight == 1)).await;
        // As above.
        rig.ask("!echo").await;
        signal_process(pid, Signal::KILL);
        rig.until("p", |view| view.account.crash_count == crash).await;
    }
    assert_eq!(channel.answer().await.as_deref(), Some("innocent"));
}

#[tokio::test]
async fn of_a_thousand_events_in_flight_exactly_the_poison_one_is_dead_lettered() {
    let rig = start(|_| {}).await;
    let mut channel = rig.channel("crowd");
    for n in 0..1024 {
        channel.say(&if n == 500 { "!abort".to_owned() } else { format!("!later 20 {n}") }).await;
    }
    for n in 0..1024 {
        let answer = channel.answer().await.expect("each is answered");
        let expected = if n == 500 { answer.contains("does not try it again") } else { answer == n.to_string() };
        assert!(expected, "{n}: {answer}");
    }
    let view = rig.until("p", |view| view.in_flight == 0).await;
    assert_eq!((view.ledger.outcomes[0], view.ledger.outcomes[5], view.account.crash_count), (1023, 1, 2));
    assert_balanced(&view);
    let letters = dead_letter::list(rig.plugins.database(), Some("p"), 10).await.expect("a database");
    let [letter] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!((letter.line.as_str(), letter.user.as_str(), letter.channel.as_str()), ("!abort", "tester", "crowd"));
    assert_eq!(letter.causes.len(), 2);
    assert!(letter.causes.iter().all(|cause| cause.contains("SIGABRT")));
}

#[tokio::test]
async fn a_hang_is_noticed_and_named_and_the_others_are_answered() {
    let rig = start(|config| {
        config.limits.heartbeat = Duration::from_millis(250);
        config.limits.hang_timeout = Duration::from_millis(500);
    })
    .await;
    let (mut stuck, mut other) = (rig.channel("stuck"), rig.channel("other"));
    stuck.say("!hang").await;
    other.say("!echo patient").await;
    assert!(stuck.answer().await.expect("there is an answer").contains("does not try it again"));
    assert_eq!(other.answer().await.as_deref(), Some("patient"));
    let view = rig.until("p", |view| view.account.crash_count == 2 && view.state == PluginState::Running).await;
    assert!(view.account.crashes.iter().all(|crash| crash.cause.name() == "hang"), "{:?}", view.account.crashes);
}

#[tokio::test]
async fn a_handler_that_blocks_those_that_wait_is_a_hang() {
    let rig = start(|config| {
        config.limits.heartbeat = Duration::from_millis(250);
        config.limits.hang_timeout = Duration::from_millis(500);
    })
    .await;
    let (mut stuck, mut other) = (rig.channel("stuck"), rig.channel("other"));
    stuck.say("!stall").await;
    other.say("!later 10 patient").await;
    assert!(stuck.answer().await.expect("there is an answer").contains("does not try it again"));
    assert_eq!(other.answer().await.as_deref(), Some("patient"));
    let view = rig.until("p", |view| view.account.crash_count == 2).await;
    assert!(view.account.crashes.iter().all(|crash| crash.executing == ["!stall"]), "{:?}", view.account.crashes);
}

#[tokio::test]
async fn a_stopped_process_is_noticed_though_it_has_nothing_to_do() {
    let rig = start(|config| config.limits.hang_timeout = Duration::from_millis(500)).await;
    signal_process(pid(&rig).await, Signal::STOP);
    let view = rig.until("p", |view| view.account.crash_count == 1).await;
    assert_eq!(view.account.crashes[0].cause.name(), "hang");
}

#[tokio::test]
async fn a_stopped_process_is_a_hang() {
    let rig = start(|config| {
        config.limits.heartbeat = Duration::from_millis(250);
        config.limits.hang_timeout = Duration::from_millis(500);
    })
    .await;
    signal_process(pid(&rig).await, Signal::STOP);
    assert_eq!(rig.ask("!echo hello").await, "hello");
    let view = rig.until("p", |view| view.account.crash_count == 1).await;
    assert_eq!(view.account.crashes[0].cause.name(), "hang");
}

#[tokio::test]
async fn an_event_that_waits_without_blocking_times_out_alone() {
    let rig = start(|config| config.limits.event_deadline = Duration::from_millis(500)).await;
    let before = pid(&rig).await;
    assert_eq!(rig.ask("!later 60000 never").await, "p did not answer within 1 s.");
    assert_eq!(pid(&rig).await, before);
    assert_eq!(rig.ask("!echo hello").await, "hello");
}

#[tokio::test]
async fn an_event_that_takes_all_memory_twice_is_set_aside() {
    let rig = start(|config| config.limits.memory_mb = 64).await;
    let mut channel = rig.channel("here");
    channel.say("!gobble 100").await;
    rig.until("p", |view| view.account.crash_count == 2).await;
    assert!(channel.answer().await.expect("there is an answer").contains("does not try it again"));
    assert_eq!(rig.ask("!echo hello").await, "hello");
}

#[tokio::test]
async fn memory_over_the_limit_ends_the_process_and_blames_no_event() {
    let rig = start(|config| config.limits.memory_mb = 64).await;
    rig.ask("!leak 100").await;
    let view = rig.until("p", |view| view.account.crash_count == 1 && view.state == PluginState::Running).await;
    assert_eq!(view.account.crashes[0].cause.name(), "memory");
    assert!(
        view.account.crashes[0].cause.to_string().contains("its limit is 64 MiB"),
        "{}",
        view.account.crashes[0].cause
    );
}

#[tokio::test]
async fn a_crash_loop_ends_in_failed_and_a_start_by_hand_tries_anew() {
    let rig = start(|_| {}).await;
    for crash in 1..=5 {
        signal_process(pid(&rig).await, Signal::KILL);
        rig.until("p", |view| view.account.crash_count == crash && view.state != PluginState::Starting).await;
    }
    let view = rig.until("p", |view| view.state == PluginState::Failed).await;
    assert!(view.explanation.as_deref().unwrap_or_default().contains("5 starts in a row"), "{:?}", view.explanation);
    assert_eq!(rig.ask("!echo hello").await, "p is not running.");
    rig.plugins.start("p").await.expect("it is there");
    assert_eq!(rig.ask("!echo hello").await, "hello");
}

#[tokio::test]
async fn while_it_is_down_events_wait_up_to_the_limit_and_the_rest_is_told() {
    let rig = start(|config| {
        config.limits.queue = 10;
        config.limits.backoff_first = Duration::from_millis(500);
        config.limits.backoff_max = Duration::from_millis(500);
    })
    .await;
    // The first restart is immediate; the second waits.
    for crash in 1..=2 {
        signal_process(pid(&rig).await, Signal::KILL);
        rig.until("p", |view| view.account.crash_count == crash && (crash == 2 || view.active().is_some())).await;
    }
    let mut channels: Vec<_> = (0..15).map(|n| rig.channel(&n.to_string())).collect();
    for (n, channel) in channels.iter().enumerate() {
        channel.say(&format!("!echo {n}")).await;
    }
    let mut answers = Vec::new();
    for channel in &mut channels {
        answers.push(channel.answer().await.expect("each is answered"));
    }
    let busy = answers.iter().filter(|answer| *answer == "p is busy, try again in a moment.").count();
    assert_eq!(busy, 5, "{answers:?}");
    assert_balanced(&rig.until("p", |view| view.queued == 0).await);
}

#[tokio::test]
async fn a_plugin_that_logs_without_end_is_bounded() {
    let rig = start(|config| config.limits.log_lines = 10).await;
    assert_eq!(rig.ask("!chatter 5000").await, "chattered");
    // All of them come before the answer, within a second or a few.
    let left_out = rig.plugins.journal().left_out("p");
    assert!((4001..5000).contains(&left_out), "{left_out}");
}

#[tokio::test]
async fn three_poison_events_do_not_take_the_plugin_down() {
    let rig = start(|_| {}).await;
    for _ in 0..3 {
        assert!(rig.ask("!abort").await.contains("does not try it again"));
        assert_eq!(rig.ask("!echo hello").await, "hello");
    }
    let view = rig.until("p", |view| view.account.crash_count == 6).await;
    assert_eq!((view.state, view.history.failures), (PluginState::Running, 0));
}

#[tokio::test]
async fn a_plugin_that_shouts_is_bounded_and_answers() {
    let rig = start(|_| {}).await;
    assert_eq!(rig.ask("!shout 100000").await, "shouted");
    assert_eq!(rig.ask("!long 100000").await.len(), 4096);
    assert!(rig.ask("!long 20000000").await.contains("too long"), "over the limit of a frame");
    assert_eq!(rig.ask("!echo hello").await, "hello");
}

#[tokio::test]
async fn nothing_is_left_of_a_rig_that_stopped() {
    let rig = start(|_| {}).await;
    let (pid, state) = (pid(&rig).await, rig.run_dir().to_owned());
    rig.ask("!echo hello").await;
    rig.plugins.stop_all().await;
    assert!(!rosey_tests::bot::runs(pid));
    // The spare shim may just be connecting.
    rig.until("p", |_| std::fs::read_dir(&state).expect("it is there").count() == 0).await;
    rig.stop().await;
}
