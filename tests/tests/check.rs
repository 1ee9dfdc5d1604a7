//! `rosey check`: what it names, and what it takes.

use rosey_tests::{bot::Folder, shell::shell};
use std::os::unix::fs::PermissionsExt;

/// The exit code of `rosey check` with this file, and all that it says.
fn check(folder: &Folder) -> (i32, String) {
    let (code, said, error) = shell(folder, &["check"]);
    (code, format!("{said}\n{error}"))
}

#[test]
fn every_problem_is_named_in_one_run_with_its_file_and_line() {
    let folder = Folder::new(&["dice-roller"]);
    folder.configure("[dashboard]\nport = true\n[limits]\nqueue = 0\n[plugins.dice-roller]\n[plugins.weather]\n");
    let (code, said) = check(&folder);
    assert_eq!(code, 3, "{said}");
    let library = folder.path().canonicalize().expect("there").join("plugins/libweather.so");
    for problem in [
        "rosey: there are 3 problems with the configuration",
        "rosey.toml:8: dashboard.port: needs a whole number from 0 to 65535, not true or false",
        "rosey.toml:10: limits.queue: needs a whole number from 1 to 1,000,000",
        "rosey.toml:12: plugins.weather.library: its library ",
        &format!("{} is not there; build it with: cargo build --release -p weather", library.display()),
    ] {
        assert!(said.contains(problem), "{problem}\n{said}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_named_and_never_shown() {
    let folder = Folder::new(&[]);
    let file = folder.configure("[dashboard]\ntoken = \"correct horse battery staple\"\n");
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("ours");
    mode(0o644);
    let (code, said) = check(&folder);
    assert!(code == 0 && said.contains("run: chmod 600 rosey.toml"), "{said}");
    mode(0o600);
    assert!(!check(&folder).1.contains("WARNING"));
    std::fs::write(&file, "[dashboard]\ntoken = \"correct horse\n").expect("ours");
    let (code, wrong) = check(&folder);
    assert!(code == 3 && wrong.contains("rosey.toml:2: this is not TOML: "), "{wrong}");
    assert!(!format!("{said}{wrong}").contains("horse"), "{said}{wrong}");
}

#[test]
fn a_file_that_is_no_configuration_is_refused_quickly() {
    let folder = Folder::new(&[]);
    for bytes in [&b"\xff\xfe{\0}\0"[..], &[0; 4096], &[b'['; 100_000]] {
        std::fs::write(folder.path().join("rosey.toml"), bytes).expect("ours");
        let (code, said) = check(&folder);
        assert!(code == 3 && said.contains("rosey.toml:"), "{said}");
    }
    std::fs::remove_file(folder.path().join("rosey.toml")).expect("ours");
    std::os::unix::fs::symlink("/dev/zero", folder.path().join("rosey.toml")).expect("ours");
    let (code, said) = check(&folder);
    assert!(code == 3 && said.contains("the file is longer than 1 MiB"), "{said}");
}
