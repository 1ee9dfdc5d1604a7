//! Access to the dashboard: under which names, with which token, and what refused clients learn.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Instant,
};

fn start(folder: &Folder) -> (Bot, String) {
    let bot =
        folder.start("[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.5\n[plugins.dice-roller]\n");
    let address = bot.dashboard();
    wait_until("there is something to show", || http::get(&address, "/readyz").status == 200);
    (bot, address)
}

fn hits(address: &str, limit: &str) -> u64 {
    let text = http::get(address, "/metrics").text();
    let series = format!("rosey_dashboard_limit_hits_total{{limit=\"{limit}\"}} ");
    // A refused client appears in no metric.
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
}

#[test]
fn wrong_tokens_are_counted_however_they_are_shown() {
    let folder = Folder::new(&["dice-roller"]);
    let token = "correct horse battery staple";
    let mut bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\ntoken = {token:?}\n[metrics]\npoll_interval = 0.2\n[plugins.dice-roller]\n"
    ));
    let address = bot.dashboard();
    wait_until("there is something to show", || http::get(&address, "/readyz").status == 200);
    let ask = |token: &str| {
        http::request(&address, "GET", "/api/metrics", &[&format!("Authorization: Bearer {token}")], "").status
    };
    assert_eq!(ask(token), 200);
    let tried: Vec<_> = (0..12).map(|number| ask(&format!("guess {number}"))).collect();
    assert_eq!(tried, [&[401; 10][..], &[429; 2][..]].concat());
    assert_eq!(ask(token), 200, "wrong tokens of others do not keep a client out");
    let form = ["Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded"];
    let say = |token: &str| http::request(&address, "POST", "/login", &form, &format!("token={token}"));
    assert_eq!((say("a guess").status, say(token).status), (429, 303), "nor from the form");
    let response = say(token);
    assert!(response.header("set-cookie").ends_with("; HttpOnly; SameSite=Lax"), "{}", response.head);
    let session = format!("Cookie: {}", response.header("set-cookie").split(';').next().unwrap_or_default());
    let wrong = ["Authorization: Bearer a guess", &session];
    assert_eq!(http::request(&address, "GET", "/", &wrong, "").status, 200, "nor is a session");
    bot.until_logged("the dashboard got a wrong token from 127.0.0.1");
    wait_until("it is counted", || hits(&address, "guesses") >= 3);
    assert_eq!(http::get(&address, "/").status, 200, "who shows nothing may read here");
    assert!(bot.end().success());
}

#[test]
fn a_flood_of_wrong_tokens_is_a_line_a_second_and_a_count() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start(
        "[dashboard]\nenabled = true\nport = 0\ntoken = \"correct horse battery staple\"\n[plugins.dice-roller]\n",
    );
    let address = bot.dashboard();
    let form = ["Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded"];
    let began = Instant::now();
    for number in 0..300 {
        match number % 2 {
            0 => http::request(&address, "POST", "/login", &form, "token=guess"),
            _ => http::request(&address, "GET", "/", &["Authorization: Bearer guess"], ""),
        };
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).expect("not long");
    bot.until_logged(" more like it");
    let lines = bot.log().matches("got a wrong token").count();
    assert!((2..=seconds + 2).contains(&lines), "{lines} lines in {seconds} s");
    assert!(bot.end().success());
}

#[test]
fn probes_and_scrapers_ask_by_any_name_and_nothing_else_does() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    for path in ["/healthz", "/readyz", "/metrics"] {
        for host in ["Host: 192.0.2.7:8080", "Host: bot.internal", "Host: "] {
            assert_eq!(http::request(&address, "GET", path, &[host], "").status, 200, "{path} {host}");
            assert_eq!(http::request(&address, "HEAD", path, &[host], "").status, 200, "{path} {host}");
            let cookie = [host, "Cookie: rosey_session=x"];
            assert_eq!(http::request(&address, "GET", path, &cookie, "").status, 421, "{path} {host}: a browser's");
        }
        let old = http::raw(&address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes());
        assert!(old.starts_with(b"HTTP/1.0 200"), "{path}: {}", String::from_utf8_lossy(&old));
    }
    let refused = http::request(&address, "GET", "/", &["Host: bot.lan:8080"], "");
    assert_eq!(refused.status, 421);
    let text = refused.json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("names the host \"bot.lan:8080\"") && text.contains("dashboard.allowed_hosts"), "{text}");
    let old = http::raw(&address, b"GET / HTTP/1.0\r\n\r\n");
    assert!(old.starts_with(b"HTTP/1.0 421"), "{}", String::from_utf8_lossy(&old));
    assert!(bot.end().success());
}

