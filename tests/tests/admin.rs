//! The admin on real processes: in chat, in the shell, and under SIGKILL.

use rosey_tests::{
    bot::{Bot, signal_process},
    build,
    shell::{PATIENT, folder, shell, start, text},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

/// The artifact that a status names.
fn artifact(status: &str) -> &str {
    status.split_once("artifact ").and_then(|(_, rest)| rest.split(',').next()).unwrap_or(status)
}

fn generation(line: &str) -> &str {
    line.split_once("generation ").map_or(line, |(_, rest)| rest.split(' ').next().unwrap_or_default())
}

#[test]
fn a_reload_in_chat_asks_begins_at_once_and_ends_with_its_steps() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    let pid = bot.pid();
    let library = folder.library("misbehave");
    build::variant(&library, "confirmed");
    let question = bot.ask("!admin reload misbehave");
    let (change, rest) = question.strip_prefix("Reload ").and_then(|rest| rest.split_once('?')).expect("a question");
    assert_eq!(rest, " Type 'yes' to confirm (30 s)");
    assert!(change.starts_with("misbehave 1.0.0 (") && change.contains(") → 1.0.0 ("), "of equal versions: {change}");
    build::variant(&library, "sneaked-in");
    assert_eq!(bot.ask("yes"), format!("Reloading {change} …"));
    let done = bot.answer();
    let steps = done.strip_prefix(&format!("{change}: generation 2 is active (start ")).expect("what was confirmed");
    assert!(steps.contains(", probe ") && steps.contains(", swap ") && steps.ends_with(" in all)."), "{steps}");
    assert_eq!(bot.ask("!variant"), "confirmed", "what was confirmed, not what lay there later");
    assert_eq!(bot.pid(), pid);
    assert!(bot.end().success());
}

#[test]
fn a_reload_never_takes_a_command_of_another_plugin() {
    let folder = folder();
    // By name it comes before the plugin that has the commands.
    let library = folder.library("alias");
    std::fs::copy(build::library("eight-ball"), &library).expect("it is built");
    let settings = "[limits]\nbake = 0\n[plugins.misbehave]\n[plugins.alias]\n";
    let mut bot = start(&folder, settings);
    build::variant(&library, "second");
    let question = bot.ask("!admin reload alias force");
    assert!(question.contains("? It no longer has !8ball, !eightball. !abort, !act, !bump, !chatter, "), "{question}");
    assert!(question.contains(" more stay with misbehave; !alias:abort reaches alias. Type 'yes'"), "{question}");
    bot.ask("yes");
    assert!(bot.answer().contains("is active"));
    assert_eq!(bot.ask("!variant"), "first", "it stays with the plugin that had it");
    assert_eq!(bot.ask("!alias:variant"), "second");
    let help = bot.ask("!help");
    assert_eq!(help.matches(" !variant").count(), 1, "{help}");
    assert!(help.contains(" !alias:variant"), "{help}");
    assert!(bot.ask("!help variant").ends_with(" (misbehave; also !alias:variant)"));
    assert!(bot.end().success());
    let mut bot = start(&folder, settings);
    assert_eq!(bot.ask("!variant"), "first", "nor does a new start take it");
    assert_eq!(bot.ask("!alias:variant"), "second");
}

#[test]
fn a_bad_build_is_refused_with_the_reason_and_what_ran_goes_on() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    let library = folder.library("misbehave");
    std::fs::write(&library, "not a library").expect("our directory");
    let refused = bot.ask("!admin reload misbehave");
    assert!(refused.starts_with("reload misbehave refused: ") && refused.contains("build it again"), "{refused}");
    assert!(refused.ends_with(" 1.0.0 goes on."), "{refused}");

    build::variant(&library, "probe-fails");
    assert!(bot.ask("!admin reload misbehave").starts_with("Reload misbehave"));
    bot.ask("yes");
    let refused = bot.answer();
    let expected = "the probe finds nothing; look at its log: !admin logs misbehave. 1.0.0 goes on.";
    assert!(refused.ends_with(expected), "{refused}");
    assert_eq!(bot.ask("!variant"), "first");

    build::variant(&library, "first");
    assert!(bot.ask("!admin reload misbehave").contains("already runs this build"));
    assert!(bot.ask("!admin reload misbehave force").starts_with("Reload misbehave"));
    bot.ask("yes");
    assert!(bot.answer().contains("is active"));
}

