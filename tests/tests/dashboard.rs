//! The dashboard in a real browser: what it shows, how soon, to whom, and what its buttons do.

use rosey_tests::{
    bot::{Bot, Folder, signal_process, wait_until},
    browser::Browser,
    build, http,
};
use rustix::process::Signal;
use std::{path::Path, time::Instant};

const TOKEN: &str = "correct horse battery staple";

fn folder() -> Folder {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

/// A bot with this poll interval in seconds.
fn start(folder: &Folder, poll: &str) -> (Bot, String) {
    let bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\ntoken = {TOKEN:?}\n[metrics]\npoll_interval = {poll}\n[admin]\n\
         cooldown = 0\n[plugins.dice-roller]\n[plugins.misbehave]\n"
    ));
    let address = bot.dashboard();
    (bot, format!("http://{address}"))
}

fn log_in(browser: &Browser, url: &str) {
    browser.go(&format!("{url}/login"));
    browser.write("#token", TOKEN);
    browser.click("main form button");
    browser.until("header", "Log out");
}

#[test]
fn a_roll_is_shown_without_a_reload_of_the_page_and_nothing_is_complained_about() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    browser.wide();
    browser.go(&url);
    browser.until("#headline", "All is well.");
    browser.until("#live", "live");
    browser.run("window.stays = true");
    for roll in 1..=3 {
        bot.ask("!roll 2d6");
        browser.until("#row-dice-roller td[data-label=Events]", &roll.to_string());
    }
    assert_eq!(browser.run("return window.stays"), true, "the page is still the same");
    assert!(browser.text("#host").contains("3 events accepted: 3 replied"), "{}", browser.text("#host"));
    for page in ["/plugin/dice-roller", "/events", "/?show=bad", "/?sort=crashes", "/plugin/none", "/login"] {
        browser.go(&format!("{url}{page}"));
        assert!(!browser.text("main").is_empty(), "{page}");
    }
    let missing = |line: &String| line.contains("/plugin/none") && line.contains("404");
    let complaints: Vec<_> = browser.console().into_iter().filter(|line| !missing(line)).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // A violation would be in the console.
    browser
        .run("const s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)");
    assert!(browser.run("return window.evil ?? null").is_null());
    wait_until("the violation is in the console", || {
        browser.console().iter().any(|line| line.contains("Content Security"))
    });
    assert!(bot.end().success());
}

