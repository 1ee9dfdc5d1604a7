//! The long version of the chaos test: `cargo run --release -p rosey-tests --bin chaos -- --seconds 600 --seed 7`.

use rosey_tests::chaos::{Plan, play};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).and_then(|value| value.parse::<u64>().ok())
    };
    let plan = Plan {
        seed: number("--seed").unwrap_or(7),
        plugins: number("--plugins").map_or(12, |count| count as usize),
        channels: 8,
        window: 64,
        lasts: Duration::from_secs(number("--seconds").unwrap_or(60)),
        fault_every: Duration::from_millis(100),
    };
    println!("{plan:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let account = runtime.block_on(play(plan));
    println!("{account:#?}");
    println!("every event has exactly one answer, in order; every ledger balances; no process is left");
}
