//! The module as the shim calls it: from one thread, with replies from two.

use abi_stable::{
    prefix_type::PrefixTypeTrait,
    std_types::{RSlice, RStr},
};
use plugin_api::{
    __private::LibHeader,
    abi::module::{HostApi, HostApiRef, PluginModRef, RawEvent, flags, outcome},
    event::Message,
    metrics::Counter,
    prelude::*,
};
use rosey_wire::{
    call::{Call, Returned},
    effect::{Effect, Effects, Read, Scope, Style, Target},
    event::{Body, Occurrence},
    frame::{decode, pack},
};
use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

static ASKED: Counter = Counter::new("asked_total", "Questions.");

#[derive(Default)]
struct Subject;

#[plugin(state_version = 4, store_version = 2)]
impl Subject {
    #[command]
    fn quick(&self, cx: &Context) -> String {
        ASKED.inc();
        tracing::info!(user = cx.user(), "asked");
        tracing::trace!("never seen");
        format!("lane {}", cx.traceparent().unwrap_or("none"))
    }

    #[command]
    async fn ready(&self, _cx: &Context) -> &'static str {
        "ready"
    }

    #[command]
    async fn slow(&self, _cx: &Context) -> String {
        tokio::time::sleep(Duration::from_millis(5)).await;
        format!("{:?}", std::thread::current().name())
    }

    #[command]
    async fn spawned(&self, cx: &Context) {
        let event = cx.event();
        tokio::spawn(async move { say(event + 1000, outcome::REPLIED, "from a task", "") });
    }

    #[command]
    async fn never(&self, _cx: &Context) {
        std::future::pending::<()>().await;
    }

    #[command]
    async fn bad(&self, _cx: &Context, when: u64) {
        if when > 0 {
            tokio::time::sleep(Duration::from_millis(when)).await;
        }
        panic!("after {when}");
    }

    #[command]
    async fn sum(&self, cx: &Context, more: u64) -> Result<String> {
        let before: u64 = cx.store().get("sum").await?.unwrap_or(0);
        cx.store().put("sum", &(before + more))?;
        Ok(format!("{}", before + more))
    }

    #[on(message)]
    async fn heard(&self, cx: &Context, message: &Message) -> Result<()> {
        cx.say(&format!("{} said {}", cx.user(), message.text))
    }

    #[migrate]
    fn upgrade(&self, cx: &Context, from: u32) -> Result<()> {
        cx.store().put("from", &from)
    }

    #[snapshot]
    fn save(&self) -> Result<Vec<u8>> {
        Ok(b"state".to_vec())
    }
}

type Reply = (u64, u8, String, String);
static REPLIES: Mutex<Option<mpsc::SyncSender<Reply>>> = Mutex::new(None);
static LOGS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static CALLED: Mutex<Vec<(u64, u64, Vec<u8>)>> = Mutex::new(Vec::new());
static EFFECTS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
static EXECUTING: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn say(event: u64, outcome: u8, text: &str, detail: &str) {
    let replies = REPLIES.lock().expect("no panic holds it");
    replies.as_ref().expect("set first").send((event, outcome, text.into(), detail.into())).expect("the test listens");
}

extern "C" fn reply(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>) {
    say(event, outcome, text.as_str(), detail.as_str());
}

extern "C" fn executing(lane: u32, event: u64) {
    EXECUTING[lane as usize].store(event, SeqCst);
}

extern "C" fn log(level: u8, _target: RStr<'_>, message: RStr<'_>) {
    LOGS.lock().expect("no panic holds it").push(format!("{level} {message}"));
}

extern "C" fn reply_with(event: u64, outcome: u8, text: RStr<'_>, detail: RStr<'_>, effects: RSlice<'_, u8>) {
    EFFECTS.lock().expect("no panic holds it").push(effects.to_vec());
    say(event, outcome, text.as_str(), detail.as_str());
}

