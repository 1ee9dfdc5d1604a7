//! `rosey admin` and `rosey audit` in a shell: every command, scripts, other users, and a bot that does not answer.

use rosey_tests::{
    bot::{Folder, signal_process, wait_until},
    build, http,
    shell::{PATIENT, command, ended, folder, shell, start, text},
    tool,
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    io::Read,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
};

fn json(folder: &Folder, arguments: &[&str]) -> (i32, Value) {
    let (code, stdout, error) = shell(folder, arguments);
    (code, serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("no JSON: {stdout} {error}")))
}

#[test]
fn every_command_works_in_the_shell() {
    let folder = folder();
    let mut bot = start(&folder, &format!("[dashboard]\nenabled = true\nport = 0\n{PATIENT}"));
    let done = |arguments: &[&str]| {
        let (code, stdout, error) = shell(&folder, arguments);
        assert_eq!(code, 0, "{arguments:?}: {stdout} {error}");
        stdout
    };
    assert_eq!(done(&["admin", "metrics"]), format!("Dashboard: http://{}/", bot.dashboard()));
    let help = done(&["admin", "help"]);
    assert!(
        help.starts_with("rosey admin list | status [plugin] | ") && help.contains("reload <plugin> --force"),
        "{help}"
    );
    assert!(done(&["admin", "status", "admin"]).starts_with("rosey "));

    build::variant(&folder.library("misbehave"), "second");
    let (code, reloaded) = json(&folder, &["admin", "reload", "misbehave", "--yes", "--wait", "--json"]);
    assert_eq!((code, &reloaded["from"], &reloaded["generation"]), (0, &Value::from("1.0.0"), &Value::from(2)));
    assert_ne!(reloaded["from_artifact"], reloaded["to_artifact"]);
    let steps: Vec<_> = reloaded["steps"].as_array().expect("steps").iter().map(|step| &step["step"]).collect();
    assert_eq!(steps, ["start", "probe", "swap"]);
    assert!(reloaded["seconds"].as_f64().is_some_and(|took| took > 0.0), "{reloaded}");

    let back = done(&["admin", "rollback", "misbehave", "--yes"]);
    assert!(back.contains("generation 1 is active"), "{back}");
    assert_eq!(bot.ask("!variant"), "first");
    assert_eq!(done(&["admin", "stop", "misbehave", "--yes"]), "misbehave is stopped.");
    assert_eq!(bot.ask("!variant"), "misbehave is not running.");
    let started = done(&["admin", "start", "misbehave", "--yes"]);
    assert!(started.starts_with("misbehave 1.0.0 is running: generation "), "{started}");
    assert_eq!(
        bot.ask("!abort"),
        "That command crashed misbehave twice, so Rosey does not try it again. The operator can see it."
    );
    let replayed = done(&["admin", "deadletters", "misbehave", "replay", "1", "--yes"]);
    assert_eq!(replayed, "misbehave gets dead letter 1 again: !abort. Rosey drops its answer.");
    assert!(done(&["audit", "list"]).contains("replay 1 misbehave"));
}

#[test]
fn scripts_read_json_also_where_something_is_refused() {
    let folder = folder();
    folder.configure(PATIENT);
    let (code, refused) = json(&folder, &["admin", "list", "--json"]);
    assert_eq!((code, &refused["refused"]["kind"]), (4, &Value::from("not_running")));
    let _bot = start(&folder, PATIENT);
    let (code, refused) = json(&folder, &["admin", "reload", "misbehave", "--yes", "--json"]);
    assert_eq!((code, &refused["refused"]["kind"]), (1, &Value::from("failed")));
    let text = refused["refused"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("add --force to"), "the shell reads shell: {text}");
    let (code, refused) = json(&folder, &["admin", "stop", "misbehave", "--json"]);
    assert_eq!((code, &refused["refused"]["kind"]), (7, &Value::from("unconfirmed")));
    wait_until("the no is recorded", || shell(&folder, &["audit", "list"]).1.contains("dropped"));
}