/// Whether each crash on the page is unfolded, the newest first.
fn open_details(browser: &Browser) -> Vec<String> {
    let open = browser.run("return [...document.querySelectorAll('details.crash')].map(d => String(d.open))");
    open.as_array().into_iter().flatten().filter_map(|open| open.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_crash_is_shown_when_it_happens_not_at_the_next_poll() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    build::variant(&folder.library("misbehave"), "echo-crashes");
    let (mut bot, url) = start(&folder, "3600");
    browser.wide();
    browser.go(&url);
    browser.until("#headline", "All is well.");
    browser.until("#live", "live");
    bot.say("!echo <script>alert(1)</script>");
    let began = Instant::now();
    browser.until("#row-misbehave td[data-label=Crashes]", "2");
    println!("the crash was on the page after {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    assert!(bot.answer().contains("That command crashed"));
    browser.until("#headline", "An event that crashed misbehave twice is a dead letter now.");
    browser.until("#row-misbehave .why", "twice is a dead letter now. And 1 more.");
    browser.click("#headline .next");
    browser.until("#troubles", "misbehave crashed twice within the last hour: killed by signal 6 (SIGABRT");
    assert_eq!(browser.run("return location.hash"), "#letters", "the next step");
    assert!(browser.text("#crashes .because").starts_with("2 × SIGABRT. Last: !echo <script>"), "why, in one line");
    assert_eq!(open_details(&browser), ["true"], "two crashes on one event are one entry, and it is open");
    let crash = browser.text("details.crash");
    assert!(crash.contains("SIGABRT"), "{crash}");
    assert!(crash.contains("!echo <script>alert(1)</script> by alice"), "as text: {crash}");
    assert!(browser.text("#letters").contains("!echo <script>"), "and in the dead letters");
    assert_eq!(browser.run("return document.querySelectorAll('main script').length"), 0);
    browser.go(&format!("{url}/events"));
    assert!(
        browser.text("#marks").contains("generation 1 crashed: killed by signal 6 (SIGABRT"),
        "{}",
        browser.text("#marks")
    );
    assert!(bot.end().success());
}

#[test]
fn a_reload_by_button_asks_names_versions_and_is_audited_like_any_other() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    assert_eq!(bot.ask("!variant"), "first");
    browser.wide();
    browser.go(&format!("{url}/plugin/misbehave"));
    assert_eq!(
        browser.run("return document.querySelectorAll('#actions button').length"),
        0,
        "read-only without the token"
    );
    browser.go(&format!("{url}/login"));
    browser.write("#token", "a wrong token");
    browser.click("main form button");
    browser.until("[role=alert]", "That is not the token.");
    log_in(&browser, &url);
    build::variant(&folder.library("misbehave"), "second");
    browser.go(&format!("{url}/plugin/misbehave"));
    let rollbacks = || browser.run("return document.querySelectorAll('button[value=rollback]').length");
    assert_eq!(rollbacks(), 0, "there is no earlier build");
    browser.click("button[value=reload]");
    browser.until("#main h1", "Reload misbehave 1.0.0 (");
    assert_eq!(browser.run("return document.querySelectorAll('[autofocus], script').length"), 0, "nothing in a hurry");
    assert_eq!(bot.ask("!variant"), "first", "not before it is confirmed");
    browser.click("button.strong");
    browser.until("#said", "generation 2 is active");
    assert!(browser.run("return location.pathname") == "/plugin/misbehave", "back on the page of the plugin");
    assert_eq!(bot.ask("!variant"), "second");
    browser.until("#changes", "dashboard, dashboard");
    browser.until("#said", "generation 2 is active");
    assert_eq!(rollbacks(), 1);
    // A question can be answered once.
    browser.run("history.go(-2)");
    std::fs::write(folder.library("misbehave"), "no library").expect("our directory");
    browser.go(&format!("{url}/plugin/misbehave"));
    browser.click("button[value=reload]");
    browser.until("#said", "refused");
    assert_eq!(bot.ask("!variant"), "second");
    // The address of a button, and one that does not exist, are pages too.
    browser.go(&format!("{url}/plugin/misbehave/confirm"));
    browser.until("#headline", "misbehave is running");
    browser.go(&format!("{url}/no/such/page"));
    browser.until("#main h1", "there is nothing at /no/such/page");
    browser.click("main a");
    browser.until("#plugins", "misbehave");
    assert!(bot.ask("!abort").contains("That command crashed"));
    browser.go(&format!("{url}/plugin/misbehave"));
    browser.until("#letters", "!abort");
    browser.click("button[value=replay]");
    browser.until("#main h1", "Replay dead letter 1 of misbehave: !abort by alice?");
    browser.click("main a");
    assert!(bot.ask("!exit 3").contains("That command crashed"));
    browser.until("#letters", "!exit 3");
    browser.click("#letters .buttons button[value=discard]");
    browser.until("#main h1", "Discard all dead letters of misbehave: 2, the newest !exit 3 by alice?");
    browser.click("button.strong");
    browser.until("#said", "all 2 dead letters of misbehave are discarded.");
    wait_until("none is left", || browser.text("#letters").is_empty());
    browser.click("header form button");
    browser.until("header", "Log in");
    assert!(bot.end().success());
    let audit = std::process::Command::new(build::rosey())
        .args(["audit", "list", "--config", "rosey.toml"])
        .current_dir(folder.path())
        .output()
        .expect("it is built");
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.contains("dashboard") && audit.contains("generation 2 is active"), "{audit}");
}

#[test]
fn it_fits_a_telephone_it_can_be_dark_and_a_keyboard_is_enough() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    build::variant(&folder.library("misbehave"), "echo-crashes");
    let (mut bot, url) = start(&folder, "0.2");
    assert!(bot.ask(&format!("!echo {}", "without-end".repeat(20))).contains("That command crashed"));
    assert_eq!(bot.ask("!variant"), "echo-crashes");
    log_in(&browser, &url);
    for screen in [360, 768] {
        browser.narrow(screen);
        for page in ["/", "/plugin/misbehave", "/plugin/dice-roller", "/events", "/plugin/none"] {
            browser.go(&format!("{url}{page}"));
            browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
            let width = browser.run("return document.documentElement.scrollWidth").as_u64().expect("a number");
            assert!(width <= u64::from(screen), "{page} is {width} wide on {screen}");
        }
    }
    browser.narrow(360);
    browser.go(&url);
    let failed = "const it = document.querySelector('#plugins .state'); it.className = 'state failed'; \
                  return getComputedStyle(it).display";
    assert_ne!(browser.run(failed), "none", "a telephone shows every state");
    browser.narrow(768);
    browser.go(&url);
    let is_table = "return getComputedStyle(document.querySelector('.plugins tbody tr td')).display";
    assert_eq!(browser.run(is_table), "table-cell", "a tablet has a real table");
    browser.wide();
    browser.go(&url);
    let colour = |scheme: &str| {
        browser.prefer(scheme);
        browser.run("return getComputedStyle(document.body).backgroundColor").to_string()
    };
    assert_eq!((colour("light"), colour("dark")), ("\"rgb(246, 247, 249)\"".into(), "\"rgb(17, 20, 24)\"".into()));
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    browser.press(TAB);
    assert_eq!(browser.run("return document.activeElement.className"), "skip");
    browser.run("document.querySelector('#row-misbehave a').focus()");
    browser.press(ENTER);
    browser.until("#headline", "misbehave is running");
    assert!(bot.end().success());
}

