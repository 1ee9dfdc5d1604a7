//! The client of a request: its address and the host name that it asked for, from the connection and the request, or
//! from a trusted proxy. Pure.

use super::guesses;
use axum::http::{HeaderMap, HeaderName, Uri, Version, header};
use std::{net::IpAddr, str::FromStr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The sender of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The address of the browser or script, in front of all trusted proxies.
    pub address: IpAddr,
    /// The host and port that it asked for; `None` only in HTTP/1.0.
    pub host: Option<String>,
    /// `http` or `https`, if a trusted proxy says which.
    pub scheme: Option<&'static str>,
}

impl Client {
    /// Reads the client from the head of a request of this peer.
    ///
    /// # Errors
    /// Why a request does not name exactly one host.
    pub fn of(
        peer: IpAddr,
        (version, uri, headers): (Version, &Uri, &HeaderMap),
        proxies: &Proxies,
    ) -> Result<Self, &'static str> {
        let host = match (uri.authority(), one(headers, &header::HOST)?) {
            // The request line has precedence: a proxy in between may have checked nothing else.
            (Some(authority), _) => Some(authority.as_str().to_owned()),
            (None, Some(host)) => Some(host.to_owned()),
            (None, None) if version == Version::HTTP_10 => None,
            (None, None) => return Err("The request has no Host line; HTTP/1.1 asks for one.\n"),
        };
        if !proxies.has(peer) {
            return Ok(Self { address: peer.to_canonical(), host, scheme: None });
        }
        let scheme = last(headers, &FORWARDED_PROTO);
        Ok(Self {
            address: proxies.client(peer, headers),
            host: last(headers, &FORWARDED_HOST).map(str::to_owned).or(host),
            scheme: ["http", "https"].into_iter().find(|known| scheme.is_some_and(|scheme| scheme == *known)),
        })
    }

    /// Whether it runs on this machine, which has no rate limit.
    pub fn is_local(&self) -> bool {
        self.address.is_loopback()
    }

    /// The address whose count of wrong tokens it shares. For IPv6 a network, because one person may have all of it.
    pub fn whose(&self) -> IpAddr {
        guesses::whose(self.address)
    }
}

/// The host name or address in an http or https URL, without its port; `None` for any other text.
pub fn host_of(url: &str) -> Option<String> {
    let url: Uri = url.parse().ok()?;
    let is_web = ["http", "https"].contains(&url.scheme_str()?);
    let host = url.authority().filter(|authority| is_web && !authority.as_str().contains('@'))?.host();
    Some(host.trim_matches(['[', ']']).to_lowercase()).filter(|host| !host.is_empty())
}

/// The value of a header that may occur once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(_), Some(_)) => Err("The request has more than one Host line.\n"),
        (found, _) => Ok(found.map(|value| value.to_str().unwrap_or_default())),
    }
}

/// The value from the nearest proxy, which appends to whatever the client sent.
fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// The proxies whose forwarded headers count.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// These networks.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether this address is one of them.
    pub fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }

    /// The last address on the way here that is no trusted proxy. If a proxy forwards nothing readable, the address of
    /// that proxy.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<_> =
            headers.get_all(FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let mut client = peer.to_canonical();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = address_of(hop.trim()) else { break };
            client = address;
            if !self.has(address) {
                break;
            }
        }
        client
    }
}

/// `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    let address = bare.parse().ok().or_else(|| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// A range of addresses, such as `10.0.0.0/8`, or a single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    /// The number of bits that count.
    prefix: u32,
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        let (ours, theirs) = (bits(self.base), bits(address.to_canonical()));
        let host = ours.1 - self.prefix;
        ours.1 == theirs.1 && (host == 128 || ours.0 >> host == theirs.0 >> host)
    }
}

