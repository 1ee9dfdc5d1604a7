//! Tells the titles of links: of those that people say, and with `!title https://example.org`. `!links` has the last ones.
#![forbid(unsafe_code)]

mod fetch;
mod page;
mod public;
mod url;

use fetch::{Bounds, FetchError};
use plugin_api::{event::Message, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use url::Url;

/// The key of the last links of a channel.
const LAST: &str = "last";

/// Links that a channel remembers.
const MOST: usize = 20;

/// Links of `!links`.
const SHOWN: usize = 5;

/// The table `[plugins.links.config]` of the operator's configuration.
#[derive(Settings)]
pub struct LinksSettings {
    /// Whether to tell the title of each link that a person says. `!title` works all the same.
    #[setting(default = true)]
    announce: bool,
    /// How long a page may take, with all that it leads to.
    #[setting(default = "5s", range = "100ms"..="20s")]
    time: Duration,
    /// How much is read of a page before its title.
    #[setting(default = 65_536, range = 1024..=1_048_576, unit = "bytes")]
    bytes: usize,
    /// Whether to open pages on this machine and in its network too. Whoever talks to the bot can then look around there.
    #[setting(default = false)]
    private: bool,
}

/// The plugin. The store has the last links of each channel.
pub struct Links(LinksSettings);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Link {
    url: String,
    title: String,
    by: String,
}

#[plugin(probe = "links", store_version = 1, network("*:80", "*:443"))]
impl Links {
    #[create]
    fn new(settings: LinksSettings) -> Self {
        Self(settings)
    }

    /// The host wakes this plugin for lines that have a link in them, and for no other.
    #[on(message, regex = r"https?://\S")]
    async fn heard(&self, cx: &Context, message: &Message) -> Result<Reply> {
        let Some(url) = url::first(&message.text).filter(|_| self.0.announce) else { return Ok(Reply::none()) };
        Ok(match self.look_up(cx, &url).await? {
            Ok(title) => format!("{title} ({})", url.host).into(),
            // People see for themselves that a link does not work.
            Err(_) => Reply::none(),
        })
    }

    /// Tell the title of a page: `!title https://example.org`
    #[command(order = "none", cooldown = "1s")]
    async fn title(&self, cx: &Context, url: Url) -> Result<String> {
        Ok(self.look_up(cx, &url).await?.unwrap_or_else(|error| format!("{error}.")))
    }

    /// Tell the last links of the channel: `!links`
    #[command]
    async fn links(&self, cx: &Context) -> Result<String> {
        let last = last(cx).await?;
        let lines =
            last.iter().rev().take(SHOWN).map(|link| format!("{}: {} (from {})", link.title, link.url, link.by));
        let lines: Vec<_> = lines.collect();
        Ok(if lines.is_empty() { "There have been no links here.".to_owned() } else { lines.join("\n") })
    }
}

impl Links {
    /// The title of a page, which the channel then remembers.
    async fn look_up(&self, cx: &Context, url: &Url) -> Result<Result<String, FetchError>> {
        let LinksSettings { time, bytes, private, .. } = self.0;
        let title = match fetch::title(url, Bounds { time, bytes, private }).await {
            Ok(title) => title,
            Err(error) => {
                tracing::info!("{url} has no title: {error}{}", error.cause());
                return Ok(Err(error));
            }
        };
        // Read after the page, and not before: the less time lies between the read and the end of the event, the less often
        // another link comes in between and this event runs again.
        let (mut last, url) = (last(cx).await?, url.to_string());
        last.retain(|link| link.url != url);
        last.push(Link { url, title: title.clone(), by: cx.user().to_owned() });
        last.drain(..last.len().saturating_sub(MOST));
        cx.store().channel().put(LAST, &last)?;
        Ok(Ok(title))
    }
}

async fn last(cx: &Context) -> Result<Vec<Link>> {
    Ok(cx.store().channel().get(LAST).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_api::testing::{Answer, Bot};
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpListener},
        thread,
    };

    /// A server on this machine that gives each path its answer, until the test ends.
    fn serve(answer: fn(&str) -> Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut request = Vec::new();
                    let mut chunk = [0; 1024];
                    while !request.ends_with(b"\r\n\r\n") {
                        let Ok(bytes @ 1..) = stream.read(&mut chunk) else { return };
                        request.extend_from_slice(&chunk[..bytes]);
                    }
                    let request = String::from_utf8_lossy(&request);
                    let path = request.split(' ').nth(1).unwrap_or_default();
                    // The plugin hangs up when it has read enough.
                    let _ = stream.write_all(&answer(path));
                    if path == "/slow" {
                        let _ = stream.read(&mut chunk);
                    }
                });
            }
        });
        address
    }

    fn page(path: &str) -> Vec<u8> {
        let found = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n");
        let text = match path {
            "/" => "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<title>Tea &amp; cake</title>".to_owned(),
            "/moved" => found("/"),
            "/round" => found("round"),
            "/image" => "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n".to_owned(),
            "/plain" => "HTTP/1.1 200 OK\r\n\r\n<p>no title</p>".to_owned(),
            "/slow" => "HTTP/1.1 200 OK\r\n\r\n".to_owned(),
            "/large" => format!("HTTP/1.1 200 OK\r\n\r\n{}<title>Far away</title>", " ".repeat(100_000)),
            "/ssh" => "SSH-2.0-OpenSSH\r\n".to_owned(),
            "/short" => "HTTP/1.1 200".to_owned(),
            _ => "HTTP/1.1 404 Not Found\r\n\r\n".to_owned(),
        };
        text.into_bytes()
    }

    fn with(more: &str) -> Bot<Links> {
        Bot::with_settings(&format!(r#"{{"private": true{more}}}"#)).expect("these are right")
    }

    #[test]
    fn titles_are_told_and_links_are_kept() {
        let (address, bot) = (serve(page), with(""));
        assert_eq!(bot.say("!links").reply(), "There have been no links here.");
        assert_eq!(bot.hear(&format!("look: http://{address}/."))[0].reply(), "Tea & cake (127.0.0.1)");
        assert_eq!(bot.say_as("bob", &format!("!title http://{address}/moved")).reply(), "Tea & cake");
        let lines =
            format!("Tea & cake: http://{address}/moved (from bob)\nTea & cake: http://{address}/ (from alice)");
        assert_eq!(bot.say("!links").reply(), lines);
        assert_eq!(bot.hear(&format!("http://{address}/none")), [Answer::Ignored]);
        assert_eq!(bot.person("bob").in_channel("#other").say("!links").reply(), "There have been no links here.");
    }

    #[test]
    fn what_has_no_title_is_explained() {
        let (address, bot) = (serve(page), with(r#", "bytes": 2000"#));
        for (path, text) in [
            ("/none", "There is no such page."),
            ("/image", "That is no page, but image/png."),
            ("/plain", "That page has no title."),
            ("/large", "That page has no title."),
            ("/round", "That page leads on and on."),
            ("/ssh", "That is no page, but another protocol than HTTP."),
            ("/short", "That is no page, but an answer that is not whole."),
        ] {
            bot.advance(Duration::from_secs(1));
            assert_eq!(bot.say(&format!("!title http://{address}{path}")).reply(), text, "{path}");
        }
        let hasty = with(r#", "time": "100ms""#);
        assert_eq!(hasty.say(&format!("!title http://{address}/slow")).reply(), "That takes too long.");
        // A port on which no program listens.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a free port");
        assert_eq!(bot.say_as("bob", &format!("!title http://{free}/")).reply(), "127.0.0.1 does not answer.");
        assert!(bot.say_as("eve", "!title tea").reply().starts_with("I cannot read that address; write one like"));
    }

    #[test]
    fn only_the_public_internet_is_opened() {
        let (address, bot) = (serve(page), Bot::<Links>::new());
        let text = "127.0.0.1 is not on the public internet.";
        assert_eq!(bot.say(&format!("!title http://{address}/")).reply(), text);
        let text = "localhost is not on the public internet.";
        assert_eq!(bot.say_as("bob", &format!("!title http://localhost:{}/", address.port())).reply(), text);
        assert_eq!(
            bot.say_as("eve", "!title http://169.254.169.254/latest").reply(),
            "169.254.169.254 is not on the public internet."
        );
    }

    #[test]
    fn an_operator_can_have_it_quiet() {
        let (address, bot) = (serve(page), with(r#", "announce": false"#));
        assert_eq!(bot.hear(&format!("http://{address}/")), [Answer::Ignored]);
        assert_eq!(bot.say(&format!("!title http://{address}/")).reply(), "Tea & cake");
        assert!(bot.probe().reply().starts_with("Tea & cake: http://127.0.0.1"));
    }
}
