//! A program in place of the shim that is broken, of another release, or not ours at all.

use rosey_wire::{
    VERSION,
    frame::encode,
    hello::{Hello, MAGIC},
    message::ToHost,
};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::{Command, ExitCode},
};

/// Does what the file name of this executable says, and ends when the host closes the connection.
///
/// # Panics
/// When a person starts it.
pub fn play() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [me, socket, ..] = &arguments[..] else { panic!("a host starts this") };
    let name = Path::new(me).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if name == "leaves" {
        eprintln!("there is no room for me here");
        return ExitCode::from(3);
    }
    let mut token = String::new();
    std::io::stdin().read_line(&mut token).expect("the host gives one");
    if name == "sends-another" {
        // With everything that the right one knows, but as another process.
        let honest = Path::new(me).with_file_name("honest");
        let sent = Command::new(honest).args(&arguments[1..]).env("TOKEN", token.trim()).status();
        return ExitCode::from(u8::from(!sent.is_ok_and(|status| status.success())));
    }
    let token = std::env::var("TOKEN").unwrap_or(token);
    let mut stream = UnixStream::connect(socket).expect("the host listens");
    let hello = |token: &str, versions: (u16, u16)| {
        let (min_version, max_version) = versions;
        let hello = Hello { magic: MAGIC, min_version, max_version, token, shim_version: "9.9.9" };
        let mut bytes = Vec::new();
        encode(&hello, &mut bytes).expect("it is small");
        bytes
    };
    let bytes = match name {
        "of-the-future" => hello(token.trim(), (900, 901)),
        "guesses" => hello("00000000000000000000000000000000", (VERSION, VERSION)),
        "garbles" => vec![3, 0, 0, 0, 0xee, 0xee, 0xee],
        "boasts" => u32::MAX.to_le_bytes().to_vec(),
        "is-silent" => Vec::new(),
        "wants-reactions" => {
            let manifest = r#"{"name":"x","version":"1.0.0","api":"9.9.9","subscriptions":[{"kind":"reaction"}]}"#;
            let mut bytes = hello(token.trim(), (VERSION, VERSION));
            encode(&ToHost::Confined(Vec::new()), &mut bytes).expect("it is small");
            encode(&ToHost::Described(manifest), &mut bytes).expect("it is small");
            bytes
        }
        _ => hello(token.trim(), (VERSION, VERSION)),
    };
    stream.write_all(&bytes).expect("the host reads");
    // Until the host closes the connection.
    let _ = stream.read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}
