//! The bytes on the wire, written down: a change here is a change of protocol, and needs a new version.

use rosey_wire::{
    frame::encode,
    hello::{self, Hello},
    manifest::{Command, Manifest, ReloadMode},
    message::{Answer, Event, Load, LoadStep, ToHost, ToShim},
};

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
    let event = Event {
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
    assert_eq!(hex(&ToShim::Event(event)), "19000000000500b0ea0104726f6c6c0332643602616c01630369726300");
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
    let manifest = Manifest {
        name: "n".into(),
        version: "1".into(),
        api: "1".into(),
        description: String::new(),
        commands: vec![Command {
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
