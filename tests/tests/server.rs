//! The dashboard's server with clients that are wrong, rude or many. The bot must not notice.

use rosey::{
    app,
    dashboard::{self, DashboardConfig},
    journal::Journal,
    metrics::{Metrics, MetricsConfig},
    plugins,
};
use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    http,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

fn start(folder: &Folder) -> (Bot, String) {
    let bot =
        folder.start("[dashboard]\nenabled = true\nport = 0\n[metrics]\npoll_interval = 0.5\n[plugins.dice-roller]\n");
    let address = bot.dashboard();
    wait_until("there is something to show", || http::get(&address, "/readyz").status == 200);
    (bot, address)
}

#[test]
fn a_thread_of_events_that_hangs_is_not_healthy() {
    let (ops, _end) = app::start_ops().expect("a thread");
    let data = plugins::runtime().expect("a runtime");
    let metrics =
        Metrics::new(MetricsConfig { poll_interval: Duration::MAX, history_duration: Duration::MAX, prometheus: true });
    let settings = DashboardConfig {
        host: "127.0.0.1".to_owned(),
        port: 0,
        public: false,
        token: None,
        allowed_hosts: Vec::new(),
        trusted_proxies: Vec::new(),
        prometheus: true,
        base_path: String::new(),
    };
    let address = data.block_on(dashboard::start(settings, metrics, None, Journal::default(), &ops));
    let address = address.expect("a port is free").to_string();
    // No thread runs it now.
    let answer = http::get(&address, "/healthz");
    assert_eq!((answer.status, answer.text().as_str()), (503, "no answer from the thread that moves events\n"));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let running = std::thread::spawn(move || data.block_on(ended));
    assert_eq!(http::get(&address, "/healthz").status, 200);
    drop(end);
    assert!(running.join().expect("it only waits").is_err());
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
            // hyper answers input that is no HTTP, before any of our code sees it.
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
    // A poll may have come between the two requests.
    assert!(again.status == 304 && again.body.is_empty() || again.header("etag") != plain.header("etag"));
    let packed = http::request(&address, "GET", "/", &["Accept-Encoding: gzip"], "");
    assert_eq!((packed.header("content-encoding"), &packed.body[..2]), ("gzip", &[0x1f, 0x8b][..]));
    assert!(packed.body.len() < plain.body.len() / 2, "{} {}", packed.body.len(), plain.body.len());
    let all: usize = ["/", "/plugin/dice-roller", "/style.css", "/live.js"]
        .map(|path| http::get(&address, path).body.len())
        .iter()
        .sum();
    assert!(all < 60_000, "{all} bytes");
    for path in ["/", "/events", "/plugin/dice-roller", "/metrics", "/api/metrics", "/style.css", "/live.js"] {
        let gzip = ["Accept-Encoding: gzip"];
        let first = http::request(&address, "GET", path, &gzip, "");
        assert_eq!(
            (first.header("content-encoding"), first.header("cache-control")),
            ("gzip", "private, no-cache"),
            "{path}"
        );
        // A poll may come between the two requests.
        wait_until("it is known", || {
            let first = http::get(&address, path);
            let tag = format!("If-None-Match: {}", first.header("etag"));
            let again = http::request(&address, "GET", path, &[&tag], "");
            again.status == 304
                && again.body.is_empty()
                && again.header("etag") == first.header("etag")
                && again.header("cache-control") == "private, no-cache"
                && !again.header("vary").is_empty()
        });
    }
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
                // One that disconnects at once, and one that disconnects in the middle of a word.
                2 => drop(TcpStream::connect(&address).expect("it listens")),
                _ => drop(TcpStream::connect(&address).expect("it listens").write_all(b"GET / HT")),
            }
        }
    };
    visit(1_000);
    let before = holds(bot.pid());
    visit(10_000);
    // A few belong to what the host does by itself, such as the next spare.
    wait_until("all descriptors are closed", || holds(bot.pid()).0 <= before.0 + 8);
    let after = holds(bot.pid());
    assert!(after.1 <= before.1 + before.1 / 10 + 1024, "{before:?} kB before, {after:?} kB after");
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

/// More connections than the server accepts.
const CROWD: usize = 120;

/// A crowd of clients, each of which sends this and then neither sends nor reads.
fn crowd(address: &str, says: &[u8]) -> Vec<TcpStream> {
    let one = |_| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let _ = stream.set_write_timeout(Some(Duration::from_millis(50)));
        // The server tells those that it turns away, and disconnects them.
        let _ = stream.write_all(says);
        stream
    };
    (0..CROWD).map(one).collect()
}

/// The hits of a limit of the dashboard, according to its own metrics.
fn hits(address: &str, limit: &str) -> u64 {
    let text = http::get(address, "/metrics").text();
    let series = format!("rosey_dashboard_limit_hits_total{{limit=\"{limit}\"}} ");
    // A refused client appears in no metric.
    text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or_default()
}

fn survives(says: &[u8], limit: &str) {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    let before = holds(bot.pid());
    let crowd = crowd(&address, says);
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "), "the bot does not notice");
    for path in ["/healthz", "/metrics"] {
        let began = Instant::now();
        wait_until("the lights shine", || http::request(&address, "GET", path, &[], "").status == 200);
        assert!(began.elapsed() < Duration::from_secs(4), "{path} after {:?}", began.elapsed());
    }
    wait_until("it is counted that there were too many", || hits(&address, "connections") > 0);
    // The server disconnects them, though none of them disconnects by itself.
    wait_until("clients are served again", || http::get(&address, "/api/metrics").status == 200);
    wait_until("it is counted", || hits(&address, limit) >= 100);
    drop(crowd);
    wait_until("nothing is left behind", || holds(bot.pid()).0 <= before.0 + 1);
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

#[test]
fn a_crowd_with_half_sent_heads_takes_nothing_down() {
    survives(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", "head_time");
}

#[test]
fn a_crowd_with_half_sent_bodies_takes_nothing_down() {
    let post = "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\nContent-Type: \
                application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken=";
    survives(post.as_bytes(), "body_time");
}

#[test]
fn a_crowd_that_asks_and_does_not_read_takes_nothing_down() {
    survives("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2000).as_bytes(), "write_time");
}

#[test]
fn who_comes_when_all_places_are_taken_is_told_so_at_once() {
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder);
    // They have sent their request, and get answers as long as they stay.
    let places: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).expect("it listens");
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).expect("it answers");
            assert_eq!(&answer, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let began = Instant::now();
    let refused = http::get(&address, "/");
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"), "{}", refused.text());
    assert_eq!(http::get(&address, "/readyz").status, 200);
    assert!(began.elapsed() < Duration::from_secs(1));
    drop(places);
    wait_until("there is room again", || http::get(&address, "/").status == 200);
    assert!(bot.end().success());
}

/// The form that answers a question.
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
    let log = second.log();
    assert_eq!(log.matches("address already in use").count(), 1, "once is enough: {log}");
    assert!(bot.end().success());
}