#[test]
fn what_makes_no_sense_on_the_command_line_is_said() {
    let folder = folder();
    let _bot = start(&folder, PATIENT);
    let (code, _, error) = shell(&folder, &["admin", "reload", "misbehave force", "--yes"]);
    assert!(code == 2 && error.contains("without spaces"), "{error}");
    let (code, _, error) = shell(&folder, &["audit", "list", "--plugin", "misbehaev"]);
    assert!(code == 1 && error.contains("did you mean misbehave?"), "{error}");
    for since in ["5", "1hour", "garbage"] {
        let (code, _, error) = shell(&folder, &["audit", "list", "--since", since]);
        assert!(code == 2 && error.contains("2026-03-01"), "{since}: {error}");
    }
    assert_eq!(shell(&folder, &["audit", "list", "--since", "1w"]).0, 0);
    let (code, _, error) = shell(&folder, &["audit", "verify", "--head", "nonsense"]);
    assert!(code == 2 && error.contains("HASH@COUNT"), "{error}");
}

#[test]
fn a_forgotten_configuration_is_hinted_at() {
    let folder = folder();
    folder.configure(PATIENT);
    for arguments in [["admin", "list"], ["audit", "list"]] {
        let output = Command::new(build::rosey()).args(arguments).current_dir(folder.path()).output();
        let error = text(&output.expect("it is built").stderr);
        assert!(error.contains("did you mean --config rosey.toml?"), "{error}");
    }
    let output = Command::new(build::rosey()).arg("check").current_dir(folder.path()).output();
    let stdout = text(&output.expect("it is built").stdout);
    assert!(
        stdout.contains("Rosey does not read the rosey.toml in this folder; to use it, add --config rosey.toml"),
        "{stdout}"
    );
    let (code, help, _) = shell(&folder, &["admin", "help"]);
    assert!(code == 0 && help.contains("rollback"), "the usage needs no bot: {help}");
}

