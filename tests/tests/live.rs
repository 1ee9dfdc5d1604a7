//! A dashboard page that stays open: it says when it is out of date, and an update leaves the reader's place as it is.

use rosey_tests::{
    bot::{Bot, Folder, signal_process, wait_until},
    browser::Browser,
    build, http,
};
use rustix::process::Signal;
use std::{io::Write, net::TcpStream, time::Instant};

fn folder() -> Folder {
    let folder = Folder::new(&["dice-roller"]);
    build::variant(&folder.library("misbehave"), "first");
    folder
}

fn settings(dashboard: &str, poll: &str) -> String {
    format!(
        "[dashboard]\nenabled = true\n{dashboard}\n[metrics]\npoll_interval = {poll}\n[admin]\ncooldown = 0\n\
         [limits]\nheartbeat = 0.25\n[plugins.dice-roller]\n[plugins.misbehave]\n"
    )
}

fn start(folder: &Folder, poll: &str) -> (Bot, String) {
    let bot = folder.start(&settings("port = 0", poll));
    let url = format!("http://{}", bot.dashboard());
    (bot, url)
}

fn open(browser: &Browser, url: &str) {
    browser.wide();
    browser.go(url);
    browser.until("#live", "live");
}

fn class_of(browser: &Browser, selector: &str) -> String {
    browser
        .run(&format!("return document.querySelector({selector:?}).className"))
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn a_host_that_does_not_answer_is_not_well_and_comes_back_by_itself() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    open(&browser, &url);
    browser.until("#headline", "All is well.");
    assert_eq!(class_of(&browser, "#headline"), "headline good");
    // A suspended bot is silent, and so is its socket.
    bot.signal(Signal::STOP);
    browser.until("#headline", "No answer from Rosey for 1");
    bot.signal(Signal::CONT);
    browser.until("#headline", "All is well.");
    // A bot that is gone.
    bot.signal(Signal::KILL);
    bot.exit();
    browser.until("#headline", "No answer from Rosey for ");
    let headline = browser.text("#headline");
    assert!(headline.contains(" s. What you see is from "), "{headline}");
    let grey = browser.run("return getComputedStyle(document.querySelector('#plugins')).filter");
    assert_eq!(grey, "grayscale(1)", "old news do not look like new ones");
    assert_eq!(class_of(&browser, "#headline"), "headline error");
    assert_eq!(browser.run("return document.title"), "No answer – Rosey");
    let port = url.rsplit(':').next().expect("a port");
    let mut bot = folder.start(&settings(&format!("port = {port}"), "0.2"));
    browser.until("#headline", "All is well.");
    browser.until("#live", "live");
    bot.ask("!roll 2d6");
    browser.until("#row-dice-roller td[data-label=Events]", "1");
    assert!(bot.end().success());
}

#[test]
fn who_is_logged_out_reads_so_and_finds_the_way_in() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let dashboard = |port: &str| format!("port = {port}\nhost = \"0.0.0.0\"\ntoken = \"correct horse battery staple\"");
    let mut bot = folder.start(&settings(&dashboard("0"), "0.2"));
    let url = format!("http://{}", bot.dashboard().replace("0.0.0.0", "127.0.0.1"));
    browser.wide();
    browser.go(&format!("{url}/login"));
    browser.write("#token", "correct horse battery staple");
    browser.click("main form button");
    browser.until("#headline", "All is well.");
    // Sessions end with the host.
    assert!(bot.end().success());
    let port = url.rsplit(':').next().expect("a port");
    let mut bot = folder.start(&settings(&dashboard(port), "0.2"));
    browser.until("#headline", "Logged out.");
    assert_eq!(browser.run("return document.title"), "Logged out – Rosey");
    browser.click("#headline a");
    browser.until("main", "Admin token");
    assert!(bot.end().success());
}

