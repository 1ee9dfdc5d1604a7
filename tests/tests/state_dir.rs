//! The state directory: its owner, its modes, and its content after a stop.

use rosey_tests::{
    bot::{Bot, Folder, signal_process, wait_until},
    build, http,
    shell::shell,
    tool,
};
use rustix::process::Signal;
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PLUGINS: &str = "[plugins.dice-roller]\n";

/// Every file and folder under `folder`, with its mode.
fn modes(folder: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let meta = entry.metadata().expect("it is there");
        found.insert(entry.path(), meta.permissions().mode() & 0o777);
        if meta.is_dir() {
            found.append(&mut modes(&entry.path()));
        }
    }
    found
}

fn serves(bot: &mut Bot) {
    let answer = bot.ask("!roll 2d6");
    assert!(answer.contains("2d6"), "{answer}");
}

#[test]
fn a_folder_of_another_program_is_refused_by_name_and_left_as_it_is() {
    let folder = Folder::new(&["dice-roller"]);
    let state = folder.path().join("state");
    fs::create_dir_all(state.join("run")).expect("our directory");
    fs::create_dir(state.join("artifacts")).expect("our directory");
    for file in ["run/start.sh", "artifacts/mine.part", "notes.txt"] {
        fs::write(state.join(file), "mine").expect("our directory");
    }
    fs::set_permissions(&state, Permissions::from_mode(0o755)).expect("ours");
    let before = modes(folder.path());
    let mut bot = folder.start(PLUGINS);
    assert_eq!(bot.exit().code(), Some(1));
    bot.until_logged("holds artifacts, which is not Rosey's");
    let after = modes(folder.path());
    assert_eq!(
        after.keys().filter(|path| !before.contains_key(*path)).collect::<Vec<_>>(),
        [&folder.path().join("rosey.toml")]
    );
    assert!(before.iter().all(|(path, mode)| after.get(path) == Some(mode)), "{before:?} {after:?}");
    // An operator who knows better can say so.
    fs::write(state.join("rosey-state"), "").expect("our directory");
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(bot.end().success());
    assert!(state.join("notes.txt").exists() && state.join("artifacts/mine.part").exists());
}

#[test]
fn the_mode_of_a_folder_that_was_there_stays_and_what_is_made_is_private() {
    let folder = Folder::new(&["dice-roller"]);
    let state = folder.path().join("state");
    fs::create_dir(&state).expect("our directory");
    fs::set_permissions(&state, Permissions::from_mode(0o755)).expect("ours");
    // An empty volume has this folder.
    fs::create_dir(state.join("lost+found")).expect("our directory");
    let file = folder.configure(PLUGINS);
    let mut bot = Command::new("sh")
        .args(["-c", "umask 0; exec \"$0\" run --config \"$1\""])
        .arg(build::rosey())
        .arg(&file)
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell");
    wait_until("it serves", || shell(&folder, &["admin", "status", "dice-roller"]).1.contains("running"));
    let open: Vec<_> = modes(&state).into_iter().filter(|(path, _)| !path.ends_with("lost+found")).collect();
    assert!(open.len() > 6, "{open:?}");
    let open: Vec<_> = open.into_iter().filter(|(_, mode)| mode & 0o077 != 0).collect();
    assert_eq!(open, [], "others may look into these");
    assert_eq!(fs::metadata(&state).expect("there").permissions().mode() & 0o777, 0o755);
    signal_process(bot.id(), Signal::TERM);
    wait_until("it ends", || bot.try_wait().expect("ours").is_some());
}

#[test]
fn a_state_of_an_earlier_rosey_is_taken_over() {
    let folder = Folder::new(&["dice-roller"]);
    let marker = folder.path().join("state/rosey-state");
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(bot.end().success());
    fs::remove_file(&marker).expect("a new state directory is marked");
    let mut bot = folder.start(PLUGINS);
    bot.until_logged("is a state directory of an earlier Rosey");
    serves(&mut bot);
    assert!(bot.end().success());
    assert!(fs::read_to_string(&marker).expect("it is marked now").contains("Rosey keeps its state"));
}

#[test]
fn a_link_to_a_folder_of_ours_is_followed_and_one_that_leads_nowhere_is_named() {
    let folder = Folder::new(&["dice-roller"]);
    let real = folder.path().join("real");
    symlink(&real, folder.path().join("state")).expect("our directory");
    let mut bot = folder.start(PLUGINS);
    assert_eq!(bot.exit().code(), Some(1));
    bot.until_logged("it is a file, or a link that leads nowhere");
    fs::create_dir(&real).expect("our directory");
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(shell(&folder, &["admin", "list"]).1.contains("dice-roller"));
    assert!(bot.end().success());
    assert!(real.join("rosey.db").exists());
}

