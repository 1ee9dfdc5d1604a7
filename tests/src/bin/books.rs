//! The long version of the test of the books: `cargo run --release -p rosey-tests --bin books -- --seconds 600 --seed 7`.

use rosey_tests::{
    books::{Plan, play},
    tool::argument,
};
use std::time::Duration;

fn main() {
    let lasts = Duration::from_secs(argument("--seconds").unwrap_or(60));
    let plan = Plan { seed: argument("--seed").unwrap_or(7), lasts, window: 16 };
    println!("{plan:?}");
    println!("{:#?}", play(plan));
    println!("each command counts once, each line is said once, each timer fires once");
}
