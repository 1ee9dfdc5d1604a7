//! Accepts connections, as many as may be, and gives each only so much time.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// Connections at a time (PRD). Further ones wait in the kernel's queue until one ends.
pub const MOST_CONNECTIONS: usize = 100;

/// For a whole request head, and for the next one on an idle connection. Above the 15 s of a usual scrape.
const HEAD_WITHIN: Duration = Duration::from_secs(20);

/// Bytes of a request head, and of what is read ahead. Browsers send one or two KB.
const MAX_HEAD: usize = 16 << 10;

/// Header lines of a request.
const MAX_HEADERS: usize = 64;

/// After an accept that failed, mostly for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves for ever. A connection that misbehaves ends; no other notices.
pub async fn serve(listener: TcpListener, routes: Router) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let routes = routes.clone();
                tokio::spawn(async move {
                    converse(stream, peer, routes).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("the dashboard cannot accept a connection: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: SocketAddr, routes: Router) {
    // Fails only when the peer is gone.
    let _ = stream.set_nodelay(true);
    let routes = routes.layer(axum::Extension(peer));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    // Whatever it says, it concerns nobody but the peer.
    if let Err(error) = connection.await {
        tracing::debug!(%peer, "a connection to the dashboard ended: {error}");
    }
}