#[test]
fn what_lies_in_the_run_directory_stops_no_start() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(bot.end().success());
    let (run, mine) = (folder.path().join("state/run"), folder.path().join("mine"));
    fs::create_dir_all(run.join("cache/deep")).expect("our directory");
    fs::create_dir(&mine).expect("our directory");
    fs::write(mine.join("kept"), "").expect("our directory");
    symlink(&mine, run.join("link")).expect("our directory");
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(!run.join("cache").exists() && !run.join("link").exists());
    assert!(mine.join("kept").exists(), "no link is followed");
    assert!(bot.end().success());
}

#[test]
fn what_another_program_removes_while_the_bot_runs_is_made_again_and_no_other_host_takes_its_place() {
    let folder = Folder::new(&["dice-roller"]);
    let settings = format!("[admin]\ncooldown = 0\n{PLUGINS}");
    let mut bot = folder.start(&settings);
    serves(&mut bot);
    let (run, lock) = (folder.path().join("state/run"), folder.path().join("state/lock"));
    fs::remove_dir_all(&run).expect("ours");
    assert!(bot.ask("!admin restart dice-roller").starts_with("Restart dice-roller"));
    assert!(bot.ask("yes").starts_with("Restarting dice-roller"));
    let restarted = bot.answer();
    assert!(restarted.contains("generation 2"), "a restart needs the folder: {restarted}");
    serves(&mut bot);
    wait_until("the control socket is back", || shell(&folder, &["admin", "list"]).0 == 0);
    fs::remove_file(&lock).expect("ours");
    let mut second = folder.start(&settings);
    assert_eq!(second.exit().code(), Some(1));
    second.until_logged("another rosey uses");
    wait_until("the shell finds it again", || shell(&folder, &["admin", "list"]).0 == 0);
    // A folder in their place is no obstacle either.
    fs::remove_file(&lock).expect("ours");
    fs::create_dir(&lock).expect("ours");
    wait_until("the shell finds it again", || shell(&folder, &["admin", "list"]).0 == 0);
    serves(&mut bot);
    assert!(bot.end().success());
}

#[test]
fn a_long_path_is_found_by_a_shell_of_another_tmpdir_and_leaves_nothing_there() {
    let folder = Folder::new(&["dice-roller"]);
    let tmp = tempfile::tempdir().expect("a directory");
    let long = "a".repeat(100);
    let file = folder.configure(PLUGINS);
    let text = fs::read_to_string(&file).expect("just written").replace("\"state\"", &format!("\"{long}/state\""));
    fs::write(&file, text).expect("our directory");
    let mut bot = Command::new(build::rosey())
        .args(["run", "--config", "rosey.toml"])
        .current_dir(folder.path())
        .env("TMPDIR", tmp.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is built");
    wait_until("the shell finds it", || shell(&folder, &["admin", "list"]).1.contains("running"));
    let left = || fs::read_dir(tmp.path()).expect("ours").flatten().map(|entry| entry.file_name()).collect::<Vec<_>>();
    assert_eq!(left().len(), 1);
    signal_process(bot.id(), Signal::TERM);
    wait_until("it ends", || bot.try_wait().expect("ours").is_some());
    assert_eq!(left(), Vec::<std::ffi::OsString>::new());
}

#[test]
fn after_a_stop_a_copy_of_the_database_alone_is_whole() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(&format!("[admin]\ncooldown = 0\n{PLUGINS}"));
    serves(&mut bot);
    assert_eq!(shell(&folder, &["admin", "restart", "dice-roller", "--yes"]).0, 0);
    assert!(bot.end().success());
    let copy = folder.path().join("copy.db");
    fs::copy(folder.path().join("state/rosey.db"), &copy).expect("it is there");
    let count = |table: &str| {
        let copy = rusqlite::Connection::open(&copy).expect("a database");
        copy.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).expect("a table")
    };
    assert_eq!(count("audit"), 2);
    assert_eq!(count("life WHERE ended IS NOT NULL"), 1);
}

