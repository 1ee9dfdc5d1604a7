//! The long version of the chaos test: `cargo run --release -p rosey-tests --bin chaos -- --seconds 600 --seed 7`.

use rosey_tests::{
    chaos::{Plan, play},
    tool::argument,
};
use std::time::Duration;

fn main() {
    let plan = Plan {
        seed: argument("--seed").unwrap_or(7),
        plugins: argument("--plugins").map_or(12, |count| count as usize),
        channels: 8,
        window: 64,
        lasts: Duration::from_secs(argument("--seconds").unwrap_or(60)),
        fault_every: Duration::from_millis(100),
        hostile: argument("--hostile").map_or(0, |count| count as usize),
    };
    println!("{plan:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let account = runtime.block_on(play(plan));
    println!("{account:#?}");
    println!("every event has exactly one answer, in order; every ledger balances; no process is left");
}
