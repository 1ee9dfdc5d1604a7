//! The dashboard under names other than localhost: at a plain-HTTP name of the local network, and behind nginx and
//! Caddy as docs/guides/DASHBOARD.md configures them. All refuse requests from another site's page.

use rosey_tests::{
    bot::{Bot, Folder, wait_until},
    browser::Browser,
    http,
    tool::{self, Server},
};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
};

const TOKEN: &str = "correct horse battery staple";

/// A browser that resolves every name to this machine and accepts any certificate.
fn browser() -> Option<Browser> {
    Browser::open_with(&["--host-resolver-rules=MAP * 127.0.0.1", "--ignore-certificate-errors"])
}

/// A bot whose dashboard requires the token to read, and its address on this machine.
fn start(folder: &Folder, name: &str) -> (Bot, String) {
    let bot = folder.start(&format!(
        "[dashboard]\nenabled = true\nport = 0\nhost = \"0.0.0.0\"\ntoken = {TOKEN:?}\n{name}\n\
         trusted_proxies = [\"127.0.0.1\"]\n[metrics]\npoll_interval = 0.2\n[admin]\ncooldown = 0\n[plugins.dice-roller]\n"
    ));
    let address = bot.dashboard().replace("0.0.0.0", "127.0.0.1");
    wait_until("it runs", || http::get(&address, "/readyz").status == 200);
    (bot, address)
}

/// Follows a link to a plugin, logs in, restarts it, reads on, and logs out, all below this address.
fn works(browser: &Browser, bot: &mut Bot, base: &str) {
    browser.wide();
    browser.go(&format!("{base}plugin/dice-roller"));
    browser.until("main", "Admin token");
    browser.write("#token", "a wrong token");
    browser.click("main form button");
    browser.until("[role=alert]", "That is not the token.");
    browser.write("#token", TOKEN);
    browser.click("main form button");
    browser.until("#headline", "dice-roller is running");
    let is_at = |page: &str| browser.run("return location.href") == format!("{base}{page}");
    assert!(is_at("plugin/dice-roller"), "where the link led");
    browser.click("button[value=restart]");
    browser.until("#main h1", "Restart dice-roller");
    browser.click("button.strong");
    browser.until("#said", "is active");
    let is_back = "return location.origin + location.pathname";
    assert_eq!(browser.run(is_back), format!("{base}plugin/dice-roller"), "the way back is right");
    browser.until("#live", "live");
    browser.run("window.stays = true");
    let events = browser.text("#facts");
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    wait_until("the stream says so at once", || browser.text("#facts") != events);
    assert_eq!(browser.run("return window.stays"), true, "the page is still the same");
    for (link, page) in [("nav a[href$=events]", "events"), ("nav .brand", "")] {
        browser.click(link);
        wait_until("the link is right", || is_at(page));
    }
    browser.click("#row-dice-roller a");
    wait_until("the link is right", || is_at("plugin/dice-roller"));
    browser.click("header form button");
    browser.until("main", "Admin token");
    assert!(is_at(""), "the form stands where the page was");
    browser.write("#token", TOKEN);
    browser.click("main form button");
    browser.until("#headline", "All is well.");
    assert!(is_at(""));
}

/// Another site, which serves this page to every visitor.
fn site(page: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    thread::spawn(move || {
        for mut visitor in listener.incoming().flatten() {
            let page = page.clone();
            // A browser opens connections on which it sends nothing.
            thread::spawn(move || {
                let _ = visitor.read(&mut [0; 4096]);
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n";
                let _ = visitor.write_all(format!("{head}{page}").as_bytes());
            });
        }
    });
    port
}

#[test]
fn at_a_plain_name_of_the_local_network_one_logs_in_and_another_sites_form_does_nothing() {
    let Some(browser) = browser() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder, "allowed_hosts = [\"bot.lan\"]");
    let base = format!("http://bot.lan:{}/", address.rsplit(':').next().expect("a port"));
    works(&browser, &mut bot, &base);
    let evil = |referrer: &str| {
        let port = site(format!(
            "<meta name=referrer content={referrer}><form method=post action=\"{base}plugin/dice-roller/ask\"><input \
             name=action value=stop><button id=ask>x</button></form><form method=post action=\"{base}login\"><input \
             name=token value=\"{TOKEN}\"><button id=login>x</button></form><a href=\"{base}plugin/dice-roller\">x</a>"
        ));
        format!("http://evil.lan:{port}/")
    };
    for (referrer, origin) in [("no-referrer", "Origin: \"null\""), ("unsafe-url", "Origin: \"http://evil.lan:")] {
        let evil = evil(referrer);
        browser.go(&evil);
        browser.click("#login");
        browser.until("body", "This was sent by another site's page");
        assert!(browser.text("body").contains(origin), "{}", browser.text("body"));
        browser.go(&evil);
        browser.click("#ask");
        // The browser does not even send the cookie.
        browser.until("body", "Admin token");
        browser.go(&evil);
        browser.click("a");
        browser.until("#headline", "dice-roller is running");
        browser.until("header", "Log out");
    }
    assert!(bot.ask("!roll 2d6").starts_with("2d6: "));
    assert!(bot.end().success());
}

