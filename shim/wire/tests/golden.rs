//! The bytes on the wire. A change here is a change of the protocol, and needs a new version.

use rosey_wire::{
    call::{Call, Returned, TimerInfo, WalkedKey},
    effect::{Effect, Effects, Read, Scope, Style, Target, When},
    event::{Body, Occurrence},
    frame::{encode, pack},
    hello::{self, Hello},
    manifest::{CommandV1, ManifestV1, ReloadMode},
    message::{Answer, Command, Load, LoadStep, ToHost, ToShim},
    sandbox::{Finding, Network, Profile, Rule, RuleState, SandboxPolicy},
};

fn packed<T: serde::Serialize>(part: &T) -> String {
    pack(part).expect("small").iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex<T: serde::Serialize>(message: &T) -> String {
    let mut out = Vec::new();
    encode(message, &mut out).expect("small");
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn hello_is_the_same_for_ever() {
    let hello = Hello { magic: hello::MAGIC, min_version: 1, max_version: 300, token: "t0", shim_version: "0.1.0" };
    assert_eq!(hex(&hello), "14000000726f73657973686d01ac0202743005302e312e30");
    assert_eq!(hex(&hello::Answer::Welcome { version: 1 }), "020000000001");
    assert_eq!(hex(&hello::Answer::Refused { reason: "no" }), "0400000001026e6f");
}

#[test]
fn messages_to_a_shim() {
    let command = Command {
        id: 5,
        probe: false,
        deadline_ms: 30_000,
        command: "roll",
        args: "2d6",
        user: "al",
        channel: "c",
        connector: "irc",
        traceparent: "",
    };
    assert_eq!(hex(&ToShim::Command(command)), "19000000000500b0ea0104726f6c6c0332643602616c01630369726300");
    let load = Load { plugin: "p", generation: 2, library: "/l", page: "/g", config: "{}", inspect: false };
    assert_eq!(hex(&ToShim::Load(load)), "0e000000010170 02 022f6c 022f67 027b7d 00".replace(' ', ""));
    assert_eq!(hex(&ToShim::Ping(7)), "020000000207");
    assert_eq!(hex(&ToShim::Snapshot), "0100000003");
    assert_eq!(hex(&ToShim::Restore { version: 1, state: &[9] }), "04000000 04 01 01 09".replace(' ', ""));
    assert_eq!(hex(&ToShim::Collect), "0100000005");
    assert_eq!(hex(&ToShim::Stop), "0100000006");
}

#[test]
fn messages_to_the_host() {
    assert_eq!(hex(&ToHost::Reply { event: 5, answer: Answer::Replied("4") }), "050000000005000134");
    assert_eq!(hex(&ToHost::Reply { event: 5, answer: Answer::Ignored }), "03000000000501");
    let failed = Answer::Failed { text: "a", detail: "b" };
    assert_eq!(hex(&ToHost::Reply { event: 5, answer: failed }), "0700000000050201610162");
    let manifest = ManifestV1 {
        name: "n".into(),
        version: "1".into(),
        api: "1".into(),
        description: String::new(),
        commands: vec![CommandV1 {
            name: "r".into(),
            aliases: vec![],
            usage: "u".into(),
            help: "h".into(),
            cooldown_ms: 0,
        }],
        probe: Some("r".into()),
        reload: ReloadMode::Handoff,
        state_version: 1,
        reads_state: (1, 1),
    };
    let bytes = "18000000 01 016e 0131 0131 00 01 0172 00 0175 0168 00 01 0172 01 01 01 01";
    assert_eq!(hex(&ToHost::Loaded(Box::new(manifest))), bytes.replace(' ', ""));
    assert_eq!(hex(&ToHost::LoadFailed { step: LoadStep::Create, message: "x" }), "0400000002040178");
    assert_eq!(hex(&ToHost::LoadFailed { step: LoadStep::Settings, message: "x" }), "0400000002050178");
    assert_eq!(hex(&ToHost::Pong(7)), "020000000307");
    assert_eq!(hex(&ToHost::Log { level: 3, target: "t", message: "m" }), "06000000 04 03 0174 016d".replace(' ', ""));
    assert_eq!(hex(&ToHost::State { version: 1, state: &[9] }), "0400000005010109");
    assert_eq!(hex(&ToHost::Restored), "0100000006");
    assert_eq!(hex(&ToHost::StateFailed { message: "m" }), "0300000007016d");
    assert_eq!(hex(&ToHost::Metrics("{}")), "0400000008027b7d");
    assert_eq!(hex(&ToHost::Stopped), "0100000009");
}

#[test]
fn what_version_2_adds() {
    let occur = ToShim::Occur { id: 5, probe: false, deadline_ms: 30_000, event: &[1, 2] };
    assert_eq!(hex(&occur), "09000000 07 05 00 b0ea01 02 0102".replace(' ', ""));
    assert_eq!(hex(&ToShim::Returned { call: 3, answer: &[7] }), "04000000 08 03 01 07".replace(' ', ""));
    assert_eq!(hex(&ToShim::Migrate { id: 9, from: 1 }), "03000000 09 09 01".replace(' ', ""));
    assert_eq!(hex(&ToHost::Described("{}")), "04000000 0a 02 7b7d".replace(' ', ""));
    let reply = ToHost::ReplyWith { event: 5, answer: Answer::Ignored, effects: &[1] };
    assert_eq!(hex(&reply), "05000000 0b 05 01 01 01".replace(' ', ""));
    assert_eq!(hex(&ToHost::Call { call: 3, event: 5, request: &[7] }), "05000000 0c 03 05 01 07".replace(' ', ""));
}

#[test]
fn events_of_every_kind() {
    let of = |body| packed(&Occurrence { handler: 1, user: "al", channel: "c", connector: "irc", body });
    let head = "01 02616c 0163 03697263 ".replace(' ', "");
    for (body, bytes) in [
        (Body::Message { text: "x" }, "00 0178"),
        (Body::Join, "01"),
        (Body::Part { reason: "x" }, "02 0178"),
        (Body::Nick { new: "x" }, "03 0178"),
        (Body::Topic { text: "x" }, "04 0178"),
        (Body::Timer { name: "t", payload: &[1], due_ms: 2, late_ms: 3 }, "05 0174 01 01 02 03"),
        (Body::Signal { from: "p", topic: "t", payload: &[1], depth: 1 }, "06 0170 0174 01 01 01"),
        (Body::Start, "07"),
        (Body::Command { name: "n", args: "x" }, "08 016e 0178"),
    ] {
        assert_eq!(of(body), format!("{head}{}", bytes.replace(' ', "")));
    }
}

#[test]
fn effects_and_calls() {
    let effects = Effects {
        reads: vec![
            Read::Key { scope: Scope::Global, key: "k", version: 1 },
            Read::Prefix { scope: Scope::Member, prefix: "p", count: 2, version: 3 },
        ],
        changes: vec![
            Effect::Put { scope: Scope::Channel, key: "k", value: "1", ttl_ms: 0 },
            Effect::Delete { scope: Scope::User, key: "k" },
            Effect::Add { scope: Scope::Global, key: "k", by: -1 },
            Effect::Say { to: Target::Here, style: Style::Plain, text: "x" },
            Effect::Say { to: Target::Privately, style: Style::Notice, text: "x" },
            Effect::Say { to: Target::Channel { connector: "i", channel: "c" }, style: Style::Action, text: "x" },
            Effect::SetTimer { name: "t", when: When::After(5), payload: &[1] },
            Effect::SetTimer { name: "t", when: When::At(5), payload: &[] },
            Effect::SetTimer { name: "t", when: When::Every { cron: "c", zone: "" }, payload: &[] },
            Effect::CancelTimer { name: "t" },
            Effect::Publish { topic: "t", payload: &[1] },
        ],
    };
    let bytes = "02 00 00 016b 01 01 03 0170 02 03 0b 00 01 016b 0131 00 01 02 016b 02 00 016b 01 03 00 00 0178 03 01 01 0178 \
                 03 02 0169 0163 02 0178 04 0174 00 05 01 01 04 0174 01 05 00 04 0174 02 0163 00 00 05 0174 06 0174 01 01";
    assert_eq!(packed(&effects), bytes.replace(' ', ""));
    assert_eq!(packed(&Call::Get { scope: Scope::User, key: "k" }), "0002016b");
    assert_eq!(packed(&Call::List { scope: Scope::Global, prefix: "p", limit: 9, after: "" }), "010001700900");
    assert_eq!(packed(&Call::Timers), "02");
    assert_eq!(packed(&Call::Transaction(Effects::default())), "030000");
    assert_eq!(packed(&Returned::Value { version: 3, value: "1" }), "00030131");
    let page = Returned::Page { entries: vec![("k", "1")], more: true, count: 2, version: 3 };
    assert_eq!(packed(&page), "01 01 016b 0131 01 02 03".replace(' ', ""));
    assert_eq!(packed(&Returned::Timers(vec![TimerInfo { name: "t", due_ms: 5, cron: "" }])), "020101740500");
    assert_eq!((packed(&Returned::Done), packed(&Returned::Conflict)), ("03".to_owned(), "04".to_owned()));
    assert_eq!(packed(&Returned::Failed("x")), "050178");
}

#[test]
fn migrations() {
    let change = |value| Effect::Rewrite { scope: "", key: "k", value, expires_ms: 5 };
    assert_eq!(packed(&change(Some("1"))), "07 00 016b 01 0131 05".replace(' ', ""));
    let staged = Effects { reads: vec![], changes: vec![change(None)] };
    assert_eq!(packed(&Call::Stage(staged)), "05 00 01 07 00 016b 00 05".replace(' ', ""));
    assert_eq!(packed(&Call::Walk { scope: "s", key: "k", limit: 9 }), "04 0173 016b 09".replace(' ', ""));
    let key = WalkedKey { scope: "", key: "k", value: "1", expires_ms: 0 };
    assert_eq!(
        packed(&Returned::Walked { entries: vec![key], more: true }),
        "06 01 00 016b 0131 00 01".replace(' ', "")
    );
}

#[test]
fn what_version_3_adds() {
    let policy = SandboxPolicy {
        profile: Profile::Standard,
        network: Network::Ports(vec![443]),
        files: vec!["/f".to_owned()],
        writable: vec!["/w".to_owned()],
        processes: false,
        data_bytes: 5,
        require: vec![Rule::Files],
        landlock: 7,
    };
    let bytes = "13000000 0a 01 01 01 bb03 01 022f66 01 022f77 00 05 01 03 07";
    assert_eq!(hex(&ToShim::Confine(policy)), bytes.replace(' ', ""));
    let finding = Finding { rule: Rule::Calls, state: RuleState::Unavailable, detail: "d" };
    assert_eq!(hex(&ToHost::Confined(vec![finding])), "06000000 0d 01 08 01 0164".replace(' ', ""));
    assert_eq!(hex(&ToHost::LoadFailed { step: LoadStep::Sandbox, message: "x" }), "0400000002060178");
}
