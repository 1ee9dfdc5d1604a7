//! The charts of a plugin in a real browser, and the history behind them over a restart of the host.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    browser::Browser,
    http,
};
use serde_json::Value;

const LEFT: &str = "\u{e012}";
const ESCAPE: &str = "\u{e00c}";

fn start(folder: &Folder) -> (Bot, String) {
    let bot = folder.start(
        "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n\
         [plugins.dice-roller]\n[plugins.misbehave]\n",
    );
    let address = bot.dashboard();
    (bot, address)
}

#[test]
fn a_range_is_chosen_and_pointer_keys_and_focus_tell_values_times_and_causes() {
    let Some(browser) = Browser::open() else { return };
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = start(&folder);
    assert!(bot.ask("!abort").contains("That command crashed"));
    assert_eq!(bot.ask("!echo back"), "back");
    browser.wide();
    browser.go(&format!("http://{address}/plugin/misbehave"));
    browser.until("#charts nav [aria-current]", "15 min");
    browser.until("#live", "live");
    let reads = |selector: &str, what: &str| wait_until(what, || browser.text(selector).contains(what));
    let times = "return [...document.querySelectorAll('.times text[data-at]')].length";
    assert!(browser.run(times).as_u64().is_some_and(|count| count >= 3), "clock times below");
    let ticks = browser.run(
        "return [...document.querySelectorAll('.panel:not(.served)')].map(p => p.querySelectorAll('.y text').length)",
    );
    let ticks: Vec<u64> = ticks.as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    assert!(ticks.len() == 5 && ticks.iter().all(|count| (2..=4).contains(count)), "{ticks:?}");

    // The keyboard moves a line through all charts, and an update leaves it there.
    browser.run("document.querySelector('#timeline').focus()");
    browser.press(LEFT);
    let lines = "return document.querySelectorAll('.cross.on').length";
    assert_eq!(browser.run(lines), 5);
    let board = "return document.querySelector('#facts').innerText";
    let before = browser.run(board);
    bot.ask("!echo once more");
    wait_until("the page is updated", || browser.run(board) != before);
    assert_eq!(browser.run(lines), 5, "it stays");
    assert!(
        browser.run("return document.querySelector('#cross').textContent").as_str().is_some_and(|at| at.len() == 8)
    );
    browser.press(ESCAPE);
    assert_eq!(browser.run(lines), 0);

    // A mark tells its cause to whoever comes by keyboard.
    browser.run("document.querySelector('.lane .mark.crash').focus()");
    reads("#tip", "crashed: killed by signal 6 (SIGABRT");
    assert!(
        browser.run("return document.querySelector('.lane .mark.crash title').textContent").to_string().contains("UTC")
    );

    browser.click("#charts nav a:nth-child(3)");
    browser.until("#charts nav [aria-current]", "6 h");
    assert!(browser.run("return location.search") == "?range=6h", "it is in the URL");
    assert_eq!(browser.console(), Vec::<String>::new());
    assert!(bot.end().success());
}

#[test]
fn the_history_of_hours_outlives_the_host() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = start(&folder);
    for _ in 0..5 {
        bot.ask("!roll 2d6");
    }
    let replied = |address: &str, window: &str| {
        let json = http::get(address, &format!("/api/plugin/dice-roller?window={window}")).json();
        (json["metrics"]["window"]["outcomes"]["replied"].as_u64(), json["metrics"]["window"]["seconds"].as_u64())
    };
    wait_until("a poll has counted them", || replied(&address, "6h").0 == Some(5));
    assert!(bot.end().success());
    let (mut bot, address) = start(&folder);
    bot.ask("!roll 2d6");
    for (window, seconds) in [("6h", 21_600), ("24h", 86_400), ("7d", 604_800)] {
        wait_until("those of both hosts are counted", || replied(&address, window) == (Some(6), Some(seconds)));
    }
    wait_until("the host alone has one", || replied(&address, "1h").0 == Some(1));
    let page = http::get(&address, "/plugin/dice-roller?range=7d").text();
    assert!(
        page.contains("Rosey started, stopped or stood still") && page.contains("class=\"mark host\""),
        "the gap is explained"
    );
    assert!(bot.end().success());
}
