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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, path::Path, process::Command, thread};
    use tokio::net::TcpListener;
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    };

    /// The page that the child of the test below opens.
    const URL: &str = "ROSEY_LINKS_TEST_URL";

    /// Runs a program to its end, and returns what it prints; `None` when there is no such program.
    #[expect(clippy::disallowed_methods, reason = "no plugin starts a process; its test makes a certificate")]
    fn run(program: &Path, arguments: &[&str], folder: &Path, variables: &[(&str, &str)]) -> Option<String> {
        let variables = variables.iter().copied();
        let output = Command::new(program).args(arguments).current_dir(folder).envs(variables).output().ok()?;
        assert!(output.status.success(), "{output:?}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
    }

    /// Serves one page over TLS, until the test ends.
    fn serve(folder: &Path) -> SocketAddr {
        let certificate = CertificateDer::from_pem_file(folder.join("own.pem")).expect("openssl wrote it");
        let key = PrivateKeyDer::from_pem_file(folder.join("own.key")).expect("openssl wrote it");
        let config = ServerConfig::builder_with_provider(ring::default_provider().into());
        let config = config.with_safe_default_protocol_versions().expect("it has some").with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).expect("they belong together");
        let (runtime, acceptor) = (runtime(), TlsAcceptor::from(Arc::new(config)));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    // A client that does not trust the certificate hangs up.
                    let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                    let read = stream.read(&mut [0; 4096]).await;
                    let page = b"HTTP/1.1 200 OK\r\n\r\n<title>Tea, but nobody else reads it</title>";
                    assert!(read.is_ok() && stream.write_all(page).await.and(stream.flush().await).is_ok());
                }
            });
        });
        address
    }

    /// A part of the test below, in a process of its own: what the system trusts comes from the environment there.
    #[test]
    #[ignore = "the test below starts it"]
    fn child() {
        let Ok(url) = env::var(URL) else { return };
        let bounds = Bounds { time: Duration::from_secs(60), bytes: 1 << 16, private: true };
        match runtime().block_on(title(&url.parse().expect("an address"), bounds)) {
            Ok(title) => println!("title: {title}"),
            Err(error) => println!("error: {error}{}", error.cause()),
        }
    }

    #[test]
    fn a_page_is_encrypted_and_its_certificate_is_checked() {
        let folder = tempfile::tempdir().expect("a directory");
        for name in ["own", "other"] {
            let line = format!(
                "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=test -addext subjectAltName=IP:127.0.0.1 \
                 -addext basicConstraints=critical,CA:FALSE -keyout {name}.key -out {name}.pem"
            );
            let arguments: Vec<_> = line.split_whitespace().collect();
            if run(Path::new("openssl"), &arguments, folder.path(), &[]).is_none() {
                println!("skipped: openssl is not installed");
                return;
            }
        }
        let port = serve(folder.path()).port();
        let open = |host: &str, trusted: &str| {
            let url = format!("https://{host}:{port}/");
            let (trusted, me) = (folder.path().join(trusted), env::current_exe().expect("it runs"));
            let variables = [(URL, url.as_str()), ("SSL_CERT_FILE", trusted.to_str().expect("a plain path"))];
            let arguments = ["--exact", "--ignored", "--nocapture", "fetch::tests::child"];
            run(&me, &arguments, folder.path(), &variables).expect("it is this program")
        };
        let said = open("127.0.0.1", "own.pem");
        assert!(said.contains("title: Tea, but nobody else reads it"), "{said}");
        let said = open("127.0.0.1", "other.pem");
        assert!(said.contains("error: 127.0.0.1 does not answer (invalid peer certificate"), "{said}");
        let said = open("localhost", "own.pem");
        assert!(said.contains("error: localhost does not answer (invalid peer certificate"), "{said}");
    }
}
