//! The long version of the test of the books: `cargo run --release -p rosey-tests --bin books -- --seconds 600 --seed 7`.

use rosey_tests::books::{Plan, play};
use std::time::Duration;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).and_then(|value| value.parse::<u64>().ok())
    };
    let lasts = Duration::from_secs(number("--seconds").unwrap_or(60));
    let plan = Plan { seed: number("--seed").unwrap_or(7), lasts, window: 16 };
    println!("{plan:?}");
    println!("{:#?}", play(plan));
    println!("each command counts once, each line is said once, each timer fires once");
}
