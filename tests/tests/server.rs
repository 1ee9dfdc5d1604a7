//! The dashboard's server against clients that are wrong, rude or many. The bot must not notice.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    build, http,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
    time::Duration,
};

fn start(folder: &Folder) -> (Bot, String) {
    let bot = folder.start("[dashboard]\nenabled = true\nport = 0\n[plugins.dice-roller]\n");
    let address = bot.dashboard();
    wait_until("there is something to show", || http::get(&address, "/readyz").status == 200);
    (bot, address)
}

#[test]
fn each_wrong_request_gets_a_clear_answer_and_safe_headers() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let paths = [
        "/nothing",
        "/plugin/",
        "/plugin/none",
        "/plugin/..%2f..%2fetc%2fpasswd",
        "/plugin/%00",
        "/plugin/%ff",
        "/plugin/<script>alert(1)</script>",
        "/plugin/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/../../etc/passwd",
        "//",
        "/.git/config",
        "/api/plugin/%3Cscript%3E",
        "/style.css/..",
        "/?show=%3Cscript%3E&sort=x&sort=y",
        "/events?plugin=%3Cscript%3Ealert(1)",
    ];
    for path in paths {
        let answer = http::get(&address, path);
        assert!([200, 400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("<script>alert"), "{path}: {}", answer.text());
        assert!(!answer.text().contains("root:"), "{path}");
        if answer.status == 400 {
            // What is no HTTP at all is answered before anything of ours has seen it.
            continue;
        }
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}: {}", answer.head);
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
    }
    assert_eq!(http::get(&address, "/nothing").json()["error"], "there is nothing at /nothing");
    for (method, path) in
        [("POST", "/"), ("DELETE", "/api/metrics"), ("PUT", "/metrics"), ("GET", "/plugin/dice-roller/ask")]
    {
        let headers = ["Sec-Fetch-Site: same-origin"];
        assert_eq!(http::request(&address, method, path, &headers, "").status, 405, "{method} {path}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "", "localhost:1@evil.example"] {
        assert_eq!(http::request(&address, "GET", "/", &[&format!("Host: {host}")], "").status, 421, "{host}");
    }
    assert_eq!(http::request(&address, "GET", "/", &["Host: localhost"], "").status, 200);
    let cross = ["Sec-Fetch-Site: cross-site", "Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(http::request(&address, "POST", "/plugin/dice-roller/ask", &cross, "action=stop").status, 403);
    let own = ["Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(
        http::request(&address, "POST", "/plugin/dice-roller/ask", &own, "action=stop").status,
        403,
        "no token, no action"
    );
    let long = format!("token={}", "x".repeat(10_000));
    assert_eq!(http::request(&address, "POST", "/login", &own, &long).status, 413);
    let huge = format!("X-Huge: {}", "x".repeat(64 << 10));
    let refused = http::raw(&address, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{huge}\r\n\r\n").as_bytes());
    assert!(refused.is_empty() || refused.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&refused));
    let many: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
    let refused = http::raw(&address, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes());
    assert!(refused.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&refused));
    for nonsense in
        [&b"\0\0\0\0\r\n\r\n"[..], b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n"]
    {
        let refused = http::raw(&address, nonsense);
        assert!(refused.is_empty() || refused.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&refused));
    }
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

#[test]
fn what_has_not_changed_is_not_sent_again_and_what_is_sent_is_small() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let plain = http::get(&address, "/");
    let tag = format!("If-None-Match: {}", plain.header("etag"));
    let again = http::request(&address, "GET", "/", &[&tag], "");
    // A poll may have come between the two.
    assert!(again.status == 304 && again.body.is_empty() || again.header("etag") != plain.header("etag"));
    let packed = http::request(&address, "GET", "/", &["Accept-Encoding: gzip"], "");
    assert_eq!((packed.header("content-encoding"), &packed.body[..2]), ("gzip", &[0x1f, 0x8b][..]));
    assert!(packed.body.len() < plain.body.len() / 2, "{} {}", packed.body.len(), plain.body.len());
    let all: usize = ["/", "/plugin/dice-roller", "/style.css", "/live.js"]
        .map(|path| http::get(&address, path).body.len())
        .iter()
        .sum();
    assert!(all < 60_000, "{all} bytes");
    assert_eq!(http::get(&address, "/api/metrics").header("cache-control"), "no-store");
    let head = http::request(&address, "HEAD", "/healthz", &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(bot.end().success());
}

/// Open descriptors and resident kilobytes of a process.
fn holds(pid: u32) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    (descriptors, resident.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("a number"))
}

