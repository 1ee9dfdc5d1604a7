//! Accepts connections, up to a limit, and bounds the time of each: for its first request, for the next, and for
//! reading the answer. When all connections are taken, a further client still learns quickly whether the host lives.

use super::{client::Proxies, guesses::Throttle};
use crate::metrics::Metrics;
use axum::{
    Router,
    body::Body,
    http::{Request, Response, StatusCode, Uri, header},
};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};

/// Connections at a time: as many as clients can rely on.
pub const MOST_CONNECTIONS: usize = 100;

/// Connections of one address of another machine: two such clients do not take all.
const FROM_ONE_ADDRESS: usize = 50;

/// Further connections that may send a request, for a moment: as many as a few browsers open at once.
const LOBBY: usize = 32;

/// Paths that are answered even then: the probes, and the scrape.
const IN_THE_LOBBY: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Time for the whole head of the first request; a browser sends it at once.
const FIRST_HEAD_WITHIN: Duration = Duration::from_secs(5);

/// The same when all connections are taken.
const LOBBY_HEAD_WITHIN: Duration = Duration::from_secs(1);

/// Time for the head of the next request on an idle connection. Above the usual 15 s of a scrape.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// Time for a client to read anything of an answer. A telephone in a tunnel comes out of it by then.
const WRITE_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of a request head, and of what is read ahead. Browsers send one or two KB.
const MAX_HEAD: usize = 16 << 10;

/// Header lines of a request.
const MAX_HEADERS: usize = 64;

/// Pause after an accept that failed, mostly because there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const FULL: &str = "All connections of the dashboard are taken; try again in a moment.\n";

/// Serves for ever. A connection that misbehaves ends, and no other notices.
pub async fn serve(listener: TcpListener, routes: Router, metrics: Metrics, proxies: Proxies, base: String) {
    let (doors, complaints, base) = (Doors::new(metrics, proxies), Throttle::default(), Arc::<str>::from(base));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match doors.admit(peer.ip()) {
                Some(pass) => drop(tokio::spawn(converse(stream, peer, routes.clone(), Arc::clone(&base), pass))),
                None => turn_away(&stream),
            },
            Err(error) => {
                complaints.warn(&format!("the dashboard cannot accept a connection: {error}"));
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The number of connections of each address.
type Addresses = Mutex<HashMap<IpAddr, usize>>;

/// The connections at the moment.
struct Doors {
    inside: Arc<Semaphore>,
    lobby: Arc<Semaphore>,
    addresses: Arc<Addresses>,
    metrics: Metrics,
    /// Each proxy stands for many people.
    proxies: Proxies,
}

/// One connection, counted as long as this lives.
struct Pass {
    in_lobby: bool,
    metrics: Metrics,
    address: Option<(IpAddr, Arc<Addresses>)>,
    _permit: OwnedSemaphorePermit,
}

impl Doors {
    fn new(metrics: Metrics, proxies: Proxies) -> Self {
        Self {
            inside: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            lobby: Arc::new(Semaphore::new(LOBBY)),
            addresses: Arc::default(),
            metrics,
            proxies,
        }
    }

    /// A place for a connection from this address, if there is one.
    fn admit(&self, from: IpAddr) -> Option<Pass> {
        let address = Some(from).filter(|from| !from.is_loopback() && !self.proxies.has(*from));
        if address.is_some_and(|from| !self.count(from)) {
            self.metrics.dashboard_limit("connections_per_address");
            return None;
        }
        let place = Arc::clone(&self.inside).try_acquire_owned().map(|permit| (permit, false));
        let place = place.or_else(|_| Arc::clone(&self.lobby).try_acquire_owned().map(|permit| (permit, true)));
        let address = address.map(|from| (from, Arc::clone(&self.addresses)));
        if !place.as_ref().is_ok_and(|(_, in_lobby)| !in_lobby) {
            self.metrics.dashboard_limit("connections");
        }
        match place {
            Ok((permit, in_lobby)) => Some(Pass { in_lobby, metrics: self.metrics.clone(), address, _permit: permit }),
            Err(_) => {
                address.into_iter().for_each(|(from, all)| leave(from, &all));
                None
            }
        }
    }

    /// Counts one more connection of an address, if it may have one.
    fn count(&self, from: IpAddr) -> bool {
        let mut all = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(from).or_default();
        let may = *count < FROM_ONE_ADDRESS;
        *count += usize::from(may);
        may
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some((from, all)) = &self.address {
            leave(*from, all);
        }
    }
}

fn leave(from: IpAddr, all: &Addresses) {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = all.get_mut(&from) {
        *count -= 1;
        if *count == 0 {
            all.remove(&from);
        }
    }
}

/// Says that all connections are taken, without waiting for the client.
fn turn_away(stream: &TcpStream) {
    let length = FULL.len();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Type: text/plain; \
         charset=utf-8\r\nContent-Length: {length}\r\n\r\n{FULL}"
    );
    // A new socket has room for that, and a client that is gone needs no answer.
    let _ = stream.try_write(answer.as_bytes());
}

async fn converse(stream: TcpStream, peer: SocketAddr, routes: Router, base: Arc<str>, pass: Pass) {
    // Fails only when the client is gone.
    let _ = stream.set_nodelay(true);
    let in_lobby = pass.in_lobby;
    let heard = Arc::new(AtomicBool::new(false));
    let inner = TowerToHyperService::new(routes.layer(axum::Extension(peer)));
    let service = {
        let heard = Arc::clone(&heard);
        hyper::service::service_fn(move |mut request: Request<Incoming>| {
            heard.store(true, Relaxed);
            let (inner, base) = (inner.clone(), Arc::clone(&base));
            async move {
                if let Err(to) = strip(request.uri_mut(), &base) {
                    return Ok(moved(&to));
                }
                if in_lobby && !IN_THE_LOBBY.contains(&request.uri().path()) {
                    return Ok::<_, Infallible>(full());
                }
                hyper::service::Service::call(&inner, request).await
            }
        })
    };
    let stream = TokioIo::new(Patient { stream, stuck: None, metrics: pass.metrics.clone() });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .keep_alive(!in_lobby)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(stream, service);
    let within = if in_lobby { LOBBY_HEAD_WITHIN } else { FIRST_HEAD_WITHIN };
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            // Whatever the error is, it concerns only this client.
            tracing::debug!(%peer, "a connection to the dashboard ended: {error}");
        },
        () = silence(&heard, within) => pass.metrics.dashboard_limit("head_time"),
    }
}

