//! Wrong settings: what `rosey check` reports, and what a bot with them reports.

use rosey_tests::{
    bot::Folder,
    shell::{command, ended, folder, shell},
};
use std::os::unix::fs::PermissionsExt;

/// The exit code of `rosey check` with this file, and its whole output.
fn check(folder: &Folder) -> (i32, String) {
    let (code, stdout, error) = shell(folder, &["check"]);
    (code, format!("{stdout}\n{error}"))
}

#[test]
fn every_problem_is_named_in_one_run_with_its_file_and_line() {
    let folder = Folder::new(&["dice-roller"]);
    folder.configure("[dashboard]\nport = true\n[limits]\nqueue = 0\n[plugins.dice-roller]\n[plugins.weather]\n");
    let (code, stdout) = check(&folder);
    assert_eq!(code, 3, "{stdout}");
    let library = folder.path().canonicalize().expect("there").join("plugins/libweather.so");
    for problem in [
        "rosey: there are 3 problems with the configuration",
        "rosey.toml:8: dashboard.port: needs a whole number from 0 to 65535, not true or false",
        "rosey.toml:10: limits.queue: needs a whole number from 1 to 1,000,000",
        &format!(
            "rosey.toml:12: plugins.weather.library: {} does not exist; build weather and copy it there",
            library.display()
        ),
    ] {
        assert!(stdout.contains(problem), "{problem}\n{stdout}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_named_and_never_shown() {
    let folder = Folder::new(&[]);
    let file = folder.configure("[dashboard]\ntoken = \"correct horse battery staple\"\n");
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("ours");
    mode(0o644);
    let (code, stdout) = check(&folder);
    assert!(code == 0 && stdout.contains(&format!("run: chmod 600 {}", file.display())), "{stdout}");
    mode(0o600);
    assert!(!check(&folder).1.contains("WARNING"));
    std::fs::write(&file, "[dashboard]\ntoken = \"correct horse\n").expect("ours");
    let (code, wrong) = check(&folder);
    assert!(code == 3 && wrong.contains("rosey.toml:2: this is not TOML: "), "{wrong}");
    assert!(!format!("{stdout}{wrong}").contains("horse"), "{stdout}{wrong}");
}

#[test]
fn a_file_that_is_no_configuration_is_refused_quickly() {
    let folder = Folder::new(&[]);
    for bytes in [&b"\xff\xfe{\0}\0"[..], &[0; 4096], &[b'['; 100_000]] {
        std::fs::write(folder.path().join("rosey.toml"), bytes).expect("ours");
        let (code, stdout) = check(&folder);
        assert!(code == 3 && stdout.contains("rosey.toml:"), "{stdout}");
    }
    std::fs::remove_file(folder.path().join("rosey.toml")).expect("ours");
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("rosey.toml")).expect("ours");
    let (code, stdout) = check(&folder);
    assert!(code == 3 && stdout.contains("the file is longer than 1 MiB"), "{stdout}");
}

/// A setting that the misbehaving plugin cannot read. The value may be a secret.
const REFUSED: &str = "[plugins.misbehave]\n[plugins.misbehave.config]\nlimit = \"hunter2\"\n";

#[test]
fn a_setting_that_its_plugin_refuses_is_named_as_it_stands_in_the_file() {
    let folder = folder();
    std::fs::write(folder.path().join("plugins/libempty.so"), "").expect("ours");
    std::fs::write(folder.path().join("plugins/libmine.rlib"), "").expect("ours");
    folder.configure(&format!("{REFUSED}[plugins.empty]\n[plugins.mine]\n"));
    let (code, stdout) = check(&folder);
    assert_eq!(code, 3, "{stdout}");
    for problem in [
        "rosey.toml:9: plugins.misbehave.config.limit: is refused by the plugin: needs a whole number that is not negative",
        "rosey.toml:10: plugins.empty.library: ",
        "rosey.toml:11: plugins.mine.library: ",
        "add crate-type = [\"cdylib\"] under [lib] in its Cargo.toml",
    ] {
        assert!(stdout.contains(problem), "{problem}\n{stdout}");
    }
    assert!(!stdout.contains("hunter2"), "{stdout}");
    assert!(!folder.path().join("state").exists(), "the state directory is the bot's");
    for (wrong, problem) in [
        (
            "limt = 1",
            "limt: is refused by the plugin: there is no such setting; did you mean limit? There is `limit`, `most`, `word`",
        ),
        ("most = 20", "most: is refused by the plugin: needs 1 to 14 answers"),
    ] {
        folder.configure(&REFUSED.replace("limit = \"hunter2\"", wrong));
        let (code, stdout) = check(&folder);
        assert!(code == 3 && stdout.contains(&format!("rosey.toml:9: plugins.misbehave.config.{problem}")), "{stdout}");
    }
    folder.configure(&REFUSED.replace("\"hunter2\"", "5"));
    assert_eq!(check(&folder).0, 0);
    // Where the path of a socket would be too long.
    let long = folder.path().join("x".repeat(120));
    std::fs::create_dir(&long).expect("ours");
    let (code, stdout, error) = ended(command(&folder, &["check"]).env("TMPDIR", &long).output().expect("it is built"));
    assert_eq!(code, 0, "{stdout} {error}");
}

#[test]
fn a_bot_says_once_which_setting_is_refused_and_what_helps() {
    let folder = folder();
    let mut bot = folder.start(REFUSED);
    bot.until_logged("ready");
    let file = folder.path().canonicalize().expect("there").join("rosey.toml");
    let advice = format!(
        "its setting plugins.misbehave.config.limit is refused: needs a whole number that is not negative. Correct it in {}:9, \
         and let Rosey read it again: !admin config reload",
        file.display()
    );
    let log = bot.log();
    let of_plugin: Vec<_> = log.lines().filter(|line| line.contains("misbehave") && !line.contains("INFO")).collect();
    assert!(of_plugin.len() == 1 && of_plugin[0].contains(&format!("FAILED and stays down: {advice}")), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
    assert!(bot.ask("!admin status misbehave").contains("plugins.misbehave.config.limit is refused"));
    let refused = bot.ask("!admin reload misbehave");
    assert!(refused.contains("plugins.misbehave.config.limit is refused"), "before anyone says yes: {refused}");
    assert!(bot.end().success());
}

#[test]
fn what_would_keep_the_bot_from_running_is_named_before_it_runs() {
    let folder = Folder::new(&["dice-roller"]);
    std::fs::create_dir(folder.path().join("state")).expect("ours");
    std::fs::write(folder.path().join("state/photo.jpg"), "another person's").expect("ours");
    folder.configure(
        "[admin]\naudit_file = \"logs/audit.jsonl\"\n[dashboard]\nenabled = true\nhost = \"no such host\"\n\
         [plugins.dice-roller]\nprobe = \"rol 1d6\"\n[plugins.zero]\nlibrary = \"/dev/zero\"\n",
    );
    let (code, stdout) = check(&folder);
    assert_eq!(code, 3, "{stdout}");
    for problem in [
        "rosey.toml:3: state_dir: ",
        "rosey.toml:8: admin.audit_file: its folder ",
        "rosey.toml:11: dashboard.host: needs the name of a host",
        "rosey.toml:13: plugins.dice-roller.probe: needs a command of the plugin, without a prefix; it has roll",
        "rosey.toml:15: plugins.zero.library: /dev/zero is not a file",
    ] {
        assert!(stdout.contains(problem), "{problem}\n{stdout}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("state")).expect("there").count(), 1, "nothing was touched");
}
