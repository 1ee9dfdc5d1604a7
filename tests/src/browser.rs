//! A real browser, driven through the WebDriver protocol: Debian's chromium behind chromedriver.

use crate::{
    bot::wait_until,
    http,
    tool::{self, Server},
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

/// The arguments of the browser. The last ones keep it from contacting its maker's servers.
const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-prefers-no-reduced-motion",
    "--no-first-run",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// One window. The driver and the browser end with it.
pub struct Browser {
    driver: Server,
    address: String,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a window; `None`, with a message, where no browser is installed.
    ///
    /// # Panics
    /// When it does not open.
    pub fn open() -> Option<Self> {
        Self::open_with(&[])
    }

    /// The same with more arguments.
    ///
    /// # Panics
    /// When it does not open.
    pub fn open_with(more: &[&str]) -> Option<Self> {
        if !tool::is_there("chromium", "chromium") || !tool::is_there("chromedriver", "chromium-driver") {
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary directory");
        let driver = Server::start(Command::new("chromedriver").arg("--port=0"));
        let address = format!("127.0.0.1:{}", driver.told("started successfully on port "));
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let session = browser.call("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::request(&self.address, method, path, &["Content-Type: application/json"], &body);
        let mut json = answer.json();
        assert_eq!(answer.status, 200, "{method} {path}: {json}");
        json["value"].take()
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{what}", self.session), body)
    }

    /// Goes to a page, and waits until it is loaded.
    pub fn go(&self, url: &str) {
        self.post("url", &json!({"url": url}));
    }

    /// The result of a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({"script": script, "args": []}))
    }

    /// The value that a script passes to its callback, the last of its arguments.
    pub fn run_async(&self, script: &str) -> Value {
        self.post("execute/async", &json!({"script": script, "args": []}))
    }

    /// The text that a part of the page shows; empty when there is no such part.
    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({selector:?})?.innerText ?? ''"));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a part of the page shows this text.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn until(&self, selector: &str, shows: &str) {
        wait_until(&format!("{selector} shows {shows:?}"), || self.text(selector).contains(shows));
    }

    /// The source of the page, for pages where no script may run.
    ///
    /// # Panics
    /// When there is none.
    pub fn source(&self) -> String {
        let source = self.call("GET", &format!("/session/{}/source", self.session), &Value::Null);
        source.as_str().expect("a page").to_owned()
    }

    fn find(&self, selector: &str) -> String {
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        let id = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        id.expect("an element").to_owned()
    }

    /// Clicks on something.
    pub fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/click"), &json!({}));
    }

    /// Types into something.
    pub fn write(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/value"), &json!({"text": text}));
    }

    /// Presses a key, given by its WebDriver name.
    pub fn press(&self, key: &str) {
        let keys = [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// A command of the DevTools protocol.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Makes the window as wide as a telephone is, in CSS pixels.
    pub fn narrow(&self, width: u32) {
        let size = json!({"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": true});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Makes the window as wide as a screen.
    pub fn wide(&self) {
        let size = json!({"width": 1200, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Has the person prefer `dark` or `light`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// The console's lines since the last call: errors, and violations of the content policy.
    pub fn console(&self) -> Vec<String> {
        let lines = self.post("se/log", &json!({"type": "browser"}));
        let text = |line: &Value| format!("{} {}", line["level"], line["message"]);
        lines.as_array().into_iter().flatten().map(text).collect()
    }

    /// Saves a picture of the whole page, if `ROSEY_SCREENSHOTS` names a folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("ROSEY_SCREENSHOTS") else { return };
        let shot = self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": false}));
        let bytes = base64(shot["data"].as_str().expect("a picture"));
        std::fs::write(Path::new(&folder).join(name), bytes).expect("the folder is there");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser when it ends, but not when it is killed.
        let path = format!("/session/{}", self.session);
        if !std::thread::panicking() {
            self.call("DELETE", &path, &Value::Null);
        }
        let _ = &self.driver;
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().filter_map(|byte| ALPHABET.iter().position(|known| *known == byte)) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