#[test]
fn ten_thousand_connections_one_after_another_leave_nothing_behind() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let visit = |count: usize| {
        for number in 0..count {
            match number % 4 {
                0 => assert_eq!(http::get(&address, "/healthz").status, 200),
                1 => assert_eq!(http::get(&address, "/api/metrics").status, 200),
                // One that hangs up at once, and one that hangs up in the middle of a word.
                2 => drop(TcpStream::connect(&address).expect("it listens")),
                _ => drop(TcpStream::connect(&address).expect("it listens").write_all(b"GET / HT")),
            }
        }
    };
    visit(1_000);
    let before = holds(bot.pid());
    visit(10_000);
    wait_until("all descriptors are closed", || holds(bot.pid()).0 <= before.0);
    let after = holds(bot.pid());
    assert!(after.1 <= before.1 + before.1 / 10 + 1024, "{before:?} kB before, {after:?} kB after");
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

#[test]
fn clients_that_say_nothing_are_dropped_and_those_that_are_too_many_wait() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    // Half a head each, as slow-loris does; the hundredth and all after it wait in the kernel's queue.
    let mut slow: Vec<_> = (0..150)
        .map(|number| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            if number % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").expect("it reads");
            }
            stream.set_read_timeout(Some(rosey_tests::rig::PATIENCE)).expect("a socket");
            stream
        })
        .collect();
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "), "the bot does not notice");
    let mut answer = Vec::new();
    assert!(slow[0].read_to_end(&mut answer).is_ok(), "it hangs up");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(http::get(&address, "/healthz").status, 200, "and serves others again");
    drop(slow);
    // A client that asks and does not read the answer.
    let mut deaf = TcpStream::connect(&address).expect("it listens");
    let _ = deaf.set_write_timeout(Some(Duration::from_millis(200)));
    while deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok() {}
    assert_eq!(http::get(&address, "/healthz").status, 200);
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

#[test]
fn an_address_that_cannot_be_served_is_a_clear_error() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let port = address.rsplit(':').next().expect("a port");
    let other = Folder::new(&["dice-roller"]);
    let taken = format!("[dashboard]\nenabled = true\nport = {port}\n");
    let mut second = other.start(&format!("{taken}[plugins.dice-roller]\n"));
    assert_eq!(second.exit().code(), Some(1));
    second.until_logged("another program has the port: stop it, or set dashboard.port");
    let mut third = other.start(&format!("{taken}required = false\n[plugins.dice-roller]\n"));
    assert!(third.ask("!roll 2d6").starts_with("2d6: "), "the bot runs on without it");
    third.until_logged("another program has the port");
    assert!(third.end().success());
    let mut open = other.start("[dashboard]\nenabled = true\nport = 0\nhost = \"0.0.0.0\"\n[plugins.dice-roller]\n");
    assert_eq!(open.exit().code(), Some(1));
    open.until_logged("dashboard.token to ask for it, or dashboard.public = true");
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
        assert_eq!(http::get(&address, path).status, 401, "{path}");
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
    let question = asked
        .text()
        .split("name=\"question\" value=\"")
        .nth(1)
        .and_then(|rest| rest.split('"').next().map(str::to_owned));
    let body = format!("question={}", question.expect("a question"));
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