#[test]
fn a_build_that_dies_in_its_probe_is_told_with_its_cause_and_its_last_words() {
    let folder = folder();
    let mut bot = start(&folder, "[admin]\ncooldown = 0\n[plugins.misbehave]\n");
    for (variant, words) in [("create-aborts", "no moon at all"), ("probe-crashes", "the probe is too much for me")] {
        build::variant(&folder.library("misbehave"), variant);
        let mut refused = bot.ask("!admin reload misbehave");
        if refused.starts_with("Reload misbehave") {
            bot.ask("yes");
            refused = bot.answer();
        }
        let why = format!("; its last words: {words}; look at its log");
        assert!(
            refused.contains("SIGABRT") && refused.contains(&why) && refused.ends_with("1.0.0 goes on."),
            "{refused}"
        );
        bot.until_logged(&why);
        let (_, audited, _) = shell(&folder, &["audit", "list", "--plugin", "misbehave"]);
        assert!(audited.contains(&why), "{audited}");
    }
    assert_eq!(bot.ask("!variant"), "first");
}

#[test]
fn a_plugin_that_crashes_between_question_and_yes_is_reloaded_all_the_same() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    build::variant(&folder.library("misbehave"), "second");
    bot.ask("!admin reload misbehave");
    signal_process(bot.ask("!pid").parse().expect("a number"), Signal::KILL);
    bot.until_logged("crashed after");
    assert!(bot.ask("yes").starts_with("Reloading misbehave"));
    assert!(bot.answer().contains("is active"));
    assert_eq!(bot.ask("!variant"), "second");
}

