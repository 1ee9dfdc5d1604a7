//! The parsers of untrusted input, each as a function of any bytes. A function panics when a promise is broken.
//!
//! `tests/fuzz` runs them under libFuzzer, and `tests/tests/fuzz.rs` on the inputs in `tests/fuzz/corpus`.

#[path = "../../plugins/dice-roller/src/dice.rs"]
mod dice;

use dice::Dice;
use rosey::{
    admin::socket::Request,
    artifact::elf,
    config::Config,
    connect::irc::{
        frame::Frames,
        message::{LINE_WITH_TAGS, Message, decoded, plain},
    },
    metrics::custom,
    process::manifest,
    schedule::Schedule,
};
use rosey_wire::{
    MIN_VERSION, VERSION,
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
pub const TARGETS: [Target; 10] = [
    ("frame", frame),
    ("message", message),
    ("hello", hello),
    ("manifest", manifest),
    ("elf", elf),
    ("irc", irc),
    ("config", config),
    ("dice", dice),
    ("cron", cron),
    ("json", json),
];

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

/// The first frame of a shim. The version that both speak must be one of each.
pub fn hello(bytes: &[u8]) {
    let Ok(hello) = frame::decode::<hello::Hello<'_>>(bytes) else { return };
    let theirs = (hello.min_version, hello.max_version);
    if let Some(version) = hello::negotiate((MIN_VERSION, VERSION), theirs) {
        assert!((MIN_VERSION..=VERSION).contains(&version), "{version} is none of ours");
        assert!(theirs.0 <= version && version <= theirs.1, "{version} is none of {theirs:?}");
    }
}

/// The manifest of a library. What is taken must be bounded and clean, and stand another check.
pub fn manifest(bytes: &[u8]) {
    let Ok(taken) = manifest::read(&String::from_utf8_lossy(bytes)) else { return };
    let texts = [&taken.name, &taken.version, &taken.api, &taken.description];
    assert!(!texts.iter().any(|text| text.contains(char::is_control)), "{texts:?}");
    assert!(taken.commands.len() <= 64 && taken.subscriptions.len() <= 64 && taken.settings.len() <= 256);
    manifest::check(taken).expect("it stood the first check");
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

/// The times of a repeated timer, and on further lines a time zone and a time. Each next time must be later.
pub fn cron(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (expression, zone) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let mut after = lines.next().and_then(|time| time.parse().ok()).unwrap_or(1_700_000_000_000);
    let Ok(schedule) = Schedule::parse(expression, zone) else { return };
    for _ in 0..4 {
        let Some(next) = schedule.next(after) else { return };
        assert!(next > after, "{next} is not after {after}");
        after = next;
    }
}

/// JSON from outside: the metrics that a plugin declares, and a request on the control socket.
pub fn json(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (metrics, _) = custom::read(&text);
    assert!(metrics.len() <= 64 * 64, "{} series", metrics.len());
    for metric in metrics {
        assert!(metric.name.starts_with("rosey_custom_") && metric.value.is_finite(), "{metric:?}");
        assert!(!metric.labels.values().any(|value| value.contains(char::is_control)), "{metric:?}");
    }
    if let Ok(request) = serde_json::from_str::<Request>(&text) {
        let again = serde_json::to_string(&request).expect("texts");
        assert_eq!(serde_json::from_str::<Request>(&again).ok(), Some(request));
    }
}

/// The dice of a player. A roll must be in the range of its dice, and read as the dice that it was.
pub fn dice(bytes: &[u8]) {
    let Ok(dice) = String::from_utf8_lossy(bytes).parse::<Dice>() else { return };
    assert_eq!(dice.to_string().parse::<Dice>().as_ref(), Ok(&dice));
    let (least, most) = (dice.roll(|_| 1), dice.roll(|sides| sides));
    assert!(least.total() <= most.total(), "{least} is more than {most}");
}