#[test]
fn the_headline_says_the_worst_and_everything_else_says_the_same() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    open(&browser, &url);
    for _ in 0..12 {
        assert_eq!(bot.ask("!fail"), "Sorry, something went wrong.");
    }
    const BADLY: &str = "12 of the last 12 events of misbehave ended badly: this handler fails.";
    browser.until("#headline", BADLY);
    assert_eq!(class_of(&browser, "#headline"), "headline error");
    browser.until("#row-misbehave .why", "12 of the last 12 events");
    browser.until("#row-misbehave .state", "running · failing");
    assert_eq!(class_of(&browser, "#row-misbehave .state"), "state failing", "amber, and not green");
    assert_eq!(class_of(&browser, "#row-misbehave"), "error");
    let first = "return document.querySelector('.plugins tbody').id";
    assert_eq!(browser.run(first), "row-misbehave", "the worst comes first");
    let system = http::get(url.trim_start_matches("http://"), "/api/metrics").json()["system"].clone();
    assert_eq!((system["verdict"].as_str(), system["severity"].as_str()), (Some(BADLY), Some("error")));
    assert_eq!(system["troubles"][0]["kind"], "failing");
    signal_process(bot.pid_of("dice-roller"), Signal::KILL);
    browser.until("#row-dice-roller .why", "crashed once within the last hour");
    browser.go(&format!("{url}/?show=bad&sort=name"));
    let rows = "return [...document.querySelectorAll('.plugins tbody')].map(r => r.id).join(' ')";
    wait_until("both are found", || browser.run(rows) == "row-dice-roller row-misbehave");
    browser.write("input[name=q]", "MIS");
    wait_until("one is found as one types", || browser.run(rows) == "row-misbehave");
    let url_now = browser.run("return location.search").to_string();
    assert!(url_now.contains("show=bad") && url_now.contains("sort=name") && url_now.contains("q=MIS"), "{url_now}");
    assert_eq!(browser.run("return document.querySelector('[aria-sort]').innerText.trim()"), "Plugin");
    assert!(bot.end().success());
}

#[test]
fn why_events_fail_is_on_the_page_and_in_the_json() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    for _ in 0..11 {
        assert_eq!(bot.ask("!fail"), "Sorry, something went wrong.");
    }
    assert_eq!(bot.ask("!panic"), "Sorry, something went wrong.");
    open(&browser, &url);
    browser.until("#headline", "12 of the last 12 events of misbehave ended badly");
    browser.click("#headline .next");
    browser.until("#failures", "this handler panics");
    let group = "return document.querySelector('#failures tbody tr').innerText";
    let first = browser.run(group).as_str().unwrap_or_default().to_owned();
    assert!(
        first.contains("11") && first.contains("this handler fails") && first.contains("!fail by alice"),
        "{first}"
    );
    let json = http::get(url.trim_start_matches("http://"), "/api/plugin/misbehave").json();
    let group = &json["failures"][0];
    assert_eq!((group["count"].as_u64(), group["outcome"].as_str()), (Some(11), Some("failed")), "{group}");
    assert_eq!((group["line"].as_str(), group["user"].as_str()), (Some("!fail"), Some("alice")), "{group}");
    assert_eq!(json["last_failure"]["line"], "!panic");
    assert!(bot.end().success());
}

#[test]
fn what_changes_leaves_the_focus_where_it_is() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    open(&browser, &url);
    browser.until("#headline", "All is well.");
    let focus = "return document.activeElement.closest('tbody')?.id ?? document.activeElement.tagName";
    browser.run("document.querySelector('#row-dice-roller a').focus()");
    bot.ask("!roll 2d6");
    browser.until("#row-dice-roller td[data-label=Events]", "1");
    assert_eq!(browser.run(focus), "row-dice-roller");
    // A row that moves keeps the focus.
    signal_process(bot.pid_of("misbehave"), Signal::KILL);
    wait_until("what is bad comes first", || {
        browser.run("return document.querySelector('.plugins tbody').id") == "row-misbehave"
    });
    assert_eq!(browser.run(focus), "row-dice-roller");
    // The page that Back shows had the focus in its table.
    browser.press("\u{e007}");
    browser.until("#headline", "dice-roller is running");
    browser.run("history.back()");
    browser.until("#plugins", "misbehave");
    bot.ask("!roll 2d6");
    browser.until("#row-dice-roller td[data-label=Events]", "2");
    assert!(bot.end().success());
}

