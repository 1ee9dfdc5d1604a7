//! Where the configuration comes from: a file from five answers, and over it a folder, credentials and the environment.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
    shell::{command, ended, folder},
    tool,
};
use rustix::process::Signal;
use std::{fs, path::PathBuf, process::Command};

const PLAIN: &str = "[admin]\ncooldown = 0\nper_minute = 1000\n[plugins.misbehave]\n";

const TOKEN: &str = "correct-horse-battery-staple";

/// Writes a file of the folder beside `rosey.toml`.
fn layer(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join("rosey.conf.d").join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("our directory");
    fs::write(&path, text).expect("our directory");
    path
}

fn surround(command: &mut Command, folder: &Folder) {
    command
        .env("ROSEY_PLUGINS__DICE_ROLLER__LIBRARY", build::library("dice-roller"))
        .env("ROSEY_CONNECT__IRC__PASSWORD", "swordfish-and-chips")
        .env("ROSEY_DASHBOARD__PORT", "0")
        .env("CREDENTIALS_DIRECTORY", folder.path().join("credentials"));
}

fn bot(folder: &Folder) -> Bot {
    let mut command = Command::new(build::rosey());
    command.args(["run", "--config", "rosey.toml"]).current_dir(folder.path());
    surround(&mut command, folder);
    Bot::spawn(command)
}

fn shell(folder: &Folder, arguments: &[&str]) -> (i32, String, String) {
    let mut command = command(folder, arguments);
    surround(&mut command, folder);
    ended(command.output().expect("it is built"))
}

#[test]
fn every_reader_takes_what_counts_over_the_file_and_none_shows_a_secret() {
    let folder = folder();
    folder.configure(&format!("{PLAIN}[dashboard]\nenabled = true\nport = 9\n[metrics]\npoll_interval = 0.2\n"));
    fs::create_dir(folder.path().join("credentials")).expect("our directory");
    fs::write(folder.path().join("credentials/rosey_dashboard.token"), format!("{TOKEN}\n")).expect("our directory");
    fs::write(folder.path().join("account"), "open-sesame-street\n").expect("our directory");
    // No server listens there.
    let irc = "[connect.irc]\nserver = \"127.0.0.1\"\nport = 1\ntls = false\nnick = \"rosey\"\naccount = \"rosey\"\n\
               account_password_file = \"account\"\n";
    layer(&folder, "10-irc.toml", irc);
    let mut said = Vec::new();
    let mut ask = |arguments: &[&str]| {
        let (code, stdout, error) = shell(&folder, arguments);
        said.push(format!("{stdout}{error}"));
        assert_eq!(code, 0, "{arguments:?}: {stdout}{error}");
        stdout
    };
    let checked = ask(&["check"]);
    let from = "the variable ROSEY_DASHBOARD__PORT, the variable ROSEY_PLUGINS__DICE_ROLLER__LIBRARY";
    for part in ["rosey.conf.d/10-irc.toml, the credential rosey_dashboard.token", from, "dice-roller"] {
        assert!(checked.contains(part), "{part}\n{checked}");
    }
    let mut bot = bot(&folder);
    assert!(bot.ask("!roll 1d1").contains('1'), "{}", bot.log());
    assert_eq!(bot.ask("!variant"), "first");
    let address = bot.dashboard();
    assert_eq!(ask(&["config", "plan"]), "Nothing to take over while Rosey runs.");

    layer(&folder, "20-more.toml", "[plugins.misbehave.limits]\nqueue = 77\n[dashboard]\nhost = \"::1\"\n");
    fs::write(folder.path().join("account"), "another-street\n").expect("our directory");
    let plan = ask(&["config", "plan"]);
    assert!(plan.contains("limits.queue"), "{plan}");
    assert!(plan.contains("Needs a restart of Rosey: connect.irc.account_password_file, dashboard.host."), "{plan}");
    ask(&["config", "plan", "--json"]);
    assert!(ask(&["config", "apply", "--yes"]).contains("misbehave goes by the new limits.queue."));
    layer(&folder, "30-last.toml", "[plugins.misbehave.limits]\nqueue = 88\n");
    bot.signal(Signal::HUP);
    bot.until_logged("SIGHUP");
    wait_until("it has the new limit", || ask(&["config", "plan"]).starts_with("Nothing to take over"));

    for command in [&["admin", "status", "misbehave", "--json"][..], &["admin", "metrics"], &["audit", "list"]] {
        ask(command);
    }
    let header = format!("Authorization: Bearer {TOKEN}");
    let get = |path: &str| http::request(&address, "GET", path, &[&header], "");
    wait_until("there is something to show", || get("/readyz").status == 200);
    let pages = ["/", "/plugin/misbehave", "/events", "/api/metrics", "/metrics"].map(|path| get(path).text());
    said.extend(pages);
    assert!(bot.end().success(), "{}", bot.log());
    said.push(bot.log());
    for text in said {
        for secret in [TOKEN, "swordfish", "sesame", "another-street"] {
            assert!(!text.contains(secret), "{secret} is shown: {text}");
        }
    }
}