#[test]
fn without_javascript_it_shows_the_same_and_refreshes_itself() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    browser.devtools("Emulation.setScriptExecutionDisabled", &serde_json::json!({"value": true}));
    browser.go(&url);
    browser.until("#headline", "All is well.");
    bot.ask("!roll 2d6");
    browser.until("#row-dice-roller td[data-label=Events]", "1");
    signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    browser.until("#headline", "dice-roller crashed once within the last hour: killed by signal 9");
    // A refresh does not throw away what a person types or answers.
    let address = url.trim_start_matches("http://");
    let refreshes = |page: &str| page.contains("http-equiv");
    assert!(refreshes(&http::get(address, "/").text()) && !refreshes(&http::get(address, "/login").text()));
    log_in(&browser, &url);
    browser.go(&format!("{url}/plugin/dice-roller"));
    browser.click("button[value=restart]");
    browser.until("#main h1", "Restart dice-roller");
    assert!(!browser.source().contains("http-equiv"), "the question stays");
    assert!(bot.end().success());
}

#[test]
fn axe_finds_nothing_serious_in_light_and_in_dark() {
    let Some(browser) = Browser::open() else { return };
    let axe = build::target().join("../axe/node_modules/axe-core/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(Path::new(&axe)) else {
        eprintln!("SKIPPED: axe-core is not installed (npm install --prefix target/axe axe-core@4.14.1)");
        return;
    };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    assert!(bot.ask("!abort").contains("That command crashed"));
    assert_eq!(bot.ask("!echo back"), "back");
    log_in(&browser, &url);
    browser.wide();
    let serious = || -> Vec<serde_json::Value> {
        browser.run(&format!("{axe}; window.axe = axe"));
        let found = browser.run_async(
            "const done = arguments[arguments.length - 1]; \
             axe.run().then(r => done(r.violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html).join(' ')])))",
        );
        let serious = |one: &&serde_json::Value| one[0] == "serious" || one[0] == "critical";
        found.as_array().expect("a list").iter().filter(serious).cloned().collect()
    };
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        for page in ["/", "/plugin/misbehave", "/plugin/dice-roller", "/events", "/plugin/none", "/login"] {
            browser.go(&format!("{url}{page}"));
            browser.run("document.querySelectorAll('details').forEach(d => d.open = true)");
            let serious = serious();
            assert!(serious.is_empty(), "{page} in {scheme}: {serious:#?}");
        }
    }
    browser.run("document.querySelector('main').append(document.createElement('input'))");
    assert_eq!(serious()[0][1], "label", "it would have found something");
    assert!(bot.end().success());
}

#[test]
fn pictures_for_the_documentation() {
    if std::env::var_os("ROSEY_SCREENSHOTS").is_none() {
        eprintln!("SKIPPED: ROSEY_SCREENSHOTS names no folder");
        return;
    }
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    std::fs::copy(build::library("eight-ball"), folder.library("eight-ball")).expect("it is built");
    let mut bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\ntoken = {TOKEN:?}\n[metrics]\npoll_interval = 0.5\n[admin]\ncooldown = 0\n\
         [plugins.dice-roller]\n[plugins.eight-ball]\n[plugins.misbehave]\n"
    ));
    let url = format!("http://{}", bot.dashboard());
    let began = Instant::now();
    for minute in 0.. {
        for roll in 0..(minute * 37 % 50) {
            bot.ask(if roll % 3 == 0 { "!8ball will it work?" } else { "!roll 4d6kh3" });
        }
        if minute % 40 == 5 {
            assert_eq!(bot.ask("!echo back"), "back");
            assert!(bot.ask("!admin restart dice-roller").contains("confirm"));
            bot.ask("yes");
            bot.answer();
        }
        if minute == 60 {
            assert!(bot.ask("!abort").contains("That command crashed"));
        }
        wait_until("the next poll", || began.elapsed().as_millis() > 500 * (minute + 1));
        if minute > 130 {
            break;
        }
    }
    assert_eq!(http::get(url.trim_start_matches("http://"), "/readyz").status, 200);
    log_in(&browser, &url);
    for (scheme, name) in [("light", ""), ("dark", "-dark")] {
        browser.prefer(scheme);
        browser.wide();
        browser.go(&url);
        browser.until("#live", "live");
        browser.picture(&format!("overview{name}.png"));
        browser.go(&format!("{url}/plugin/misbehave"));
        let whole = serde_json::json!({"width": 1200, "height": 1350, "deviceScaleFactor": 1, "mobile": false});
        browser.devtools("Emulation.setDeviceMetricsOverride", &whole);
        browser.picture(&format!("plugin{name}.png"));
    }
    browser.narrow(360);
    browser.go(&url);
    browser.picture("phone-dark.png");
    assert!(bot.end().success());
}