extern "C" fn call(call: u64, event: u64, request: RSlice<'_, u8>) {
    CALLED.lock().expect("no panic holds it").push((call, event, request.to_vec()));
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

struct Shim {
    module: PluginModRef,
    replies: mpsc::Receiver<Reply>,
    last: u64,
}

impl Shim {
    fn load() -> Self {
        static HEADER: LibHeader = plugin_api::__private::lib_header::<Subject>();
        let module = HEADER.init_root_module::<PluginModRef>().expect("the layout is our own");
        let host: HostApiRef = HostApi { reply, executing, log, reply_with, call }.leak_into_prefix();
        module.create()(host, RSlice::from_slice(b"{}")).into_result().expect("it needs no settings");
        let (sender, replies) = mpsc::sync_channel(64);
        *REPLIES.lock().expect("no panic holds it") = Some(sender);
        Self { module, replies, last: 0 }
    }

    fn send(&mut self, command: &str, args: &str, deadline_ms: u32) -> u64 {
        self.last += 1;
        self.module.handle()(&RawEvent {
            id: self.last,
            flags: flags::PROBE,
            deadline_ms,
            command: command.into(),
            args: args.into(),
            user: "ann".into(),
            channel: "#c".into(),
            connector: "test".into(),
            traceparent: "".into(),
        });
        assert_eq!(EXECUTING[0].load(SeqCst), 0, "nothing executes after handle");
        self.last
    }

    fn occur(&mut self, handler: u16, body: Body<'_>) -> u64 {
        self.last += 1;
        let event = Occurrence { handler, user: "ann", channel: "#c", connector: "test", body };
        let event = pack(&event).expect("it is small");
        self.module.occur().expect("built against this plugin-api")(self.last, 0, 1000, event.as_slice().into());
        assert_eq!(EXECUTING[0].load(SeqCst), 0, "nothing executes after occur");
        self.last
    }

    /// Answers the one open call.
    fn answer(&self, event: u64, expected: &Call<'_>, answer: &Returned<'_>) {
        let (call, asked_by, request) = CALLED.lock().expect("no panic holds it").pop().expect("it has asked");
        assert_eq!((asked_by, &decode::<Call<'_>>(&request).expect("a call")), (event, expected));
        let answer = pack(answer).expect("it is small");
        self.module.returned().expect("built against this plugin-api")(call, answer.as_slice().into());
    }

    /// The answer that has already come.
    fn now(&self) -> Reply {
        self.replies.try_recv().expect("answered inline")
    }

    /// The answer that comes from the other thread.
    fn later(&self) -> Reply {
        self.replies.recv_timeout(Duration::from_secs(10)).expect("answered in the end")
    }
}

/// Checks the effects of the last event.
fn effects(check: impl FnOnce(Effects<'_>)) {
    let packed = EFFECTS.lock().expect("no panic holds it").pop().expect("it came with effects");
    check(decode(&packed).expect("effects"));
}

/// Calls, effects, and events that are no commands.
fn effects_travel_with_the_answer(shim: &mut Shim) {
    let get = Call::Get { scope: Scope::Global, key: "sum" };
    let id = shim.send("sum", "2", 1000);
    shim.answer(id, &get, &Returned::Value { version: 7, value: "40" });
    assert_eq!(shim.later(), (id, outcome::REPLIED, "42".into(), String::new()));
    effects(|effects| {
        assert_eq!(effects.reads, [Read::Key { scope: Scope::Global, key: "sum", version: 7 }]);
        assert_eq!(effects.changes, [Effect::Put { scope: Scope::Global, key: "sum", value: "42", ttl_ms: 0 }]);
    });

    let id = shim.send("sum", "2", 1000);
    shim.answer(id, &get, &Returned::Failed("the disk is full"));
    let (event, ended, _, detail) = shim.later();
    assert_eq!((event, ended, detail.as_str()), (id, outcome::FAILED, "reading \"sum\": the disk is full"));
    let id = shim.send("sum", "2", 1000);
    shim.answer(id, &get, &Returned::Value { version: 1, value: "\"text\"" });
    assert_eq!(
        (shim.later().0, EFFECTS.lock().expect("no panic holds it").len()),
        (id, 0),
        "a failure changes nothing"
    );

    let id = shim.occur(0, Body::Message { text: "hi" });
    assert_eq!(shim.now(), (id, outcome::IGNORED, String::new(), String::new()));
    effects(|effects| {
        let line = Effect::Say { to: Target::Here, style: Style::Plain, text: "ann said hi" };
        assert_eq!((effects.reads.len(), effects.changes), (0, vec![line]));
    });
    for (handler, body) in [(0, Body::Join), (1, Body::Message { text: "hi" })] {
        let id = shim.occur(handler, body);
        assert_eq!((shim.now().1, shim.last), (outcome::FAILED, id), "no handler for it");
    }
    shim.module.occur().expect("built against this plugin-api")(99, 0, 1000, RSlice::from_slice(&[255; 9]));
    assert_eq!(shim.now().0, 99, "what cannot be read is answered too");

    shim.module.migrate().expect("built against this plugin-api")(98, 1);
    assert_eq!(shim.now().0, 98);
    effects(|effects| {
        assert_eq!(effects.changes, [Effect::Put { scope: Scope::Global, key: "from", value: "1", ttl_ms: 0 }]);
    });
}

// One test, because a library has one instance and the shim one thread.
#[test]
fn a_library_keeps_the_contract() {
    let mut shim = Shim::load();
    let manifest: serde_json::Value = serde_json::from_slice(&shim.module.manifest()()).expect("JSON");
    assert_eq!((manifest["name"].as_str(), manifest["state_version"].as_u64()), (Some("plugin-api"), Some(4)));

    let check = shim.module.check_settings().expect("built against this plugin-api");
    check(RSlice::from_slice(b"{}")).into_result().expect("it has no settings");

    let before = threads();
    let id = shim.send("quick", "", 1000);
    assert_eq!(shim.now(), (id, outcome::REPLIED, "lane none".into(), String::new()));
    assert_eq!(*LOGS.lock().expect("no panic holds it"), ["3 asked user=\"ann\""]);
    assert_eq!(shim.module.metrics()().as_slice().first(), Some(&b'{'));

    let id = shim.send("ready", "", 1000);
    assert_eq!(shim.now(), (id, outcome::REPLIED, "ready".into(), String::new()));
    let id = shim.send("bad", "0", 1000);
    let (event, ended, text, detail) = shim.now();
    assert_eq!((event, ended, text.as_str()), (id, outcome::FAILED, "Sorry, something went wrong."));
    assert!(detail.contains("boundary.rs") && detail.ends_with("after 0"), "{detail}");
    let id = shim.send("bad", "x", 1000);
    assert_eq!((shim.now().0, threads()), (id, before), "no thread for what is ready at once");

    let id = shim.send("spawned", "", 1000);
    assert_eq!(shim.now(), (id, outcome::IGNORED, String::new(), String::new()));
    assert_eq!(shim.later().0, id + 1000, "a task left behind is driven");
    let id = shim.send("slow", "", 1000);
    assert_eq!(shim.later(), (id, outcome::REPLIED, "Some(\"plugin-runtime\")".into(), String::new()));
    let id = shim.send("bad", "2", 1000);
    let (event, ended, _, detail) = shim.later();
    assert_eq!((event, ended), (id, outcome::FAILED));
    assert!(detail.ends_with("after 2"), "{detail}");
    effects_travel_with_the_answer(&mut shim);
    shim.send("never", "", 20);
    let dropped = || LOGS.lock().expect("no panic holds it").iter().any(|line| line.contains("at its deadline"));
    while !dropped() {
        std::thread::yield_now();
    }
    let state = shim.module.snapshot()().into_result().expect("it has a snapshot");
    assert_eq!((state.version, state.bytes.as_slice()), (4, b"state".as_slice()));
    let refused = shim.module.restore()(9, RSlice::from_slice(b"")).into_result().expect_err("it reads version 4 only");
    assert!(refused.contains("version 9"), "{refused}");
    shim.module.shutdown()();
}