#[test]
fn a_piped_conversation_is_taken_in_order_and_a_waiting_question_does_not_delay_its_end() {
    let folder = folder();
    let file = folder.configure(PATIENT);
    let mut child = Command::new(build::rosey())
        .args(["run", "--config"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is built");
    let lines = "!admin reload misbehave force\nyes\n!admin stop misbehave\n";
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let began = std::time::Instant::now();
    let output = child.wait_with_output().expect("ours");
    assert!(output.status.success());
    let stdout = text(&output.stdout);
    assert!(stdout.contains("Reloading misbehave") && stdout.contains("generation 2 is active"), "{stdout}");
    assert!(stdout.contains("Stop misbehave 1.0.0? Type 'yes'"), "{stdout}");
    assert!(began.elapsed().as_secs() < 25, "the host does not wait for the answer");
    let (code, verified, _) = shell(&folder, &["audit", "verify"]);
    assert_eq!((code, verified.starts_with("2 records")), (0, true), "{verified}");
}

#[test]
fn every_command_works_in_chat() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    let build = format!("(gen. 1, {}", artifact(&bot.ask("!admin status misbehave")));
    assert_eq!(bot.ask("!admin list"), format!("misbehave 1.0.0 running {build})"));
    let status = bot.ask("!admin status misbehave");
    for part in ["misbehave 1.0.0 running", "up ", " MiB", "1 event,", "0 crashes", "generation 1", "artifact ", "pid "]
    {
        assert!(status.contains(part), "{part} in {status}");
    }
    assert!(bot.ask("!admin status").starts_with(&format!("misbehave 1.0.0 running {build}, up ")));
    assert!(bot.ask("!admin metrics").contains("dashboard"));
    assert!(bot.ask("!admin help").contains("deadletters"));
    assert_eq!(bot.ask("!shout 1"), "shouted");
    let logs = loop {
        // The pipe of a plugin is read in parallel with its events.
        let (_, logs, _) = shell(&folder, &["admin", "logs", "misbehave"]);
        if logs.contains("line 0") {
            break logs;
        }
    };
    assert!(logs.contains("generation 1 is active"), "{logs}");
    let mut confirmed = |command: &str| {
        let question = bot.ask(command);
        assert!(question.ends_with("Type 'yes' to confirm (30 s)"), "{question}");
        bot.ask("yes");
        bot.answer()
    };
    let restarted = confirmed("!admin restart misbehave");
    assert!(restarted.starts_with("misbehave restarted: generation 2 is active"), "{restarted}");
    assert_eq!(confirmed("!admin stop misbehave"), "misbehave is stopped.");
    assert_eq!(confirmed("!admin start misbehave"), "misbehave 1.0.0 is running: generation 3.");
    build::variant(&folder.library("misbehave"), "second");
    assert!(confirmed("!admin reload misbehave").contains("generation 4 is active"));
    let back = confirmed("!admin rollback misbehave");
    assert!(back.starts_with("misbehave 1.0.0 (") && back.contains("): generation"), "{back}");
    assert_eq!(bot.ask("!variant"), "first");
    // A build that a person rolled back can be reloaded like any other.
    assert!(bot.ask("!admin reload misbehave").starts_with("Reload misbehave 1.0.0 ("));
    bot.ask("no");
    assert_eq!(shell(&folder, &["audit", "verify"]).0, 0);
}

#[test]
fn a_bot_that_starts_says_once_that_another_build_lies_in_the_folder() {
    let folder = folder();
    let more = "[admin]\ncooldown = 0\n[plugins.misbehave]\n";
    assert!(start(&folder, more).end().success());
    build::variant(&folder.library("misbehave"), "newer");
    let mut bot = start(&folder, more);
    let why = "The plugin folder has another build. To use it: !admin reload misbehave.";
    bot.until_logged(why);
    let status = bot.ask("!admin status misbehave");
    assert!(status.contains(why), "{status}");
    bot.ask("!admin reload misbehave");
    bot.ask("yes");
    assert!(bot.answer().contains("is active"));
    assert!(!bot.ask("!admin status misbehave").contains(why));
    assert_eq!(bot.log().matches(why).count(), 1, "{}", bot.log());
    assert_eq!(bot.ask("!variant"), "newer");
    let events = shell(&folder, &["admin", "logs", "misbehave"]).1;
    assert!(events.contains(why), "{events}");
}

#[test]
fn a_rollback_says_what_is_left_of_the_state_whoever_made_it() {
    let folder = folder();
    let mut bot = start(&folder, "[admin]\ncooldown = 0\n[plugins.misbehave]\nreload = \"handoff\"\n");
    let reload = |bot: &mut Bot, variant: &str| {
        build::variant(&folder.library("misbehave"), variant);
        bot.ask("!admin reload misbehave");
        bot.ask("yes");
        let done = bot.answer();
        assert!(done.contains("restore ") && done.contains("is active"), "{done}");
    };
    let lost = "it goes on with its state at the swap; changes by the newer build are lost";
    reload(&mut bot, "second");
    bot.ask("!admin rollback misbehave");
    bot.ask("yes");
    let back = bot.answer();
    assert!(back.contains(&format!("); {lost}.")), "{back}");

    reload(&mut bot, "echo-crashes");
    // The two answers may come in either order.
    let both = [bot.ask("!echo hello"), bot.answer()];
    let (answers, told): (Vec<&str>, Vec<&str>) = both.iter().map(String::as_str).partition(|line| *line == "hello");
    assert_eq!((answers.len(), told.len()), (1, 1), "the build before answers: {both:?}");
    let told = told[0];
    assert!(told.contains(" by itself, because it crashed: ") && told.contains(lost), "{told}");
    bot.until_logged(&format!("what ran before serves again (its process was still there); {lost}"));
    let status = bot.ask("!admin status misbehave");
    assert!(status.contains(". It went back to this build by itself ") && status.contains(lost), "{status}");
    reload(&mut bot, "third");
    assert!(!bot.ask("!admin status misbehave").contains("by itself"), "a good change is the end of it");
}

#[test]
fn a_dead_letter_is_listed_and_replayed() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    assert_eq!(
        bot.ask("!abort"),
        "That command crashed misbehave twice, so Rosey does not try it again. The operator can see it."
    );
    let listed = bot.ask("!admin deadletters misbehave");
    assert!(listed.starts_with("1 misbehave by alice: !abort ("), "{listed}");
    let (code, json, _) = shell(&folder, &["admin", "deadletters", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["dead_letters"][0]["line"]), (0, &Value::from("!abort")));
    let question = bot.ask("!admin deadletters misbehave replay 1");
    assert!(question.starts_with("Replay dead letter 1 of misbehave: !abort by alice?"), "{question}");
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave gets dead letter 1 again: !abort. Rosey drops its answer.");
    let again = loop {
        // It crashes two more processes until it is a dead letter again.
        let (_, listed, _) = shell(&folder, &["admin", "deadletters", "misbehave"]);
        if listed.contains("!abort") {
            break listed;
        }
    };
    assert!(again.contains("misbehave by alice: !abort"), "{again}");
    assert!(bot.ask("!exit 3").contains("does not try it again"));
    let question = bot.ask("!admin deadletters misbehave replay all");
    assert!(
        question.starts_with("Replay all dead letters of misbehave: 2, the newest !exit 3 by alice?"),
        "{question}"
    );
    bot.ask("no");
    bot.ask("!admin deadletters misbehave discard all");
    bot.ask("yes");
    assert_eq!(bot.answer(), "all 2 dead letters of misbehave are discarded.");
    let none = bot.ask("!admin deadletters misbehave discard all");
    assert!(none.contains("misbehave has no dead letters"), "{none}");
}