#[test]
fn whoever_reads_may_have_had_enough() {
    let folder = folder();
    let _bot = start(&folder, PATIENT);
    for _ in 0..3 {
        shell(&folder, &["admin", "reload", "nobody", "--yes"]);
    }
    for arguments in [&["audit", "list"][..], &["check"], &["completions", "bash"], &["admin", "list"]] {
        let mut child = command(&folder, arguments);
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
        drop(child.stdout.take());
        let (code, _, error) = ended(child.wait_with_output().expect("ours"));
        assert_eq!((code, error.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn a_plugin_that_hangs_at_its_start_keeps_nobody_from_the_others_or_from_the_shell() {
    let folder = folder();
    build::variant(&folder.library("misbehave"), "create-hangs");
    std::fs::copy(build::library("eight-ball"), folder.library("eight-ball")).expect("it is built");
    let more = "[limits]\nstart_timeout = 600\n[plugins.misbehave]\n[plugins.eight-ball]\n";
    let mut bot = folder.start(more);
    wait_until("the shell is answered", || shell(&folder, &["admin", "list"]).0 == 0);
    wait_until("the others serve", || {
        let list = shell(&folder, &["admin", "list"]).1;
        list.starts_with("misbehave starting") && list.contains(" · eight-ball 1.0.0 running (gen. 1, ")
    });
    assert!(!bot.ask("!8ball will it end?").is_empty());
    assert!(bot.ask("!admin stop misbehave").starts_with("Stop misbehave "));
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave is stopped.");
    bot.until_logged("ready");
}

/// A signal reaches one thread after another.
fn is_suspended(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it is there").flatten();
    let mut states = tasks.map(|task| std::fs::read_to_string(task.path().join("stat")).unwrap_or_default());
    states.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

#[test]
fn a_bot_whose_socket_was_removed_and_a_suspended_one_are_told_from_one_that_does_not_run() {
    let folder = folder();
    let bot = start(&folder, PATIENT);
    let socket = folder.path().join("state/run/control.sock");
    bot.signal(Signal::STOP);
    wait_until("all of it is suspended", || is_suspended(bot.pid()));
    let (code, _, error) = shell(&folder, &["admin", "list"]);
    assert!(code == 1 && error.contains("has not answered for 15 s"), "{error}");
    std::fs::remove_file(&socket).expect("ours");
    let (code, _, error) = shell(&folder, &["admin", "list"]);
    assert!(code == 4 && error.contains(&format!("runs (process {}), but its control socket", bot.pid())), "{error}");
    assert!(error.contains("no such file. If something removed it, that rosey makes it again"), "{error}");
    // Another program in its place learns nothing, and does not last.
    let other = std::os::unix::net::UnixListener::bind(&socket).expect("ours");
    let (code, _, error) = shell(&folder, &["admin", "stop", "misbehave", "--yes"]);
    let who = format!("process {} listens at its control socket and is not that bot", std::process::id());
    assert!(code == 5 && error.contains(&who), "{code} {error}");
    let (mut connection, _) = other.accept().expect("the shell connected");
    let mut heard = Vec::new();
    connection.read_to_end(&mut heard).expect("the shell has ended");
    assert!(heard.is_empty(), "{heard:?}");
    bot.signal(Signal::CONT);
    wait_until("its own socket is back", || shell(&folder, &["admin", "list"]).0 == 0);
    bot.signal(Signal::KILL);
    drop(bot);
    let (code, _, error) = shell(&folder, &["admin", "list"]);
    assert!(code == 4 && error.contains("no rosey is running"), "what was killed does not start: {error}");
}

#[test]
fn another_user_is_told_whose_bot_it_is_and_that_is_recorded() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can be another user");
        return;
    }
    let folder = folder();
    let open = |path: &Path| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("ours");
    open(folder.path());
    let executable = folder.path().join("rosey");
    std::fs::copy(build::rosey(), &executable).expect("it is built");
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new(&executable);
        command.args(arguments).args(["--config", "rosey.toml"]).current_dir(folder.path()).uid(NOBODY);
        ended(command.stdin(Stdio::null()).output().expect("it is built"))
    };
    let bot = start(&folder, PATIENT);
    let (code, _, error) = as_nobody(&["admin", "list"]);
    assert!(code == 5 && error.contains("belongs to another user"), "{error}");
    for command in ["list", "verify"] {
        let (code, _, error) = as_nobody(&["audit", command]);
        assert!(code == 5 && error.contains("permission denied"), "{error}");
    }
    drop(bot);

    // The other way round: root can connect to the socket of another user's bot.
    let shim = folder.path().join("rosey-shim");
    std::fs::copy(build::shim(), &shim).expect("it is built");
    std::fs::remove_dir_all(folder.path().join("state")).expect("ours");
    let state = folder.path().join("state");
    std::fs::create_dir(&state).expect("ours");
    std::os::unix::fs::chown(&state, Some(NOBODY), None).expect("root may");
    let text = std::fs::read_to_string(folder.path().join("rosey.toml")).expect("ours");
    let old = format!("{:?}", build::shim());
    std::fs::write(folder.path().join("rosey.toml"), text.replace(&old, &format!("{shim:?}"))).expect("ours");
    let mut command = Command::new(&executable);
    command.args(["run", "--config", "rosey.toml"]).current_dir(folder.path()).uid(NOBODY);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("built");
    wait_until("it refuses", || {
        let (code, _, error) = shell(&folder, &["admin", "list"]);
        code == 5 && error.contains("this bot belongs to nobody; run rosey as that user")
    });
    let (_, audited, _) = shell(&folder, &["audit", "list"]);
    assert!(audited.contains("denied  root (system) shell control.sock, pid "), "{audited}");
    signal_process(child.id(), Signal::KILL);
    child.wait().expect("ours");
}

#[test]
fn there_is_a_man_page_for_every_command_with_codes_and_files() {
    let folder = folder();
    folder.configure(PATIENT);
    assert_eq!(shell(&folder, &["man", "man1"]).0, 0);
    for page in ["rosey.1", "rosey-admin-reload.1", "rosey-audit-verify.1"] {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page)).expect(page);
        assert!(text.contains(".SH \"EXIT STATUS\"") && text.contains(".SH FILES"), "{page}");
    }
    assert!(!folder.path().join("man1/rosey-plugin-names.1").exists());
}

/// The path in which a completing shell finds `rosey`.
fn path() -> String {
    let bin = build::rosey();
    format!("{}:{}", bin.parent().map(Path::display).expect("a folder"), std::env!("PATH"))
}

/// The output of a program in the folder, with `rosey` in its path; `None` when it is not installed.
fn says(folder: &Folder, program: &str, arguments: &[&str]) -> Option<String> {
    if !tool::is_there(program, program) {
        return None;
    }
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path()).env("TERM", "dumb").current_dir(folder.path());
    let output = command.env("HOME", folder.path()).stdin(Stdio::null()).output().expect("it is installed");
    Some(text(&output.stdout))
}

/// A folder whose file a plain `rosey` would not read, so that names come only through `--config`.
fn two_plugins() -> Folder {
    let folder = folder();
    folder.configure(&format!("{PATIENT}[plugins.mistake]\n"));
    folder
}

