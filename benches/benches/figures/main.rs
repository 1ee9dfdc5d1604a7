//! `cargo bench -p benches [-- NAME…]`: every figure, or those whose names contain one of the arguments. Each has a
//! limit beside it that is measured in the same run.

mod events;
mod keep;
mod peers;
mod people;
mod processes;
mod reload;

use benches::{
    limit,
    table::{self, Row},
};
use rosey_core::limits::Limits;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: benches::used::Counting = benches::used::Counting;

/// Runs of a figure; the median is printed.
const RUNS: usize = 5;

fn main() {
    if limit::play_role() {
        return;
    }
    if events::play_counted() {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    type Figure = fn(&mut Vec<Row>);
    let figures: [(&str, Figure); 17] = [
        // First, because the others leave memory behind in this process, which is the host.
        ("footprint", processes::footprint),
        ("roundtrip", events::round_trip),
        ("throughput", events::throughput),
        ("cost", events::cost),
        ("instructions", events::instructions),
        ("durable", keep::durable),
        ("timers", keep::timers),
        ("listening", keep::listening),
        ("overload", events::overload),
        ("reload", reload::reload),
        ("crash", processes::crash_to_serving),
        ("startup", processes::startup),
        ("metrics", people::metrics),
        ("history", people::history),
        ("dashboard", people::dashboard),
        ("scale", processes::scale),
        ("peers", peers::peers),
    ];
    let mut rows = Vec::new();
    for (name, measure) in figures {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            eprintln!("{name} …");
            measure(&mut rows);
        }
    }
    table::print(&rows);
}

/// Limits that do not affect a figure.
fn limits() -> Limits {
    Limits { bake: Duration::ZERO, ..Limits::default() }
}
