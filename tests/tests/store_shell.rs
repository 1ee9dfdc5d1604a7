//! `rosey store` beside a running bot: export, deletion and import of the data of a plugin.

use rosey_tests::{
    bot::Folder,
    shell::{PATIENT, command, ended, folder, shell, start},
};
use std::{io::Write, process::Stdio};

/// A bot whose plugin keeps two keys.
fn bot_with_data(folder: &Folder) -> rosey_tests::bot::Bot {
    let mut bot = start(folder, PATIENT);
    for _ in 0..3 {
        assert_eq!(bot.ask("!tally"), "counted");
    }
    bot
}

fn done(folder: &Folder, arguments: &[&str]) -> String {
    let (code, stdout, error) = shell(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stdout} {error}");
    stdout
}

/// Imports these lines from standard input.
fn import(folder: &Folder, lines: &str) -> (i32, String, String) {
    let mut child = command(folder, &["store", "import", "misbehave", "-", "--yes"]);
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("built");
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads to the end");
    ended(child.wait_with_output().expect("ours"))
}

#[test]
fn what_a_plugin_keeps_is_exported_deleted_and_imported_while_it_runs() {
    let folder = folder();
    let mut bot = bot_with_data(&folder);
    let exported = done(&folder, &["store", "export", "misbehave", "-"]);
    assert!(
        exported.starts_with("{\"rosey_store\":1,\"plugin\":\"misbehave\",\"store_version\":0,\"keys\":2}\n"),
        "{exported}"
    );
    assert!(exported.contains("{\"scope\":\"global\",\"key\":\"tally\",\"value\":3}"), "{exported}");
    done(&folder, &["store", "export", "misbehave", "kept.jsonl"]);
    let file = std::fs::read_to_string(folder.path().join("kept.jsonl")).expect("it is written");
    assert_eq!(file.trim_end(), exported);

    let deleted = done(&folder, &["store", "delete", "misbehave", "tal", "--yes"]);
    assert_eq!(deleted, "Deleted 1 key of misbehave; 1 key left.");
    assert_eq!(bot.ask("!kept tally"), "nothing");
    let (code, _, error) = shell(&folder, &["store", "delete", "misbehave", "tal", "--yes"]);
    assert!(code == 1 && error.contains("the plugin has no key that begins with \"tal\""), "{error}");

    let imported = done(&folder, &["store", "import", "misbehave", "kept.jsonl", "--yes"]);
    assert_eq!(imported, "Imported 2 keys into misbehave.");
    assert_eq!(bot.ask("!kept tally"), "3");
    assert_eq!(bot.ask("!tally"), "counted");
    assert_eq!(bot.ask("!kept tally"), "4");
    let (code, stdout, error) = import(&folder, &exported.replace(":3}", ":7}"));
    assert_eq!((code, stdout.as_str()), (0, "Imported 2 keys into misbehave."), "{error}");
    assert_eq!(bot.ask("!kept tally"), "7");

    let usage = done(&folder, &["store", "usage"]);
    assert!(usage.contains("2 keys"), "{usage}");
    let all = done(&folder, &["store", "delete", "misbehave", "--yes"]);
    assert_eq!(all, "Deleted 2 keys of misbehave; 0 keys left.");
    assert_eq!(bot.ask("!tally"), "counted");
    let audit = done(&folder, &["audit", "list"]);
    for words in ["store import misbehave", "store delete tal misbehave", "store delete misbehave"] {
        assert!(audit.contains(words), "{words}: {audit}");
    }
    assert_eq!(shell(&folder, &["audit", "verify"]).0, 0);
}

#[test]
fn an_import_that_cannot_be_used_changes_nothing_and_says_what_is_wrong() {
    let folder = folder();
    let mut bot = bot_with_data(&folder);
    let exported = done(&folder, &["store", "export", "misbehave", "-"]);
    let head = exported.lines().next().expect("a head");
    let long = "x".repeat(300_000);
    for (lines, why) in [
        (String::new(), "it is empty"),
        (head.to_owned(), "it is cut off: it has 0 of the 2 keys"),
        (exported.replace("misbehave", "other"), "it is an export of other, not of misbehave"),
        (
            exported.replace("\"store_version\":0", "\"store_version\":3"),
            "the file has store version 3, and the running build 1.0.0",
        ),
        (exported.replace(":3}", &format!(":\"{long}\"}}")), "a value has at most 262144 bytes"),
        (exported.replace(":3}", &format!(":\"{}\"}}", long.repeat(10))), "a line is longer than"),
        (format!("{head}\n\u{0}"), "line 2 is no key of an export"),
    ] {
        let (code, _, error) = import(&folder, &lines);
        assert!(code == 1 && error.contains(why), "{why}: {error}");
        assert_eq!(bot.ask("!kept tally"), "3");
    }
    let (code, _, error) = shell(&folder, &["store", "import", "misbehave", "nowhere.jsonl", "--yes"]);
    assert!(code == 1 && error.contains("nowhere.jsonl cannot be read"), "{error}");
    let (code, _, error) = shell(&folder, &["store", "delete", "misbehaev", "--yes"]);
    assert!(code == 1 && error.contains("did you mean misbehave?"), "{error}");
    let (code, _, error) = shell(&folder, &["store", "export", "misbehaev", "-"]);
    assert!(code == 1 && error.contains("misbehaev has no data"), "{error}");
    let (code, _, error) = shell(&folder, &["store", "delete", "misbehave"]);
    assert!(code == 7 && error.contains("Delete 2 keys of misbehave?"), "{error}");
    bot.end();
    let (code, _, error) = shell(&folder, &["store", "delete", "misbehave", "--yes"]);
    assert!(code == 4 && error.contains("no rosey is running"), "{error}");
    assert_eq!(done(&folder, &["store", "export", "misbehave", "-"]), exported);
}
