//! Opens a page as far as its title: with a bound on everything, and only on the public internet.

use crate::{page, public::is_public, url::Url};
use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// Pages that may lead elsewhere before one has a title.
const REDIRECTS: usize = 3;

/// The longest head of an answer, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// How a page may be opened.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// For everything together.
    pub time: Duration,
    /// Bytes that are read of one page.
    pub bytes: usize,
    /// Whether other addresses than those of the public internet may be opened.
    pub private: bool,
}

/// Why a page has no title.
#[derive(Debug)]
pub enum FetchError {
    /// The sandbox of the plugin refused the connection.
    Denied,
    /// There is no such host, or it does not answer.
    Unreachable(String, io::Error),
    /// The host is not one of the public internet.
    Private(String),
    TooSlow,
    TooManyRedirects,
    /// What came is no page, or not over HTTP; with what it is.
    NotAPage(String),
    Status(u16),
    NoTitle,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => write!(f, "I may not open pages; the operator must grant me the network"),
            Self::Unreachable(host, _) => write!(f, "{host} does not answer"),
            Self::Private(host) => write!(f, "{host} is not on the public internet"),
            Self::TooSlow => write!(f, "That takes too long"),
            Self::TooManyRedirects => write!(f, "That page leads on and on"),
            Self::NotAPage(what) => write!(f, "That is no page, but {what}"),
            Self::Status(404) => write!(f, "There is no such page"),
            Self::Status(status) => write!(f, "The server answers with status {status}"),
            Self::NoTitle => write!(f, "That page has no title"),
        }
    }
}

impl FetchError {
    /// What the operator reads in addition.
    pub fn cause(&self) -> String {
        match self {
            Self::Unreachable(_, error) => format!(" ({error})"),
            _ => String::new(),
        }
    }
}

/// The title of a page.
///
/// # Errors
/// Why it is not known.
pub async fn title(url: &Url, bounds: Bounds) -> Result<String, FetchError> {
    let opening = async {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            match open(&url, bounds).await? {
                Opened::Title(title) => return Ok(title),
                Opened::Elsewhere(next) => url = next,
            }
        }
        Err(FetchError::TooManyRedirects)
    };
    timeout(bounds.time, opening).await.unwrap_or(Err(FetchError::TooSlow))
}

enum Opened {
    Title(String),
    Elsewhere(Url),
}

async fn open(url: &Url, bounds: Bounds) -> Result<Opened, FetchError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => FetchError::Denied,
        _ => FetchError::Unreachable(url.host.clone(), error),
    };
    let looked_up = lookup_host((url.host.as_str(), url.port)).await;
    let addresses: Vec<_> =
        looked_up.map_err(|error| if is_denied() { FetchError::Denied } else { failed(error) })?.collect();
    // The connection goes to an address that was checked. A second look-up of the name might give another one.
    let allowed = addresses.iter().copied().filter(|address| bounds.private || is_public(address.ip()));
    let allowed: Vec<SocketAddr> = allowed.collect();
    if allowed.is_empty() {
        return Err(FetchError::Private(url.host.clone()));
    }
    let stream = connect(&allowed).await.map_err(failed)?;
    if !url.secure {
        return ask(stream, url, bounds.bytes).await;
    }
    let name = ServerName::try_from(url.host.clone()).map_err(|error| failed(io::Error::other(error)))?;
    let stream = tls().map_err(failed)?.connect(name, stream).await.map_err(failed)?;
    ask(stream, url, bounds.bytes).await
}

/// Whether the sandbox grants no network at all. Name resolution does not tell: it says that there is no such name.
fn is_denied() -> bool {
    UdpSocket::bind("127.0.0.1:0").is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Encryption that trusts the certificate authorities of the system.
fn tls() -> io::Result<TlsConnector> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config).into());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::other("this system has no certificate authorities; install ca-certificates"));
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    Ok(Arc::clone(CONFIG.get_or_init(|| config)).into())
}

/// Asks for the page, and reads until its title or its bound.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, url: &Url, most: usize) -> Result<Opened, FetchError> {
    let failed = |error| FetchError::Unreachable(url.host.clone(), error);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: rosey-links/{}\r\nAccept: text/html\r\nAccept-Encoding: identity\r\n\
         Connection: close\r\n\r\n",
        url.path,
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let (mut answer, mut ended) = (Vec::with_capacity(8 << 10), false);
    loop {
        let read = (&mut stream).take(8 << 10).read_buf(&mut answer).await;
        // A server that ends encryption without saying so has sent all the same.
        ended |= read.unwrap_or(0) == 0;
        let head = page::head(&answer).map_err(|()| FetchError::NotAPage("another protocol than HTTP".to_owned()))?;
        let Some((head, body)) = head else {
            if ended || answer.len() > LONGEST_HEAD {
                return Err(FetchError::NotAPage("an answer that is not whole".to_owned()));
            }
            continue;
        };
        match head.status {
            301 | 302 | 303 | 307 | 308 => {
                let next = url.join(head.header("location"));
                return next.map(Opened::Elsewhere).ok_or_else(|| FetchError::NotAPage("a way to nowhere".to_owned()));
            }
            200..=299 if head.is_page() => {}
            200..=299 => return Err(FetchError::NotAPage(kind(head.header("content-type")))),
            status => return Err(FetchError::Status(status)),
        }
        if let Some(title) = head.title(&body[..body.len().min(most)]) {
            return Ok(Opened::Title(title));
        }
        if ended || body.len() >= most {
            return Err(FetchError::NoTitle);
        }
    }
}

/// A kind of content, as far as it may be repeated: `image/png`.
fn kind(header: &str) -> String {
    let kind = header.split(';').next().unwrap_or_default().trim();
    let is_plain = kind.len() <= 60 && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/.+-".contains(&byte));
    if is_plain { kind.to_owned() } else { "something else".to_owned() }
}
