//! Frames that the host did not ask for, past `plugin-api`.

use rosey_wire::{
    call::Call,
    effect::Scope,
    frame::{encode, pack},
    message::{Answer, ToHost},
};
use rustix::{
    fd::BorrowedFd,
    net::{SendFlags, send, sockopt::socket_type},
};

/// Frames in one write. So few bytes that the kernel takes all of them at once: no frame of another thread comes in between.
const BATCH: usize = 500;

/// A batch of frames of a kind.
pub fn frames(kind: &str) -> Option<Vec<u8>> {
    let get = pack(&Call::Get { scope: Scope::Global, key: "large" }).ok()?;
    let state = vec![7; 8 << 10];
    let message = match kind {
        "pong" => ToHost::Pong(0),
        "restored" => ToHost::Restored,
        "metrics" => ToHost::Metrics("{}"),
        "state" => ToHost::State { version: 1, state: &state },
        "answer" => ToHost::Reply { event: 1, answer: Answer::Ignored },
        "stopped" => ToHost::Stopped,
        "log" => ToHost::Log { level: 3, target: "flood", message: "flood" },
        "call" => ToHost::Call { call: 1, event: 0, request: b"nonsense" },
        "gets" | "reads" => ToHost::Call { call: 1, event: 0, request: &get },
        _ => return None,
    };
    let mut bytes = Vec::new();
    for _ in 0..if kind == "state" { 1 } else { BATCH } {
        encode(&message, &mut bytes).ok()?;
    }
    Some(bytes)
}

/// Writes the frames to the host again and again. Reads nothing.
pub fn send_for_ever(frames: &[u8]) -> ! {
    // SAFETY: the kernel refuses a number that is not open, and to write into the link is the purpose of this.
    let descriptors = (3..64).map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
    let links: Vec<_> = descriptors.filter(|fd| socket_type(fd).is_ok()).collect();
    loop {
        for link in &links {
            let mut rest = frames;
            while let Ok(sent @ 1..) = send(link, rest, SendFlags::NOSIGNAL) {
                rest = &rest[sent..];
            }
        }
    }
}
