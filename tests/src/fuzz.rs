//! The parsers of untrusted input, each as a function of any bytes. A function panics when a promise is broken.
//!
//! `tests/fuzz` runs them under libFuzzer, and `tests/tests/fuzz.rs` on the inputs in `tests/fuzz/corpus`.

#[path = "../../plugins/dice-roller/src/dice.rs"]
mod dice;

use dice::Dice;
use rosey::{
    artifact::elf,
    config::Config,
    connect::irc::{
        frame::Frames,
        message::{LINE_WITH_TAGS, Message, decoded, plain},
    },
};
use rosey_wire::{
    call::{Call, Returned},
    effect::Effects,
    event::Occurrence,
    frame::{self, Reader},
    hello,
    message::{ToHost, ToShim},
};
use std::{io::Cursor, path::PathBuf};

/// The name of a target, which its folder in the corpus has too, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 6] =
    [("frame", frame), ("message", message), ("elf", elf), ("irc", irc), ("config", config), ("dice", dice)];

/// The folder of a target's inputs.
pub fn corpus(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// Bytes from a shim's socket. The pieces in which they arrive must make no difference.
pub fn frame(bytes: &[u8]) {
    assert_eq!(frames(bytes, 1), frames(bytes, usize::MAX), "the pieces make a difference");
}

/// The frames of bytes that arrive in pieces of `step`, up to one that is refused.
fn frames(mut bytes: &[u8], step: usize) -> Vec<Result<Vec<u8>, String>> {
    let (mut reader, mut found) = (Reader::default(), Vec::new());
    while !bytes.is_empty() {
        let space = reader.space();
        let take = step.min(bytes.len()).min(space.len());
        space[..take].copy_from_slice(&bytes[..take]);
        reader.filled(take);
        bytes = &bytes[take..];
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => found.push(Ok(frame.to_vec())),
                Ok(None) => break,
                Err(error) => {
                    found.push(Err(error.to_string()));
                    return found;
                }
            }
        }
    }
    found
}

/// The content of a frame, in both directions. A message that can be read must survive a write and another read.
pub fn message(bytes: &[u8]) {
    macro_rules! round_trip {
        ($($kind:ty),*) => {$(
            if let Ok(message) = frame::decode::<$kind>(bytes) {
                let mut out = Vec::new();
                frame::encode(&message, &mut out).expect("it came in a frame, so it fits one");
                assert_eq!(frame::decode(&out[size_of::<u32>()..]).ok(), Some(message));
            }
        )*};
    }
    round_trip!(ToHost<'_>, ToShim<'_>, Occurrence<'_>, Effects<'_>, Call<'_>, Returned<'_>);
    round_trip!(hello::Hello<'_>, hello::Answer<'_>);
}

/// The headers of a plugin's library.
pub fn elf(bytes: &[u8]) {
    if let Err(elf::CheckError::Io(error)) = elf::check(&mut Cursor::new(bytes), bytes.len() as u64) {
        panic!("it read beyond the file: {error}");
    }
}

/// Lines of an IRC server.
pub fn irc(bytes: &[u8]) {
    Frames::default().feed(bytes, |line| {
        let Some(line) = line else { return };
        assert!(line.len() <= LINE_WITH_TAGS && !line.contains(&b'\n'));
        let line = decoded(line);
        assert!(!plain(&line).contains(char::is_control));
        let Some(message) = Message::parse(&line) else { return };
        assert!(!message.command.is_empty() && message.parameters().len() <= 15);
        let _ = (message.tag("account"), message.sender(), message.nick());
    });
}

/// A configuration file, TOML or JSON. A refusal must have a reason.
pub fn config(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().expect("the temporary folder can be written");
    std::fs::write(file.path(), bytes).expect("the temporary folder can be written");
    match Config::load(file.path()) {
        Ok(config) => assert!(!config.summary().is_empty() && config.plugins().len() <= config.plugins.len()),
        Err(error) => {
            assert!(error.problems.iter().any(|problem| !problem.text.is_empty()), "refused without a reason")
        }
    }
}

/// The dice of a player. A roll must be in the range of its dice, and read as the dice that it was.
pub fn dice(bytes: &[u8]) {
    let Ok(dice) = String::from_utf8_lossy(bytes).parse::<Dice>() else { return };
    assert_eq!(dice.to_string().parse::<Dice>().as_ref(), Ok(&dice));
    let (least, most) = (dice.roll(|_| 1), dice.roll(|sides| sides));
    assert!(least.total() <= most.total(), "{least} is more than {most}");
}