#[test]
fn a_request_names_one_host_and_its_first_line_counts() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let ask = |head: &str| {
        let answer = http::raw(&address, format!("{head}Connection: close\r\n\r\n").as_bytes());
        http::parse(&answer).map_or(0, |answer| answer.status)
    };
    for path in ["/", "/healthz"] {
        assert_eq!(ask(&format!("GET {path} HTTP/1.1\r\n")), 400, "{path}: no host");
        for hosts in [["localhost", "localhost"], ["localhost", "evil"], ["evil", "localhost"]] {
            let hosts = hosts.map(|host| format!("Host: {host}\r\n")).concat();
            assert_eq!(ask(&format!("GET {path} HTTP/1.1\r\n{hosts}")), 400, "{path} {hosts}");
        }
    }
    assert_eq!(ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n"), 421);
    assert_eq!(ask(&format!("GET http://{address}/ HTTP/1.1\r\nHost: {address}\r\n")), 200);
    assert_eq!(ask(&format!("GET http://{address}/ HTTP/1.1\r\nHost: evil.example\r\n")), 200, "the line counts");
    assert_eq!(ask("CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n"), 421);
    assert!(bot.end().success());
}

#[test]
fn what_may_be_asked_of_a_page_is_told() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let read = "GET,HEAD";
    for (path, allowed) in [
        ("/", read),
        ("/healthz", read),
        ("/metrics", read),
        ("/live", read),
        ("/plugin/dice-roller", read),
        ("/login", "GET,HEAD,POST"),
        ("/logout", "POST"),
        ("/plugin/dice-roller/ask", "POST"),
    ] {
        let told = http::request(&address, "OPTIONS", path, &["Origin: http://evil.example"], "");
        assert_eq!((told.status, told.header("allow"), told.body.len()), (204, allowed, 0), "{path}: {}", told.head);
        let refused = http::request(&address, "DELETE", path, &[], "");
        assert_eq!((refused.status, refused.header("allow")), (405, allowed), "{path}: {}", refused.head);
    }
    assert_eq!(http::request(&address, "OPTIONS", "/nothing", &[], "").status, 404);
    let mut stream = TcpStream::connect(&address).expect("it listens");
    stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut head = [0; 512];
    let length = stream.read(&mut head).expect("it answers");
    let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
    assert!(head.contains("x-accel-buffering: no\r\n") && head.contains("cache-control: no-store"), "{head}");
    assert!(bot.end().success());
}

#[test]
fn only_headers_of_a_trusted_proxy_count() {
    let folder = Folder::new(&["dice-roller"]);
    let token = "correct horse battery staple";
    let settings = |proxies: &str| {
        format!(
            "[dashboard]\nenabled = true\nport = 0\ntoken = {token:?}\nallowed_hosts = [\"bot.example\"]\n{proxies}\n\
             [metrics]\npoll_interval = 0.2\n[plugins.dice-roller]\n"
        )
    };
    let forwarded =
        ["X-Forwarded-For: 6.6.6.6, 192.0.2.7", "X-Forwarded-Host: bot.example", "X-Forwarded-Proto: https"];
    let guess = [&forwarded[..], &["Authorization: Bearer guess"]].concat();
    let origin = ["Origin: https://bot.example", "Content-Type: application/x-www-form-urlencoded"];
    let form = [&forwarded[..], &origin].concat();
    let body = format!("token={token}&next=%2Fevents");

    let mut bot = folder.start(&settings("trusted_proxies = [\"127.0.0.0/8\"]"));
    let address = bot.dashboard();
    let get = |headers: &[&str]| http::request(&address, "GET", "/events", headers, "").status;
    assert_eq!((get(&[]), get(&forwarded)), (200, 401), "who is on this machine may read, who comes through it not");
    let tried: Vec<_> = (0..12).map(|_| get(&guess)).collect();
    assert_eq!((tried[9], tried[10]), (401, 429));
    assert_eq!(get(&["X-Forwarded-For: 192.0.2.8", "Authorization: Bearer guess"]), 401, "another one's guesses");
    bot.until_logged("the dashboard got a wrong token from 192.0.2.7");
    let inside = http::request(&address, "POST", "/login", &form, &body);
    assert_eq!((inside.status, inside.header("location")), (303, "./events"), "{}", inside.text());
    assert!(inside.header("set-cookie").ends_with("; SameSite=Lax; Secure"), "{}", inside.head);
    let plain = [&forwarded[..2], &["X-Forwarded-Proto: http"], &origin].concat();
    let refused = http::request(&address, "POST", "/login", &plain, &body);
    assert_eq!(refused.status, 403);
    let text = refused.json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(
        text.contains("Expected: Origin: \"http://bot.example\"; it came with Origin: \"https://bot.example\""),
        "{text}"
    );
    assert_eq!(get(&["X-Forwarded-Host: evil.example"]), 421);
    assert!(bot.end().success());

    let mut bot = folder.start(&settings(""));
    let address = bot.dashboard();
    let get = |headers: &[&str]| http::request(&address, "GET", "/events", headers, "").status;
    assert_eq!((get(&forwarded), get(&["X-Forwarded-Host: evil.example"])), (200, 200));
    let refused = http::request(&address, "POST", "/login", &form, &body);
    let text = refused.json()["error"].as_str().unwrap_or_default().to_owned();
    assert!(refused.status == 403 && text.contains(&format!("Expected: Origin: \"http://{address}\"")), "{text}");
    assert!(bot.end().success());
}