#[test]
fn a_damaged_database_is_named_and_left_as_it_is_and_the_bot_answers_without_it() {
    let folder = Folder::new(&["dice-roller", "quotes"]);
    let settings = "[dashboard]\nenabled = true\nport = 0\n[admin]\ncooldown = 0\naudit_file = \"audit.jsonl\"\n\
                    [plugins.dice-roller]\n[plugins.quotes]\n";
    let mut bot = folder.start(settings);
    serves(&mut bot);
    assert_eq!(bot.ask("!addquote one"), "That is quote 1.");
    assert_eq!(shell(&folder, &["db", "check"]).0, 0, "while it runs");
    assert_eq!(shell(&folder, &["admin", "restart", "dice-roller", "--yes"]).0, 0);
    assert!(bot.end().success());
    let path = folder.path().join("state/rosey.db");
    let whole = fs::read(&path).expect("it is there");
    let (code, stdout, _) = shell(&folder, &["db", "check"]);
    assert_eq!((code, stdout.contains("rosey.db is whole.")), (0, true), "{stdout}");
    let noise: Vec<u8> = (0u32..).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).take(whole.len()).collect();
    let overwritten = [&whole[..4096], &noise[..whole.len() - 4096]].concat();
    for content in [&noise[..], &whole[..whole.len() / 2], &overwritten] {
        fs::write(&path, content).expect("our directory");
        let (code, _, problem) = shell(&folder, &["db", "check"]);
        assert!(code == 1 && problem.contains("state/rosey.db is damaged"), "{code} {problem}");
        assert_eq!(shell(&folder, &["backup", "backup.tar"]).0, 1, "no backup of a damaged one");
        let mut bot = folder.start(settings);
        bot.until_logged("state/rosey.db is damaged. Put back a copy of it, or move it away");
        serves(&mut bot);
        assert_eq!(bot.ask("!addquote two"), "Sorry, something went wrong.");
        let answer = bot.ask("!quote 1");
        assert!(!answer.contains("no quote"), "what cannot be read is not missing: {answer}");
        let (code, _, problem) = shell(&folder, &["admin", "restart", "dice-roller", "--yes"]);
        assert!(code == 1 && problem.contains("cannot be recorded") && problem.contains("is damaged"), "{problem}");
        let address = bot.dashboard();
        wait_until("the page and the probe say so", || {
            let troubles = http::get(&address, "/api/metrics").json()["system"]["troubles"].to_string();
            troubles.contains("rosey.db is damaged") && http::get(&address, "/readyz").status == 503
        });
        assert!(bot.end().success());
        assert_eq!(fs::read(&path).expect("it is there"), content);
    }
    fs::write(&path, whole).expect("our directory");
    let mut bot = folder.start(settings);
    assert_eq!(bot.ask("!quote 1"), "one (kept by alice)");
    assert_eq!(shell(&folder, &["audit", "verify"]).0, 0);
    assert!(bot.end().success());
}

#[test]
fn with_a_database_cut_or_flipped_anywhere_a_bot_answers_or_names_the_file() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(&format!("[admin]\ncooldown = 0\n{PLUGINS}"));
    serves(&mut bot);
    assert_eq!(shell(&folder, &["admin", "restart", "dice-roller", "--yes"]).0, 0);
    assert!(bot.end().success());
    let path = folder.path().join("state/rosey.db");
    let whole = fs::read(&path).expect("it is there");
    let mut random = fastrand::Rng::with_seed(24);
    let rosey = build::rosey();
    let program = rosey.to_str().expect("a path of this test");
    for round in 0..12 {
        let mut content = whole.clone();
        match round % 3 {
            0 => content.truncate(random.usize(1..whole.len())),
            1 => content[random.usize(..whole.len())] ^= 1 << random.u8(..8),
            _ => {
                let from = random.usize(..whole.len() - 512);
                random.fill(&mut content[from..from + 512]);
            }
        }
        fs::write(&path, &content).expect("our directory");
        let (code, said) = tool::run(program, &["run", "--config", "rosey.toml"], folder.path(), b"!roll 2d6\n");
        let (answers, refuses) =
            (code == Some(0) && said.contains("2d6: "), code == Some(1) && said.contains("rosey.db"));
        assert!(answers || refuses, "round {round}: {code:?} {said}");
        for beside in ["rosey.db-wal", "rosey.db-shm"] {
            let _ = fs::remove_file(path.with_file_name(beside));
        }
    }
}

#[test]
fn a_database_of_a_newer_rosey_is_refused_by_name() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(PLUGINS);
    serves(&mut bot);
    assert!(bot.end().success());
    let database = rusqlite::Connection::open(folder.path().join("state/rosey.db")).expect("it is there");
    database.pragma_update(None, "user_version", 99).expect("ours");
    drop(database);
    let mut bot = folder.start(PLUGINS);
    assert_eq!(bot.exit().code(), Some(1));
    bot.until_logged("rosey.db has version 99, and rosey 0.1.0 reads up to version 1: run the newer rosey");
    let (code, _, problem) = shell(&folder, &["audit", "list"]);
    assert!(code == 1 && problem.contains("has version 99"), "{problem}");
}
