//! What a reader chooses on the dashboard: favourites, groups, filters and exports; with the keyboard alone, with less
//! motion, and within the weight that a page may have.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    browser::Browser,
    http,
};

/// The most that a page may weigh with everything that it loads.
const WEIGHT: usize = 90_000;

const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

fn start(folder: &Folder, more: &str) -> (Bot, String) {
    let bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n{more}"
    ));
    let address = bot.dashboard();
    (bot, address)
}

/// The texts of all elements that the selector finds.
fn texts(browser: &Browser, selector: &str) -> Vec<String> {
    let all =
        browser.run(&format!("return [...document.querySelectorAll({selector:?})].map(it => it.innerText.trim())"));
    all.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

#[test]
fn favourites_come_first_and_groups_have_their_headings() {
    let Some(browser) = Browser::open() else { return };
    let folder = Folder::new(&["dice-roller", "eight-ball", "misbehave"]);
    let plugins =
        "[plugins.dice-roller]\ngroup = \"games\"\n[plugins.eight-ball]\ngroup = \"games\"\n[plugins.misbehave]\n";
    let (mut bot, address) = start(&folder, plugins);
    browser.wide();
    browser.go(&format!("http://{address}/"));
    browser.until("#headline", "All is well.");
    const HEADS: &str = ".section th";
    assert_eq!(texts(&browser, HEADS), ["games 2", "Other plugins 1"]);
    browser.go(&format!("http://{address}/plugin/misbehave"));
    browser.click("#favourite button");
    browser.until("#favourite button", "★ Favourite");
    browser.click(".brand");
    browser.until("#plugins", "Favourites");
    assert_eq!(texts(&browser, HEADS), ["Favourites 1", "games 2"]);
    assert_eq!(browser.run("return document.querySelector('#row-misbehave .star').textContent"), "★");
    // Another reader has other favourites, though both read the same board.
    assert!(!http::get(&address, "/").text().contains("Favourites"));
    // What is searched for has no headings.
    browser.write("input[name=q]", "ball");
    wait_until("one is found", || texts(&browser, "#plugins tbody:not([hidden]) .name").len() == 1);
    assert_eq!(texts(&browser, ".section:not([hidden]) th"), Vec::<String>::new());
    browser.go(&format!("http://{address}/plugin/misbehave"));
    browser.click("#favourite button");
    browser.until("#favourite button", "☆ Favourite");
    assert_eq!(browser.console(), Vec::<String>::new());
    assert!(bot.end().success());
}

#[test]
fn events_are_filtered_by_person_text_and_range_and_exported() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = start(&folder, "[plugins.dice-roller]\n[plugins.misbehave]\n");
    assert!(bot.ask("!abort").contains("That command crashed"));
    assert!(bot.ask("!admin restart dice-roller").contains("confirm"));
    bot.ask("yes");
    bot.answer();
    let page = |query: &str| http::get(&address, &format!("/events{query}")).text();
    wait_until("it is shown", || page("?person=alice").contains("restart done"));
    wait_until("the crash is shown", || page("?person=Alice").contains("executing !abort"));
    let of_alice = page("?person=Alice");
    assert!(of_alice.contains("executing !abort") && !of_alice.contains("console connected"), "{of_alice}");
    assert!(page("?person=bob").contains("No events match."));
    let found = page("?q=ABORT&range=1h");
    assert!(found.contains("executing !abort") && !found.contains("restart done"), "{found}");
    assert!(
        found.contains("events.csv?range=1h&#38;q=ABORT") || found.contains("events.csv?range=1h&amp;q=ABORT"),
        "{found}"
    );
    let json = http::get(&address, "/api/events?plugin=misbehave&kind=crash").json();
    let events = json["events"].as_array().expect("a list");
    assert_eq!(events.len(), 2, "{json}");
    assert_eq!((&events[0]["person"], &events[0]["severity"]), (&"alice".into(), &"error".into()), "{json}");
    let csv = http::get(&address, "/events.csv?plugin=misbehave&kind=crash");
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert!(csv.header("content-disposition").contains("rosey-events.csv"));
    let text = csv.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "number,at,plugin,kind,severity,person,text"), "{text}");
    assert!(lines[1].contains(",misbehave,crash,error,alice,"), "{text}");
    for path in ["/api/events?plugin=none", "/events.csv?plugin=none"] {
        assert_eq!(http::get(&address, path).status, 404);
    }
    assert!(bot.end().success());
}