/// An address as a number, and its number of bits.
fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u32::from(address).into(), 32),
        IpAddr::V6(address) => (address.into(), 128),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let base = address.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let network = base.and_then(|base| {
            let most = bits(base).1;
            let prefix = prefix.map_or(Some(most), |prefix| prefix.trim().parse().ok())?;
            (prefix <= most).then_some(Self { base, prefix })
        });
        network.ok_or_else(|| {
            format!("{text:?} needs to be an address such as 127.0.0.1, or a network such as 10.0.0.0/8")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value"))).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn proxies(networks: &[&str]) -> Proxies {
        Proxies::new(networks.iter().map(|text| text.parse().expect("a network")).collect())
    }

    fn client(peer: &str, uri: &str, pairs: &[(&'static str, &str)], trusted: &[&str]) -> Result<Client, &'static str> {
        let uri = uri.parse().expect("a URI");
        Client::of(ip(peer), (Version::HTTP_11, &uri, &headers(pairs)), &proxies(trusted))
    }

    #[test]
    fn a_request_names_one_host_and_the_request_line_wins() {
        let host = |uri: &str, pairs: &[(&'static str, &str)]| client("::1", uri, pairs, &[]).map(|client| client.host);
        assert_eq!(host("/", &[("host", "a:1")]), Ok(Some("a:1".into())));
        assert_eq!(host("http://evil/", &[("host", "a")]), Ok(Some("evil".into())));
        assert!(host("/", &[("host", "a"), ("host", "a")]).is_err_and(|why| why.contains("more than one Host")));
        assert!(host("/", &[]).is_err_and(|why| why.contains("no Host line")));
        let old =
            Client::of(ip("::1"), (Version::HTTP_10, &"/".parse().expect("a URI"), &HeaderMap::new()), &proxies(&[]));
        assert_eq!(old.map(|client| client.host), Ok(None));
    }

    #[test]
    fn only_a_trusted_proxy_says_who_asks() {
        let forwarded = [
            ("host", "127.0.0.1:8080"),
            ("x-forwarded-for", "6.6.6.6, 192.0.2.7"),
            ("x-forwarded-host", "evil, bot.example"),
            ("x-forwarded-proto", "https"),
        ];
        let stranger = client("127.0.0.1", "/", &forwarded, &[]).expect("one host");
        assert_eq!(stranger, Client { address: ip("127.0.0.1"), host: Some("127.0.0.1:8080".into()), scheme: None });
        let trusted = client("127.0.0.1", "/", &forwarded, &["127.0.0.1"]).expect("one host");
        let (address, host) = (ip("192.0.2.7"), Some("bot.example".to_owned()));
        assert_eq!(trusted, Client { address, host, scheme: Some("https") });
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
        let of =
            |lines: &[(&'static str, &str)]| proxies(&["10.0.0.0/8", "::1"]).client(ip("10.0.0.1"), &headers(lines));
        assert_eq!(of(&[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.9.9.9, ::1")]), ip("192.0.2.7"));
        assert_eq!(of(&[("x-forwarded-for", "192.0.2.7"), ("x-forwarded-for", "10.9.9.9")]), ip("192.0.2.7"));
        assert_eq!(of(&[("x-forwarded-for", "[2001:db8::1]:4711")]), ip("2001:db8::1"));
        assert_eq!(of(&[("x-forwarded-for", "192.0.2.7:4711")]), ip("192.0.2.7"));
        for unreadable in ["unknown", "", "192.0.2.7, x", "<script>"] {
            assert_eq!(of(&[("x-forwarded-for", unreadable)]), ip("10.0.0.1"), "{unreadable}");
        }
        assert_eq!(of(&[]), ip("10.0.0.1"));
    }

    #[test]
    fn a_url_names_a_host() {
        let host = |url: &str| host_of(url);
        assert_eq!(host("https://Bot.example/rosey/"), Some("bot.example".into()));
        assert_eq!(
            (host("http://bot.lan:8080"), host("http://[::1]:1/")),
            (Some("bot.lan".into()), Some("::1".into()))
        );
        for bad in
            ["", "bot.example", "/rosey/", "ftp://bot.example/", "https://", "https://a@bot.example/", "https://a b/"]
        {
            assert_eq!(host(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_have_their_addresses_and_no_others() {
        let has = |network: &str, address: &str| network.parse::<Network>().expect("a network").has(ip(address));
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1") && has("0.0.0.0/0", "1.2.3.4"));
        assert!(has("127.0.0.1", "::ffff:127.0.0.1") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1") && has("::/0", "::1"));
        for bad in ["", "proxy", "10.0.0.0/33", "10.0.0.0/x", "::/129", "10.0.0/8"] {
            assert!(bad.parse::<Network>().is_err_and(|why| why.contains("needs to be an address")), "{bad}");
        }
    }
}
