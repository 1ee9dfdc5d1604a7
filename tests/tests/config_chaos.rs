//! Random edits of a valid configuration, taken over while people talk: each is applied as a whole or refused as a whole, and
//! every line gets one answer. `ROSEY_CHAOS_SEED` repeats a run, and `ROSEY_CHAOS_EDITS` says how many edits it has.

use rosey_tests::{
    bot::Folder,
    build,
    shell::{command, ended, shell},
    talk::Talk,
};
use std::{collections::BTreeSet, process::Stdio};

/// What no edit changes, so that the shell finds the bot.
const HEAD: &str = "[admin]\ncooldown = 0\nper_minute = 10000\n[limits]\nbake = 0\nprobe_attempts = 1\n";

/// The part of the file that is edited.
fn edited(random: &mut fastrand::Rng) -> String {
    let mut text = String::new();
    let mut add = |random: &mut fastrand::Rng, share: f64, part: String| {
        if random.f64() < share {
            text += &part;
        }
    };
    let pick = |random: &mut fastrand::Rng, words: &[&str]| words[random.usize(..words.len())].to_owned();
    let role = pick(random, &["viewer", "operator", "owner", "queen"]);
    add(random, 0.3, format!("[roles]\neve = \"{role}\"\n"));
    let require = pick(random, &["", "\"limits\"", "\"walls\""]);
    add(random, 0.1, format!("[sandbox]\nrequire = [{require}]\n"));
    if random.f64() < 0.8 {
        // The second library fails its probe, which shows only after the yes, when other steps are done already.
        let library = pick(random, &["misbehave", "misbehave", "misbehave", "late"]);
        add(random, 1.0, format!("[plugins.misbehave]\nlibrary = \"plugins/lib{library}.so\"\n"));
        let (queue, memory) = (random.u32(100..1000), random.u32(0..2) * 256 + 256);
        add(random, 0.4, format!("[plugins.misbehave.limits]\nqueue = {queue}\nmemory_mb = {memory}\n"));
        let limit = pick(random, &["3", "9", "\"many\"", "-1"]);
        add(random, 0.4, format!("[plugins.misbehave.config]\nlimit = {limit}\n"));
    }
    let enabled = random.bool();
    add(random, 0.6, format!("[plugins.dice-roller]\nenabled = {enabled}\n"));
    let place = pick(random, &["console:x", "console:y"]);
    add(random, 0.4, format!("[plugins.eight-ball]\nspeaks_in = [{place:?}]\n"));
    add(random, 0.05, "[plugins.broken]\n".to_owned());
    if random.f64() < 0.25 && !text.is_empty() {
        slip(&mut text, random);
    }
    text
}

/// A slip of the finger: a letter too many or too few, or a line too many or too few.
fn slip(text: &mut String, random: &mut fastrand::Rng) {
    let at = random.usize(..text.len());
    match random.u8(..4) {
        0 => drop(text.remove(at)),
        1 => text.insert(at, random.alphanumeric()),
        other => {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            let line = random.usize(..lines.len());
            if other == 2 {
                lines.remove(line);
            } else {
                lines.insert(line, lines[line].clone());
            }
            *text = lines.join("\n") + "\n";
        }
    }
}

/// Nothing differs between the file and what is in force.
fn assert_in_force(folder: &Folder, why: &str) {
    let (code, plan, error) = shell(folder, &["config", "plan"]);
    assert!(code == 0 && plan == "Nothing to take over while Rosey runs.", "{plan}{error}\n{why}");
}

/// The plugins that run.
fn running(folder: &Folder) -> BTreeSet<String> {
    let (_, list, error) = shell(folder, &["admin", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&list).unwrap_or_else(|_| panic!("{list}{error}"));
    let plugins = status["plugins"].as_array().unwrap_or_else(|| panic!("{status:#}"));
    plugins.iter().filter_map(|plugin| plugin["plugin"].as_str().map(str::to_owned)).collect()
}

#[test]
fn a_random_edit_is_applied_or_refused_as_a_whole_and_every_line_has_one_answer() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (edits, seed) = (number("ROSEY_CHAOS_EDITS").unwrap_or(60), number("ROSEY_CHAOS_SEED").unwrap_or(22));
    println!("{edits} edits, seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    build::variant(&folder.library("misbehave"), "good");
    build::variant(&folder.library("late"), "probe-fails");
    std::fs::write(folder.library("broken"), "not a library").expect("our directory");
    let mut in_force = "[plugins.misbehave]\n".to_owned();
    let mut bot = folder.start(&format!("{HEAD}{in_force}"));
    assert_eq!(bot.ask("!echo 0"), "0", "{}", bot.log());
    let (mut talk, mut plugins) = (Talk::default(), running(&folder));
    let (mut applied, mut refused, mut undone) = (0, 0, 0);
    for _ in 0..edits {
        let edit = edited(&mut random);
        folder.configure(&format!("{HEAD}{edit}"));
        let mut apply = command(&folder, &["config", "apply", "--yes"]);
        let mut apply = apply.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it is built");
        talk.until(&mut bot, &mut apply);
        let (code, stdout, error) = ended(apply.wait_with_output().expect("ours"));
        let told = format!("{edit}\n{stdout}\n{error}");
        if code == 0 {
            applied += 1;
            assert_in_force(&folder, &told);
            (in_force, plugins) = (edit, running(&folder));
        } else {
            refused += 1;
            undone += u32::from(error.contains("Everything else is as before"));
            folder.configure(&format!("{HEAD}{in_force}"));
            assert_in_force(&folder, &told);
            assert_eq!(running(&folder), plugins, "{told}");
        }
    }
    let (echoed, without) = talk.finish(&bot);
    println!("{applied} applied, {refused} refused ({undone} undone); {echoed} lines echoed, {without} refused");
    assert!(applied > 0 && refused > 0, "{applied} {refused}");
    assert!(bot.end().success());
    assert_eq!(bot.rest(), Vec::<String>::new(), "an answer that nobody asked for");
}