/// A block of the guide, such as `nginx`, with the dashboard at this address.
fn guide(language: &str, address: &str) -> String {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/DASHBOARD.md");
    let guide = std::fs::read_to_string(guide).expect("it is there");
    let block = guide.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    let block = block.unwrap_or_else(|| panic!("no block {language} in the guide"));
    assert!(block.contains("127.0.0.1:8080"), "{block}");
    block.replace("127.0.0.1:8080", address)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens").port()
}

fn until_it_listens(port: u16) {
    wait_until("the proxy listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
}

#[test]
fn behind_nginx_as_the_guide_sets_it_up_everything_works() {
    let (true, true) = (tool::is_there("nginx", "nginx"), tool::is_there("openssl", "openssl")) else { return };
    let Some(browser) = browser() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let (port, at) = (free_port(), folder.path().display());
    let base = format!("https://bot.example:{port}/rosey/");
    let (mut bot, address) = start(&folder, &format!("url = {base:?}"));
    let openssl =
        "req -x509 -newkey rsa:2048 -nodes -keyout bot.example.key -out bot.example.pem -days 1 -subj /CN=bot.example";
    let (code, stdout) = tool::run("openssl", &openssl.split(' ').collect::<Vec<_>>(), folder.path(), b"");
    assert_eq!(code, Some(0), "{stdout}");
    let server = guide("nginx", &address)
        .replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"))
        .replace("/etc/ssl/", &format!("{at}/"));
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {at}/nginx-{name};\n"))
        .concat();
    // As root it would switch to a user who may not read the files.
    let config = format!(
        "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
         {paths}{server}}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).expect("our directory");
    let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
    let conf = format!("{at}/nginx.conf");
    let _nginx = Server::start(Command::new("nginx").args(["-c", &conf, "-e", "stderr"]).env("PATH", path));
    until_it_listens(port);
    assert_eq!(bot.ask("!admin metrics"), format!("Dashboard: {base}"));
    works(&browser, &mut bot, &base);
    let cookies = browser.devtools("Network.getCookies", &serde_json::json!({}));
    let cookie = &cookies["cookies"][0];
    assert_eq!((cookie["path"].as_str(), cookie["secure"].as_bool()), (Some("/rosey"), Some(true)), "{cookies}");
    assert!(bot.end().success());
}

#[test]
fn under_a_path_that_no_proxy_removes_everything_works() {
    let Some(browser) = browser() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let (mut bot, address) = start(&folder, "allowed_hosts = [\"bot.lan\"]\nbase_path = \"/bots/rosey\"");
    let base = format!("http://bot.lan:{}/bots/rosey/", address.rsplit(':').next().expect("a port"));
    works(&browser, &mut bot, &base);
    browser.go(base.trim_end_matches('/'));
    browser.until("#headline", "All is well.");
    assert_eq!(browser.run("return location.href"), base, "links are relative to the folder");
    assert!(bot.end().success());
}

#[test]
fn behind_caddy_as_the_guide_sets_it_up_everything_works() {
    if !tool::is_there("caddy", "caddy") {
        return;
    }
    let Some(browser) = browser() else { return };
    let folder = Folder::new(&["dice-roller"]);
    let port = free_port();
    let base = format!("http://bot.example:{port}/rosey/");
    let (mut bot, address) = start(&folder, &format!("url = {base:?}"));
    // Without TLS, for which Caddy would ask an authority for a certificate.
    let site = guide("caddy", &address).replace("bot.example {", &format!("http://bot.example:{port} {{"));
    std::fs::write(folder.path().join("Caddyfile"), format!("{{\n\tadmin off\n\tauto_https off\n}}\n{site}"))
        .expect("our directory");
    let mut command = Command::new("caddy");
    command.args(["run", "--config", "Caddyfile"]).current_dir(folder.path());
    let _caddy = Server::start(command.env("HOME", folder.path()).env("XDG_DATA_HOME", folder.path()));
    until_it_listens(port);
    works(&browser, &mut bot, &base);
    assert!(bot.end().success());
}