/// Returns if nothing was received in time; else never.
async fn silence(heard: &AtomicBool, within: Duration) {
    tokio::time::sleep(within).await;
    if heard.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Removes the path under which a proxy passes requests on. A request without that path stays as it is, because some
/// proxies remove it themselves.
///
/// # Errors
/// Where a request for the path itself goes: all links are relative to its folder.
fn strip(uri: &mut Uri, base: &str) -> Result<(), String> {
    let Some(rest) = uri.path().strip_prefix(base).filter(|_| !base.is_empty()) else { return Ok(()) };
    if rest.is_empty() {
        return Err(format!("{}/", base.rsplit('/').next().unwrap_or_default()));
    }
    if !rest.starts_with('/') {
        return Ok(());
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // The rest of a path is a path.
    if let Ok(stripped) = format!("{rest}{query}").parse() {
        *uri = stripped;
    }
    Ok(())
}

fn moved(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    if let Ok(to) = header::HeaderValue::from_str(to) {
        response.headers_mut().insert(header::LOCATION, to);
    }
    response
}

fn full() -> Response<Body> {
    let mut response = Response::new(Body::from(FULL));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
    response
}

/// A connection whose write fails when the client reads nothing for too long.
struct Patient {
    stream: TcpStream,
    stuck: Option<Pin<Box<Sleep>>>,
    metrics: Metrics,
}

impl Patient {
    fn wait(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let stuck = self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_WITHIN)));
        if stuck.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.metrics.dashboard_limit("write_time");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wait(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_proxy_is_taken_away() {
        let stripped = |uri: &str, base: &str| {
            let mut uri: Uri = uri.parse().expect("a URI");
            strip(&mut uri, base).map(|()| uri.to_string())
        };
        assert_eq!(stripped("/rosey/plugin/x?range=6h", "/rosey"), Ok("/plugin/x?range=6h".into()));
        assert_eq!(stripped("/rosey/", "/rosey"), Ok("/".into()));
        assert_eq!(stripped("/plugin/x", "/rosey"), Ok("/plugin/x".into()), "the proxy has taken it away");
        assert_eq!(stripped("/roseyard", "/rosey"), Ok("/roseyard".into()));
        assert_eq!(stripped("/plugin/x", ""), Ok("/plugin/x".into()));
        assert_eq!(stripped("/bots/rosey", "/bots/rosey"), Err("rosey/".into()));
    }

    #[test]
    fn one_address_does_not_fill_the_house_and_places_come_back() {
        let proxy = IpAddr::from([10, 0, 0, 9]);
        let proxies = Proxies::new(vec!["10.0.0.9".parse().expect("an address")]);
        let doors = Doors::new(Metrics::default(), proxies);
        let (greedy, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut passes: Vec<_> = (0..FROM_ONE_ADDRESS).filter_map(|_| doors.admit(greedy)).collect();
        assert!(passes.len() == FROM_ONE_ADDRESS && doors.admit(greedy).is_none());
        passes.extend((0..MOST_CONNECTIONS - 2 * FROM_ONE_ADDRESS + 1).filter_map(|_| doors.admit(other)));
        passes.extend((0..FROM_ONE_ADDRESS - 1).filter_map(|_| doors.admit(proxy)));
        assert!(passes.iter().all(|pass| !pass.in_lobby));
        let local = IpAddr::from([127, 0, 0, 1]);
        let lobby: Vec<_> = (0..LOBBY + 5).filter_map(|_| doors.admit(local)).collect();
        assert!(lobby.len() == LOBBY && lobby.iter().all(|pass| pass.in_lobby));
        drop((passes, lobby));
        assert!(doors.addresses.lock().expect("no code panics here").is_empty());
        assert_eq!((doors.inside.available_permits(), doors.lobby.available_permits()), (MOST_CONNECTIONS, LOBBY));
    }
}