#[test]
fn a_dead_letter_outlives_the_host() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    assert!(bot.ask("!abort").contains("does not try it again"));
    let listed = bot.ask("!admin deadletters misbehave");
    bot.signal(Signal::KILL);
    bot.exit();

    build::variant(&folder.library("misbehave"), "abort-mended");
    let mut bot = start(&folder, PATIENT);
    assert_eq!(bot.ask("!admin deadletters misbehave"), listed);
    bot.ask("!admin reload misbehave");
    bot.ask("yes");
    assert!(bot.answer().contains("is active"));
    bot.ask("!admin deadletters misbehave replay 1");
    bot.ask("yes");
    assert_eq!(bot.answer(), "misbehave gets dead letter 1 again: !abort. Rosey drops its answer.");
    assert_eq!(bot.ask("!admin deadletters misbehave"), "There are no dead letters.");
    assert!(bot.ask("!admin status misbehave").contains("0 crashes"), "the mended build has answered it");
}

#[test]
fn the_shell_says_the_same_with_exit_codes_for_scripts() {
    let folder = folder();
    folder.configure(PATIENT);
    let (code, _, error) = shell(&folder, &["admin", "list"]);
    assert_eq!(code, 4);
    assert!(error.contains("no rosey is running") && error.contains("state"), "{error}");

    let mut bot = start(&folder, PATIENT);
    let (code, list, error) = shell(&folder, &["admin", "list"]);
    assert!(code == 0 && list.starts_with("misbehave 1.0.0 running (gen. 1, ") && error.is_empty(), "{list} {error}");
    let (code, json, _) = shell(&folder, &["admin", "status", "misbehave", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, json["name"].as_str(), json["state"].as_str()), (0, Some("misbehave"), Some("running")));
    assert!(json["memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0) && json["event_count"] == 1, "{json}");

    let (code, _, error) = shell(&folder, &["admin", "reload", "misbehavee", "--yes"]);
    assert!(code == 1 && error.contains("did you mean misbehave?"), "{error}");
    let (code, _, error) = shell(&folder, &["admin", "stop", "misbehave"]);
    assert!(code == 7 && error.contains("add --yes"), "{error}");
    let (code, _, error) = shell(&folder, &["admin", "reload", "misbehave", "--yes"]);
    assert!(code == 1 && error.contains("already runs this build"), "{error}");
    let (code, done, progress) = shell(&folder, &["admin", "reload", "misbehave", "--yes", "--force"]);
    assert!(code == 0 && generation(&done) == "2" && progress.contains("Reloading misbehave"), "{done} {progress}");
    assert_eq!(shell(&folder, &["admin", "dance"]).0, 2);
    assert_eq!(bot.ask("!variant"), "first");
}

#[test]
fn wait_shows_a_long_drain_and_returns_after_it() {
    let folder = folder();
    let mut bot = start(&folder, PATIENT);
    bot.say("!later 1500 late");
    build::variant(&folder.library("misbehave"), "second");
    let (code, _, progress) = shell(&folder, &["admin", "reload", "misbehave", "--yes", "--wait"]);
    assert_eq!(code, 0, "{progress}");
    assert!(progress.contains("generation 1 of misbehave has 1 event to finish"), "{progress}");
    assert_eq!(bot.answer(), "late");
}

#[test]
fn too_often_and_too_soon_are_temporary() {
    let folder = folder();
    let _bot = start(&folder, "[admin]\ncooldown = 600\n[plugins.misbehave]\n");
    assert_eq!(shell(&folder, &["admin", "restart", "misbehave", "--yes"]).0, 0);
    let (code, _, error) = shell(&folder, &["admin", "restart", "misbehave", "--yes"]);
    assert!(code == 6 && error.contains("was changed a moment ago"), "{error}");
    for _ in 2..10 {
        assert_eq!(shell(&folder, &["admin", "restart", "misbehave"]).0, 6);
    }
    let (code, _, error) = shell(&folder, &["admin", "stop", "misbehave", "--yes"]);
    assert!(code == 6 && error.contains("Too many commands"), "{error}");
}

#[test]
fn a_role_in_the_configuration_holds_for_the_system_user_too() {
    let folder = folder();
    let output = Command::new("id").arg("-un").output().expect("a system");
    let me = text(&output.stdout);
    let _bot = start(&folder, &format!("[roles]\n{me} = \"viewer\"\n[plugins.misbehave]\n"));
    assert_eq!(shell(&folder, &["admin", "status"]).0, 0);
    let (code, _, error) = shell(&folder, &["admin", "stop", "misbehave", "--yes"]);
    assert!(code == 5 && error.contains("Admin permission required"), "{error}");
    let (_, audited, _) = shell(&folder, &["audit", "list", "--plugin", "misbehave", "--since", "1h"]);
    assert!(audited.contains(&format!("denied  {me} (system) shell control.sock")), "{audited}");
}

#[test]
fn the_audit_survives_sigkill_in_the_middle_of_an_action() {
    let folder = folder();
    let audited = format!("[admin]\naudit_file = \"audit.jsonl\"\ncooldown = 0\n{}", "[plugins.misbehave]\n");
    let mut bot = start(&folder, &audited);
    build::variant(&folder.library("misbehave"), "probe-hangs");
    bot.ask("!admin reload misbehave");
    assert!(bot.ask("yes").starts_with("Reloading"));
    let begun = || std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap_or_default();
    while !begun().contains("\"before\"") {
        std::thread::yield_now();
    }
    bot.signal(Signal::KILL);
    bot.exit();
    let (code, verified, error) = shell(&folder, &["audit", "verify"]);
    assert_eq!(code, 0, "{error}");
    assert!(verified.contains("record 1 begins an action without a recorded end"), "{verified}");

    let mut bot = start(&folder, &audited);
    assert!(bot.end().success());
    let (code, verified, _) = shell(&folder, &["audit", "verify"]);
    assert!(code == 0 && verified.starts_with("2 records") && !verified.contains("no end"), "{verified}");
    let (_, listed, _) = shell(&folder, &["audit", "list", "--json"]);
    let last: Value = serde_json::from_str(listed.lines().last().expect("two")).expect("JSON");
    assert_eq!((last["about"].as_i64(), last["ok"].as_bool()), (Some(1), Some(false)));

    let file = folder.path().join("audit.jsonl");
    std::fs::write(&file, begun().replacen("alice", "mallory", 1)).expect("ours");
    let (code, _, error) = shell(&folder, &["audit", "verify"]);
    assert!(code == 8 && error.contains("record 1 is not as it was written"), "{error}");
}

#[test]
fn sigkill_at_any_moment_leaves_a_whole_chain() {
    let folder = folder();
    let more =
        format!("[admin]\naudit_file = \"audit.jsonl\"\ncooldown = 0\nper_minute = 1000\n{}", "[plugins.misbehave]\n");
    let mut random = fastrand::Rng::with_seed(6);
    for round in 0..6 {
        let mut bot = start(&folder, &more);
        for _ in 0..20 {
            bot.say("!admin reload misbehave force\nyes\n!admin restart misbehave\nyes\n!admin stop nobody");
        }
        std::thread::park_timeout(Duration::from_micros(random.u64(0..600_000)));
        bot.signal(Signal::KILL);
        bot.exit();
        let (code, verified, error) = shell(&folder, &["audit", "verify"]);
        assert_eq!(code, 0, "round {round}: {verified} {error}");
    }
    assert!(start(&folder, &more).end().success());
    let (code, verified, error) = shell(&folder, &["audit", "verify"]);
    assert!(code == 0 && !verified.contains("no end"), "{verified} {error}");
}

#[test]
fn the_control_socket_is_private_and_answers_nonsense_politely() {
    use std::{io::Read, os::unix::fs::PermissionsExt, os::unix::net::UnixStream};
    let folder = folder();
    let _bot = start(&folder, PATIENT);
    let socket = folder.path().join("state/run/control.sock");
    assert_eq!(socket.metadata().expect("there").permissions().mode() & 0o777, 0o600);
    for nonsense in ["hello\n", "{\"command\":{\"line\":\"yes\"}}\n", "{\"answer\":\"yes\"}\n", &"x".repeat(10_000)] {
        let mut stream = UnixStream::connect(&socket).expect("it listens");
        stream.write_all(nonsense.as_bytes()).expect("it reads");
        let mut answer = String::new();
        // The kernel resets a connection that is closed with unread bytes.
        let _ = stream.read_to_string(&mut answer);
        assert!(answer.is_empty() || answer.contains("refused"), "{answer}");
    }
    assert_eq!(shell(&folder, &["admin", "list"]).0, 0);
}