#[test]
fn what_is_unfolded_and_scrolled_stays_and_what_begins_appears() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    open(&browser, &format!("{url}/plugin/misbehave"));
    let sections = "return [...document.querySelectorAll('section')].map(s => s.id).join(' ')";
    // Those without content are absent.
    let some = "charts states log generations sandbox commands own-settings settings";
    wait_until("it runs", || browser.run(sections) == some);
    assert!(bot.ask("!exit 3").contains("That command crashed"));
    browser.until("#letters", "!exit 3");
    browser.until("#jumps", "Dead letters 1");
    browser.until("#crashes .because", "2 × exit status. Last: !exit 3 by alice, ");
    browser.until("details.crash summary", "2 × exit status executing !exit 3 by alice");
    let open = "return [...document.querySelectorAll('details.crash')].map(d => d.open ? 1 : 0).join('')";
    assert_eq!(browser.run(open), "1", "the newest unfolds");
    browser.run("const [only] = document.querySelectorAll('details.crash'); only.open = true; window.kept = only.id");
    browser.run("document.styleSheets[0].insertRule('#log pre { max-height: 4rem }', 0)");
    browser.run("document.querySelector('#log pre').scrollTop = 30");
    let log = "return document.querySelector('#log pre').textContent.split('\\n')[0]";
    let newest = browser.run(log);
    assert!(bot.ask("!abort").contains("That command crashed"));
    browser.until("#crashes .because", "2 × SIGABRT");
    wait_until("another cause is another entry", || browser.run(open) == "11");
    browser.until("details.crash summary", "2 × SIGABRT executing !abort by alice");
    assert_eq!(browser.run("return document.getElementById(window.kept).open"), true);
    let kept =
        browser.run("return [...document.querySelectorAll('details.crash')].findIndex(d => d.id === window.kept)");
    assert_eq!(kept, 1, "the very one");
    assert_eq!(browser.run("return document.querySelector('#log pre').scrollTop"), 30);
    assert_ne!(browser.run(log), newest, "the newest line is the first");
    browser.go(&format!("{url}/plugin/dice-roller"));
    assert_eq!(browser.text("#custom"), "");
    bot.ask("!roll 2d6");
    browser.until("#custom", "rosey_custom_dice_rolls_total");
    assert!(bot.end().success());
}

#[test]
fn the_sixty_first_page_asks_by_itself() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "0.2");
    let address = url.trim_start_matches("http://");
    let streams: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("it listens");
            stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
            stream
        })
        .collect();
    wait_until("all streams are taken", || http::get(address, "/live").text().starts_with("event: full"));
    browser.wide();
    browser.go(&url);
    browser.until("#live", "every 5 s");
    bot.ask("!roll 2d6");
    browser.until("#row-dice-roller td[data-label=Events]", "1");
    assert_eq!(browser.console(), Vec::<String>::new());
    drop(streams);
    browser.until("#live", "live");
    assert!(bot.end().success());
}

#[test]
fn a_plugin_that_does_not_answer_is_on_the_page_at_once() {
    let Some(browser) = Browser::open() else { return };
    let folder = folder();
    let (mut bot, url) = start(&folder, "3600");
    open(&browser, &url);
    bot.say("!hang");
    let began = Instant::now();
    browser.until("#headline", "misbehave does not answer.");
    println!("it was on the page {:.0} ms after the command", began.elapsed().as_secs_f64() * 1e3);
    browser.until("#row-misbehave .state", "unhealthy");
    browser.go(&format!("{url}/events?kind=health"));
    browser.until("#marks", "does not answer");
    bot.signal(Signal::KILL);
    bot.exit();
}
