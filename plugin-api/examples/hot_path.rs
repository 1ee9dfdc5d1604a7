//! Measures the cost of one event between the shim and an author's handler: `cargo run --release --example hot_path`.

use abi_stable::{
    prefix_type::PrefixTypeTrait,
    std_types::{RSlice, RStr},
};
use plugin_api::{
    __private::lib_header,
    abi::module::{HostApi, PluginModRef, RawEvent},
    prelude::*,
};
use std::{hint::black_box, time::Instant};

#[derive(Default)]
struct Subject;

#[plugin]
impl Subject {
    #[command]
    fn quick(&self, _cx: &Context, _text: Rest) -> &'static str {
        "pong"
    }

    #[command]
    async fn ready(&self, _cx: &Context, number: u32) -> String {
        number.to_string()
    }

    #[command(cooldown = "1ms")]
    fn cool(&self, _cx: &Context) -> &'static str {
        "pong"
    }

    #[command]
    async fn slow(&self, _cx: &Context) -> &'static str {
        tokio::task::yield_now().await;
        "pong"
    }
}

extern "C" fn reply(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>) {
    black_box((event, outcome, text, detail));
}
extern "C" fn executing(lane: u32, event: u64) {
    black_box((lane, event));
}
extern "C" fn log(_: u8, _: RStr<'_>, _: RStr<'_>) {}
extern "C" fn reply_with(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>, effects: RSlice<'_, u8>) {
    black_box((event, outcome, text, detail, effects));
}
extern "C" fn call(_: u64, _: u64, _: RSlice<'_, u8>) {}

fn rss_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

fn main() {
    const EVENTS: u64 = 2_000_000;
    let header = Box::leak(Box::new(lib_header::<Subject>()));
    let module = header.init_root_module::<PluginModRef>().expect("the layout is our own");
    let host = HostApi { reply, executing, log, reply_with, call }.leak_into_prefix();
    module.create()(host, RSlice::from_slice(b"{}")).into_result().expect("it needs no settings");
    for (command, args, events) in
        [("quick", "some words", EVENTS), ("ready", "17", EVENTS), ("cool", "", EVENTS), ("slow", "", EVENTS / 20)]
    {
        let before = rss_kib();
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            for id in 1..=events {
                module.handle()(&RawEvent {
                    id,
                    flags: 0,
                    deadline_ms: 30_000,
                    command: command.into(),
                    args: args.into(),
                    user: "alice".into(),
                    channel: "#general".into(),
                    connector: "console".into(),
                    traceparent: "".into(),
                });
            }
            best = best.min(start.elapsed().as_nanos() as f64 / events as f64);
        }
        println!("{command:6} {best:7.1} ns/event {:5.1} M/s, RSS {before} -> {} KiB", 1e3 / best, rss_kib());
    }
}
