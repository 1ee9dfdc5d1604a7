//! A short run of the books; the long one is `cargo run --release -p rosey-tests --bin books`.

use rosey_tests::books::{Plan, play};
use std::time::Duration;

#[test]
fn whatever_is_killed_the_books_agree_to_the_event() {
    // A failure shows its plan; this repeats it.
    let seed = std::env::var("ROSEY_CHAOS_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(5);
    let plan = Plan { seed, lasts: Duration::from_secs(12), window: 8 };
    println!("{plan:?}");
    let account = play(plan);
    println!("{account:#?}");
    let enough = account.entered > 50 && account.host_kills > 2 && account.fired > 20 && account.newer > 0;
    assert!(enough, "too little happened: {account:?}");
}
