//! The two-person rule, from chat, shell and dashboard.

use rosey_tests::{
    bot::wait_until,
    http,
    shell::{folder, shell, start},
};

const TOKEN: &str = "correct-horse-battery-staple";

#[test]
fn the_second_yes_comes_from_another_person_wherever_that_person_is() {
    let folder = folder();
    let rule = "[admin]\ncooldown = 0\nper_minute = 1000\ntwo_person = [\"restart\", \"unload\"]\n";
    let page = format!("[dashboard]\nenabled = true\nport = 0\ntoken = {TOKEN:?}\n");
    folder.configure(&format!("{rule}{page}[plugins.misbehave]\n"));
    let (_, checked, _) = shell(&folder, &["check"]);
    assert!(checked.contains("restart, unload needs two persons, and only alice is an admin here"), "{checked}");
    let mut bot = start(&folder, &format!("{rule}{page}[plugins.misbehave]\n"));
    let address = bot.dashboard();
    wait_until("it serves", || http::get(&address, "/readyz").status == 200);

    // Chat, then the shell.
    let question = bot.ask("!admin restart misbehave");
    assert!(
        question.contains("This needs two persons: after your yes, another admin gives the same command"),
        "{question}"
    );
    assert_eq!(bot.ask("yes"), "Noting your yes …");
    let told = bot.answer();
    assert!(told.contains("Nothing was done yet") && told.contains("!admin restart misbehave"), "{told}");
    let (code, stdout, error) = shell(&folder, &["admin", "restart", "misbehave", "--yes"]);
    assert!(code == 0 && stdout.contains("misbehave"), "{stdout}{error}");

    // The shell, the shell again, then the dashboard.
    for _ in 0..2 {
        let (code, _, error) = shell(&folder, &["admin", "unload", "misbehave", "--yes"]);
        assert!(code == 7 && error.contains("with the same command: rosey admin unload misbehave"), "{error}");
    }
    let header = format!("Authorization: Bearer {TOKEN}");
    let headers = [header.as_str(), "Content-Type: application/x-www-form-urlencoded"];
    let post = |path: &str, body: &str| http::request(&address, "POST", path, &headers, body);
    let asked = post("/plugin/misbehave/ask", "action=unload");
    let text = asked.json()["text"].as_str().expect("a question").to_owned();
    assert!(text.contains("has said yes to that; yours is the second yes"), "{text}");
    let question = asked.json()["question"].as_str().expect("its number").to_owned();
    let done = post("/plugin/misbehave/confirm", &format!("question={question}"));
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(bot.ask("!variant").contains("no such command"));

    let (_, audit, _) = shell(&folder, &["audit", "list"]);
    assert!(audit.contains("restart, agreed with alice") && audit.contains("unload, agreed with "), "{audit}");
    assert!(bot.end().success());
}
