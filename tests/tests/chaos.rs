//! A short storm. The long one is `cargo run --release -p rosey-tests --bin chaos`; docs/RELIABILITY.md has its result.

use rosey_tests::chaos::{Plan, play};
use std::time::Duration;

#[tokio::test]
async fn in_a_storm_every_event_has_one_answer_and_the_ledgers_balance() {
    // A failure prints its plan, and this repeats it.
    let seed = std::env::var("ROSEY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(23);
    let plan = Plan {
        seed,
        plugins: 6,
        channels: 4,
        window: 32,
        lasts: Duration::from_secs(10),
        fault_every: Duration::from_millis(100),
        hostile: 0,
    };
    println!("{plan:?}");
    let account = play(plan).await;
    println!("{account:#?}");
    assert!(account.events > 10_000, "too little happened to prove anything: {account:?}");
    assert!(account.crashes.len() >= 3 && account.changes.0 > 0 && account.changes.1 > 0, "{account:?}");
}

#[tokio::test]
async fn among_hostile_plugins_the_others_lose_nothing() {
    let plan = Plan {
        seed: 5,
        plugins: 3,
        channels: 2,
        window: 8,
        lasts: Duration::from_secs(8),
        fault_every: Duration::from_millis(50),
        hostile: 3,
    };
    println!("{plan:?}");
    let account = play(plan).await;
    println!("{account:#?}");
    assert!(account.events > 1000 && account.hostile.values().sum::<u64>() > 3, "too little happened: {account:?}");
    assert!(account.crashes.is_empty() && account.redelivered == 0, "{account:?}");
    assert_eq!(account.outcomes["replied"], account.events, "{account:?}");
}
