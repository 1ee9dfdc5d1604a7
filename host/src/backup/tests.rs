use super::*;
use crate::store::Database;
use rusqlite::Connection;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS line (text TEXT NOT NULL) STRICT;";

/// A state directory with something of everything.
fn state(directory: &Path) -> PathBuf {
    let state = directory.join("state");
    for folder in ["artifacts", "data/quotes/deep", "data/empty", "run"] {
        fs::create_dir_all(state.join(folder)).expect("ours");
    }
    let (hash, _) = copy_hashing(&mut &b"a library"[..], &mut io::sink()).expect("in memory");
    let long = format!("data/quotes/{}", "long-".repeat(30));
    for (path, text) in [
        (format!("artifacts/{hash}.so").as_str(), "a library"),
        ("data/quotes/deep/notes.txt", "of a plugin"),
        (&long, "more than a tar header has room for"),
        ("run/1.sock", "of the running host"),
        ("lock", "running 1 /run"),
        ("rosey-state", "the mark"),
    ] {
        fs::write(state.join(path), text).expect("ours");
    }
    fs::set_permissions(state.join("data/quotes/deep/notes.txt"), fs::Permissions::from_mode(0o740)).expect("ours");
    std::os::unix::fs::symlink("/etc/passwd", state.join("data/quotes/link")).expect("ours");
    drop(Database::open(&state.join("rosey.db"), &[SCHEMA]).expect("a database"));
    let connection = Connection::open(state.join("rosey.db")).expect("ours");
    connection.execute("INSERT INTO line VALUES ('kept')", []).expect("ours");
    // Still in the log beside the file, as while a host runs.
    connection.pragma_update(None, "wal_autocheckpoint", 0).expect("a setting");
    connection.execute("INSERT INTO line VALUES ('newest')", []).expect("ours");
    std::mem::forget(connection);
    state
}

/// Every file beneath a folder, with its content, but for the database.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in fs::read_dir(&next).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let meta = path.symlink_metadata().expect("ours");
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_file() && !path.to_string_lossy().contains("rosey.db") {
                all.insert(path.strip_prefix(folder).expect("inside").to_owned(), fs::read(&path).expect("ours"));
            }
        }
    }
    all
}

fn lines(state: &Path) -> Vec<String> {
    let connection = Connection::open(state.join("rosey.db")).expect("ours");
    let mut statement = connection.prepare("SELECT text FROM line ORDER BY text").expect("our table");
    statement.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("text")).collect()
}

#[test]
fn everything_comes_back_but_what_belongs_to_the_host_that_runs() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = state(directory.path());
    let file = directory.path().join("backup.tar");
    let written = write(&state, &file).expect("it can be read");
    assert_eq!(written.files, 6, "{written:?}");
    assert_eq!(written.notes, ["data/quotes/link is no regular file, so it is left out"]);
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let target = directory.path().join("new/state");
    let restored = restore(&file, &target).expect("it is whole");
    assert_eq!((restored.files, restored.bytes), (written.files, written.bytes));
    assert_eq!(restored.rosey, env!("CARGO_PKG_VERSION"));
    assert_eq!(lines(&target), ["kept", "newest"]);
    let mut expected = files(&state);
    expected.retain(|path, _| !path.starts_with("run") && path != Path::new("lock"));
    assert_eq!(files(&target), expected);
    assert!(target.join("data/empty").is_dir() && !target.join(UNFINISHED).exists());
    let mode = fs::metadata(target.join("data/quotes/deep/notes.txt")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "for its user alone");
    let inside = write(&state, &state.join("data/backup.tar")).expect_err("in itself").to_string();
    assert!(inside.contains("name a file elsewhere") && !state.join("data/backup.tar").exists(), "{inside}");
    let again = restore(&file, &target).expect_err("not empty").to_string();
    assert!(again.contains("is not empty: it holds"), "{again}");
}

#[test]
fn a_backup_that_was_cut_or_altered_is_refused_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let state = state(directory.path());
    let file = directory.path().join("backup.tar");
    write(&state, &file).expect("it can be read");
    let whole = fs::read(&file).expect("ours");
    let target = directory.path().join("target");
    restore(&file, &target).expect("it is whole");
    let (expected, kept) = (files(&target), fs::read(target.join("rosey.db")).expect("there"));
    fs::remove_dir_all(&target).expect("ours");
    for at in (0..whole.len()).step_by(509) {
        fs::write(&file, &whole[..at]).expect("ours");
        let error = restore(&file, &target).expect_err("cut").to_string();
        assert!(error.contains("is not a whole backup") && !target.exists(), "{at}: {error}");
        let mut altered = whole.clone();
        altered[at] ^= 0x10;
        fs::write(&file, &altered).expect("ours");
        match restore(&file, &target) {
            Err(_) => assert!(!target.exists(), "{at}"),
            // A byte that means nothing, such as the blank behind a number.
            Ok(_) => {
                assert_eq!(
                    (files(&target), fs::read(target.join("rosey.db")).expect("there")),
                    (expected.clone(), kept.clone())
                );
                fs::remove_dir_all(&target).expect("ours");
            }
        }
    }
}

#[test]
fn an_archive_that_leads_elsewhere_or_is_of_a_newer_rosey_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (file, target) = (directory.path().join("backup.tar"), directory.path().join("target"));
    let make = |path: &str, text: &str| {
        let mut tar = tar::Builder::new(fs::File::create(&file).expect("ours"));
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().expect("it is one").name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(text.len() as u64);
        header.set_cksum();
        tar.append(&header, text.as_bytes()).expect("ours");
        tar.finish().expect("ours");
        restore(&file, &target).expect_err("no backup").to_string()
    };
    assert!(make("../outside", "text").contains("../outside is not of a backup"));
    assert!(make("/etc/outside", "text").contains("is not of a backup"));
    assert!(make("notes.txt", "text").contains("its end is missing"));
    let newer = make(ABOUT, r#"{"format": 9, "rosey": "7.0.0", "created": ""}"#);
    assert!(newer.contains("a backup of rosey 7.0.0 in form 9"), "{newer}");
    assert!(!target.exists() && !directory.path().join("outside").exists());
}