/// Command lines up to the press of Tab, with the expected result.
const TABS: [(&str, &str); 7] = [
    ("rosey --config rosey.toml admin reload mis", "misbehave mistake"),
    ("rosey admin --config=rosey.toml reload misb", "misbehave"),
    ("rosey admin reload --yes --config rosey.toml mist", "mistake"),
    ("rosey admin reload --config rosey.toml misb", "misbehave"),
    ("rosey audit list --config rosey.toml --plugin misb", "misbehave"),
    ("rosey admin roll", "rollback"),
    ("rosey plugin-n", ""),
];

#[test]
fn bash_completes_commands_and_plugins() {
    let folder = two_plugins();
    for (line, expected) in TABS {
        // As bash splits words.
        let words = line.replace('=', " = ");
        let script = format!(
            "source <(rosey completions bash); COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             cur=${{COMP_WORDS[COMP_CWORD]}}; _rosey_with_plugins rosey \"$cur\" \"${{COMP_WORDS[COMP_CWORD-1]}}\" \
             2>/dev/null; echo \"${{COMPREPLY[@]}}\""
        );
        let Some(stdout) = says(&folder, "bash", &["-c", &script]) else { return };
        assert_eq!(stdout, expected, "{line}");
    }
}

#[test]
fn fish_completes_commands_and_plugins() {
    let folder = two_plugins();
    for (line, expected) in TABS {
        let script = format!("rosey completions fish | source; complete -C '{line}' | string split -f 1 \\t | sort -u");
        let Some(stdout) = says(&folder, "fish", &["--no-config", "-c", &script]) else { return };
        assert_eq!(stdout.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{line}");
    }
}

/// A zsh in its own terminal. The line is typed there, Tab pressed, and zsh writes its line down.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'autoload -U compinit; compinit -u -D; source <(rosey completions zsh); PS1=""'
zpty -w z 'finish() { print -r -- $BUFFER > line; exit }; zle -N finish; bindkey "^X" finish; print REA''DY'
zpty -r z out '*READY*'
zpty -w -n z "$1"$'\t\x18'
while zpty -r z out; do :; done
cat line
"#;

#[test]
fn zsh_completes_commands_and_plugins() {
    let folder = two_plugins();
    if !tool::is_there("zsh", "zsh") {
        return;
    }
    std::fs::write(folder.path().join("press-tab"), ZSH).expect("ours");
    for (line, expected) in TABS.iter().filter(|(_, expected)| !expected.is_empty() && !expected.contains(' ')) {
        // If it ever waits for something that does not come, the test must fail.
        let stdout = says(&folder, "timeout", &["60", "zsh", "-f", "press-tab", line]).unwrap_or_default();
        assert_eq!(stdout.split_whitespace().next_back(), Some(*expected), "{line}: {stdout}");
    }
}

#[test]
fn settings_are_shown_with_what_they_are_for_and_secrets_are_not() {
    let folder = folder();
    let of_plugin = "[plugins.misbehave.config]\nword = \"hunter2\"\nlimit = 7\n";
    let bot = start(&folder, &format!("[dashboard]\nenabled = true\nport = 0\n{PATIENT}{of_plugin}"));
    let (code, text, error) = shell(&folder, &["admin", "settings", "misbehave"]);
    assert_eq!(code, 0, "{error}");
    let place = |setting: &str| {
        let written = std::fs::read_to_string(folder.path().join("rosey.toml")).expect("ours");
        let line = written.lines().position(|line| line.starts_with(setting)).expect("it is set") + 1;
        format!("{}:{line}", folder.path().join("rosey.toml").display())
    };
    let expected = format!(
        "limit = 7 ({}; whole number)\n\
         most = 3 answers (default; whole number, 1 to 14 answers): The answers that it gives in a row.\n\
         word = \"(hidden)\" ({}; text)",
        place("limit"),
        place("word")
    );
    assert_eq!(text.trim_end(), expected);
    let (code, same, error) = shell(&folder, &["config", "show", "misbehave"]);
    assert_eq!((code, same), (0, text.clone()), "{error}");
    let (_, json) = json(&folder, &["admin", "settings", "misbehave", "--json"]);
    assert_eq!((&json["settings"][1]["value"], &json["settings"][1]["is_default"]), (&"3".into(), &true.into()));
    let address = bot.dashboard();
    let of_api = http::get(&address, "/api/plugin/misbehave").json();
    assert_eq!(of_api["settings"], json["settings"]);
    let page = http::get(&address, "/plugin/misbehave").text();
    assert!(page.contains("The answers that it gives in a row.") && page.contains("(hidden)"), "{page}");
    assert!(![text, of_api.to_string(), page].iter().any(|all| all.contains("hunter2")));
}