#[test]
fn the_keyboard_alone_reaches_everything_and_shows_where_it_is() {
    let Some(browser) = Browser::open() else { return };
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    let (mut bot, address) = start(&folder, "[plugins.dice-roller]\n[plugins.misbehave]\n");
    assert!(bot.ask("!abort").contains("That command crashed"));
    browser.wide();
    for path in ["/", "/plugin/misbehave", "/events"] {
        browser.go(&format!("http://{address}{path}"));
        browser.until("#live", "live");
        let reachable = "return [...document.querySelectorAll('a, button, input, select, summary, [tabindex=\"0\"]')]\
                         .filter(it => it.checkVisibility({visibilityProperty: true}) && it.type !== 'hidden').length";
        let count = browser.run(reachable).as_u64().expect("a number");
        browser.run("window.reached = new Set(); window.bare = []");
        for _ in 0..count + 5 {
            browser.press(TAB);
            browser.run(
                "const it = document.activeElement; if (it && it !== document.body) { window.reached.add(it); \
                 if (getComputedStyle(it).outlineStyle === 'none' && !it.matches('.mark, .skip')) \
                 window.bare.push(it.outerHTML.slice(0, 80)); }",
            );
        }
        let reached = browser.run("return window.reached.size").as_u64().expect("a number");
        assert!(reached + 2 >= count, "{path}: {reached} of {count} are reached");
        assert_eq!(browser.run("return window.bare"), serde_json::json!([]), "the focus is seen on {path}");
    }
    // To the failing plugin, its crashes and back, without a pointer.
    browser.go(&format!("http://{address}/"));
    browser.until("#live", "live");
    browser.run("document.querySelector('#headline .next').focus()");
    browser.press(ENTER);
    browser.until("#crashes", "2 × SIGABRT");
    assert_eq!(browser.run("return location.hash"), "#letters", "the next step");
    browser.run("document.querySelector('#crashes summary').focus()");
    browser.press(ENTER);
    wait_until("it folds", || browser.run("return document.querySelector('details.crash').open") == false);
    assert!(bot.end().success());
}

#[test]
fn nothing_moves_for_who_wants_less_motion() {
    let Some(browser) = Browser::open() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder, "[plugins.dice-roller]\n");
    let moving = "return [...document.querySelectorAll('*')].filter(it => { const s = getComputedStyle(it); \
                  return s.animationName !== 'none' || s.transitionDuration.split(',').some(d => parseFloat(d) > 0) })\
                  .length + (getComputedStyle(document.documentElement).scrollBehavior === 'smooth' ? 1 : 0)";
    let prefer = |motion: &str| {
        let feature = serde_json::json!({"name": "prefers-reduced-motion", "value": motion});
        browser.devtools("Emulation.setEmulatedMedia", &serde_json::json!({"features": [feature]}));
    };
    for path in ["/", "/plugin/dice-roller", "/events"] {
        browser.go(&format!("http://{address}{path}"));
        prefer("reduce");
        assert_eq!(browser.run(moving), 0, "{path}");
    }
    browser.go(&format!("http://{address}/"));
    prefer("no-preference");
    assert_ne!(browser.run(moving), 0, "it would have found something");
    assert!(bot.end().success());
}

#[test]
fn times_are_in_the_zone_of_the_reader_and_say_so() {
    let Some(browser) = Browser::open() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder, "[plugins.dice-roller]\n");
    let zone = serde_json::json!({"timezoneId": "Asia/Kolkata"});
    browser.devtools("Emulation.setTimezoneOverride", &zone);
    browser.go(&format!("http://{address}/plugin/dice-roller"));
    browser.until("footer", "Times are in Asia/");
    browser.until(".times .zone", "GMT+5:30");
    browser.go(&format!("http://{address}/events"));
    browser.until("footer", "Times are in Asia/");
    let time =
        browser.run("const t = document.querySelector('#marks time'); return [t.title, t.dateTime, t.innerText]");
    let text = |at: usize| time[at].as_str().unwrap_or_default().to_owned();
    assert!(text(0).ends_with(" UTC") && text(0)[11..16] == text(1)[11..16], "{time}");
    assert_ne!(text(2)[..5], text(1)[11..16], "five and a half hours apart: {time}");
    assert!(bot.end().success());
}

#[test]
fn a_page_weighs_no_more_than_it_may() {
    let folder = Folder::new(&["dice-roller", "misbehave"]);
    // A hundred plugins, of which two run something.
    let mut more = "[plugins.dice-roller]\n[plugins.misbehave]\n".to_owned();
    for number in 0..98 {
        let name = format!("plugin-{number:02}");
        let to = folder.library(&name);
        std::os::unix::fs::symlink(folder.library("dice-roller"), to).expect("our directory");
        more += &format!("[plugins.{name}]\n");
    }
    let (mut bot, address) = start(&folder, &more);
    assert!(bot.ask("!abort").contains("That command crashed"));
    wait_until("all are shown", || http::get(&address, "/").text().matches("<tbody id=\"row-").count() == 100);
    let weigh = |path: &str| {
        let gzip = ["Accept-Encoding: gzip", "Accept: text/html"];
        http::request(&address, "GET", path, &gzip, "").body.len()
    };
    let assets: usize = ["/style.css", "/live.js", "/favicon.ico"].map(weigh).iter().sum();
    for path in ["/", "/plugin/misbehave", "/events"] {
        let weight = weigh(path) + assets;
        println!("{path}: {weight} bytes with everything that it loads");
        assert!(weight <= WEIGHT, "{path} weighs {weight} bytes");
    }
    assert!(bot.end().success());
}