#[test]
fn the_page_of_one_plugin_does_not_answer_about_another() {
    let folder = Folder::new(&["dice-roller", "eight-ball"]);
    let token = "correct horse battery staple";
    let mut bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\ntoken = {token:?}\n[admin]\ncooldown = 0\n[plugins.dice-roller]\n\
         [plugins.eight-ball]\n"
    ));
    let address = bot.dashboard();
    wait_until("they run", || http::get(&address, "/readyz").status == 200);
    let script = [&format!("Authorization: Bearer {token}")[..], "Content-Type: application/x-www-form-urlencoded"];
    let post = |path: &str, body: &str| http::request(&address, "POST", path, &script, body);
    let question = question_of(&post("/plugin/dice-roller/ask", "action=stop"));
    let elsewhere = post("/plugin/eight-ball/confirm", &question);
    assert!(elsewhere.status == 410 && elsewhere.text().contains("about another plugin"), "{}", elsewhere.text());
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "), "neither was stopped");
    assert!(!bot.ask("!8ball is it on?").contains("not running"));
    let here = post("/plugin/dice-roller/confirm", &question);
    assert!(here.text().contains("dice-roller is stopped."), "{}", here.text());
    assert!(bot.end().success());
}

/// The form that answers yes to a question, which a script gets as JSON.
fn question_of(asked: &http::Response) -> String {
    format!("question={}", asked.json()["question"].as_str().expect("a question"))
}

#[test]
fn an_address_that_nobody_allowed_is_replaced_by_loopback_loudly() {
    let folder = Folder::new(&["dice-roller"]);
    let mut bot = folder.start("[dashboard]\nenabled = true\nport = 0\nhost = \"0.0.0.0\"\n[plugins.dice-roller]\n");
    let address = bot.dashboard();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    const WARNING: &str = "the dashboard listens on 127.0.0.1 and not on 0.0.0.0, where everyone could read it. Set \
                           dashboard.token";
    bot.until_logged(&format!("WARN {WARNING}"));
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    let check =
        Command::new(build::rosey()).args(["check", "--config", "rosey.toml"]).current_dir(folder.path()).output();
    let stdout = String::from_utf8_lossy(&check.expect("it is built").stdout).into_owned();
    assert!(stdout.contains(&format!("WARNING: {WARNING}")), "{stdout}");
    assert!(bot.end().success());
}

#[test]
fn with_a_token_on_an_open_address_everything_is_behind_it_but_the_lights() {
    let folder = Folder::new(&["dice-roller"]);
    let token = "correct horse battery staple";
    let mut bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\nhost = \"0.0.0.0\"\ntoken = {token:?}\n[plugins.dice-roller]\n"
    ));
    bot.until_logged("ready");
    let address = bot.dashboard().replace("0.0.0.0", "127.0.0.1");
    for path in ["/", "/metrics", "/api/metrics", "/api/plugin/dice-roller", "/events", "/live", "/plugin/dice-roller"]
    {
        let refused = http::get(&address, path);
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer realm=\"Rosey\""), "{path}");
        let text = refused.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(text.starts_with("Log in at /login"), "JSON for a script: {text}");
        let page = http::request(&address, "GET", path, &["Accept: text/html,*/*;q=0.8"], "");
        assert_eq!((page.status, page.header("content-type")), (401, "text/html; charset=utf-8"), "{path}");
        assert!(page.text().contains("Admin token"), "the form for a browser: {}", page.text());
        let shown = [format!("Authorization: Bearer {token}")];
        if path != "/live" {
            assert_eq!(http::request(&address, "GET", path, &[&shown[0]], "").status, 200, "{path}");
        }
    }
    for path in ["/healthz", "/login", "/style.css"] {
        assert_eq!(http::get(&address, path).status, 200, "{path}");
    }
    let script =
        ["Authorization: Bearer correct horse battery stapler", "Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(http::request(&address, "POST", "/plugin/dice-roller/ask", &script, "action=stop").status, 401);
    let script = [&format!("Authorization: Bearer {token}")[..], "Content-Type: application/x-www-form-urlencoded"];
    let asked = http::request(&address, "POST", "/plugin/dice-roller/ask", &script, "action=stop");
    assert!(asked.status == 200 && asked.text().contains("Stop dice-roller 1.0.0?"), "{}", asked.text());
    let body = question_of(&asked);
    let stopped = http::request(&address, "POST", "/plugin/dice-roller/confirm", &script, &body);
    assert!(stopped.text().contains("dice-roller is stopped."), "{}", stopped.text());
    let again = http::request(&address, "POST", "/plugin/dice-roller/confirm", &script, &body);
    assert_eq!(again.status, 410, "a question is answered once");
    assert_eq!(bot.ask("!roll 2d6"), "dice-roller is not running.");
    let checked = Command::new(build::rosey())
        .args(["audit", "verify", "--config", "rosey.toml"])
        .current_dir(Path::new(folder.path()))
        .status();
    assert!(checked.is_ok_and(|status| status.success()));
    assert!(bot.end().success());
}