#[test]
fn a_wrong_layer_changes_nothing_and_the_answer_names_it() {
    let folder = folder();
    folder.configure(PLAIN);
    fs::create_dir(folder.path().join("credentials")).expect("our directory");
    layer(&folder, "10.json", "{\"plugins\": {\"misbehave\": {\"config\": {\"limit\": 3}}}}");
    let more = "[connect.irc]\nserver = \"127.0.0.1\"\nport = 1\ntls = false\nnick = \"rosey\"\n";
    layer(&folder, "10-irc.toml", more);
    let mut bot = bot(&folder);
    assert_eq!(bot.ask("!variant"), "first", "{}", bot.log());
    let wrong = layer(&folder, "20.toml", "\n[plugins.misbehave.limits]\nqueu = 1\n");
    let apply = || shell(&folder, &["config", "apply", "--yes"]);
    let (code, _, error) = apply();
    let problem =
        "rosey.conf.d/20.toml:3: plugins.misbehave.limits.queu: there is no such setting; did you mean queue?";
    assert!(code == 3 && error.contains(problem), "{error}");
    let told = bot.ask("!admin config reload");
    assert!(told.starts_with("Nothing was changed. ") && told.contains(problem), "{told}");
    // The plugin itself refuses the value, and Rosey knows where it comes from.
    fs::write(&wrong, "[plugins.misbehave.config]\n\nlimit = \"many\"\n").expect("our directory");
    let (code, _, error) = apply();
    assert!(code == 1 && error.contains("rosey.conf.d/20.toml:3"), "{error}");
    let mut check = command(&folder, &["check"]);
    let check = check.env("ROSEY_PLUGINS__MISBEHAVE__CONFIG__LIMIT", "none").env("ROSEY_DASHBORD__PORT", "1");
    let (code, stdout, error) = ended(check.output().expect("it is built"));
    assert_eq!(code, 3, "{stdout}");
    for part in [
        "the variable ROSEY_DASHBORD__PORT: dashbord: there is no such setting; did you mean dashboard?",
        "the variable ROSEY_PLUGINS__MISBEHAVE__CONFIG__LIMIT: plugins.misbehave.config.limit: is refused by the plugin",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
    fs::remove_file(&wrong).expect("ours");
    assert!(apply().2.contains("Nothing to do"), "all is as before");
    assert!(bot.end().success());
}

#[test]
fn without_a_file_the_environment_counts_over_the_default() {
    let folder = Folder::new(&[]);
    let mut command = Command::new(build::rosey());
    command.current_dir(folder.path()).env("ROSEY_DASHBOARD__PORT", "0").env("ROSEY_STATE_DIR", "elsewhere");
    let mut bot = Bot::spawn(command);
    assert!(bot.answer().starts_with("Hello "), "{}", bot.log());
    assert!(bot.answer().starts_with("Dashboard: http://127.0.0.1:"));
    assert!(bot.answer().ends_with("/elsewhere."));
    assert!(bot.end().success());
    assert!(folder.path().join("elsewhere/rosey.db").is_file());
    let check = Command::new(build::rosey()).arg("check").current_dir(folder.path()).env("ROSEY_OWNER", "a b").output();
    let (code, _, error) = ended(check.expect("it is built"));
    assert!(code == 3 && error.contains("rosey: the variable ROSEY_OWNER: owner: \"a b\": "), "{error}");
}

/// What `rosey check` says of a file that `rosey config init` has written.
fn check_written(folder: &Folder, file: &str) {
    let check = Command::new(build::rosey()).args(["check", "--config", file]).current_dir(folder.path()).output();
    let (code, stdout, error) = ended(check.expect("it is built"));
    assert!(code == 0 && stdout.contains("owner      alice"), "{stdout}{error}");
}

#[test]
fn five_answers_make_a_file_that_the_check_accepts_and_none_is_overwritten() {
    let folder = Folder::new(&[]);
    // The default folder of the plugins is that of the executable.
    let _ = (build::shim(), ["dice-roller", "eight-ball"].map(build::library));
    let rosey = build::rosey();
    let init = |file: &str, input: &str| {
        let program = rosey.to_str().expect("a plain path");
        tool::run(program, &["config", "init", file], folder.path(), input.as_bytes())
    };
    let (code, output) = init("rosey.toml", "alice\n127.0.0.1\nrosey\n#rosey, rosey2\n#rosey\n0\n");
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("This needs \"#name\"") && output.contains("rosey check --config rosey.toml"), "{output}");
    check_written(&folder, "rosey.toml");
    let before = fs::read_to_string(folder.path().join("rosey.toml")).expect("written");
    let (code, output) = init("rosey.toml", "bob\n\n\n");
    assert!(code == Some(1) && output.contains("rosey.toml exists; name another file"), "{output}");
    assert_eq!(fs::read_to_string(folder.path().join("rosey.toml")).expect("written"), before);
    let (code, output) = init("other.toml", "alice\n");
    assert!(code == Some(7) && output.contains("nothing was written"), "{output}");
    assert!(!folder.path().join("other.toml").exists());
    let (code, output) = init("none/rosey.toml", "alice\n\n0\n");
    assert!(
        code == Some(1) && output.contains("none/rosey.toml cannot be written: its folder does not exist"),
        "{output}"
    );
    if tool::is_there("script", "bsdutils") {
        let line = format!("{} config init terminal.toml", rosey.display());
        let (code, output) = tool::run("script", &["-qec", &line, "/dev/null"], folder.path(), b"alice\n\n0\n");
        assert!(code == Some(0) && output.contains("Port of the dashboard, for this machine alone"), "{output}");
        check_written(&folder, "terminal.toml");
    }
    let (_, schema) = tool::run(rosey.to_str().expect("a plain path"), &["config", "schema"], folder.path(), b"");
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema["properties"]["dashboard"]["properties"]["port"]["type"], "integer");
}
