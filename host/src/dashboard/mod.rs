//! The dashboard: shows whether the bot works and why a plugin crashed.
//!
//! `server` accepts and bounds connections, `client` identifies the client of a request, and `guard` refuses requests
//! and restricts browsers. `api` has the pages for programs; `overview`, `plugin` and `events` those for people, with
//! `pages` (what they share), `headline`, `words` and the charts (`chart`, `axis`, `timeline`, `uptime`); `favourites` has what a
//! browser wants first; `export` has the events as files;
//! `live` tells open pages about new boards. Every page shows the newest board and is rendered once for each board
//! (`cache`), so readers cost the bot nothing. `auth` knows the holders of the token, `guesses` counts wrong tokens,
//! `action` passes the buttons to the admin, and
//! `answer` says how something went, to browsers and to programs.

mod action;
mod answer;
mod api;
mod auth;
mod axis;
mod cache;
mod chart;
mod client;
mod events;
mod export;
mod favourites;
mod groups;
mod guard;
mod guesses;
mod headline;
mod live;
mod overview;
mod pages;
mod plugin;
mod server;
mod timeline;
mod uptime;
mod words;

pub use auth::LEAST_TOKEN;
pub use client::{Network, host_of};

use crate::{admin::Admin, journal::Journal, metrics::Metrics};
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
};
use tokio::{net::TcpListener, runtime::Handle};

/// Bytes of a form: a token or the number of a question.
const MAX_BODY: usize = 4096;

/// The configuration of the dashboard.
#[derive(Debug, Clone)]
pub struct DashboardConfig {
    /// The address it listens on.
    pub host: String,
    /// The port; 0 for any free port.
    pub port: u16,
    /// Whether everyone who can reach the address may read.
    pub public: bool,
    /// A client with the token may act, and read if reading requires a token.
    pub token: Option<String>,
    /// Host names by which browsers may reach it, besides its address and loopback.
    pub allowed_hosts: Vec<String>,
    /// Proxies whose forwarded headers count.
    pub trusted_proxies: Vec<Network>,
    /// Whether `/metrics` answers.
    pub prometheus: bool,
    /// The path under which a proxy passes requests on, such as `/rosey`; empty for none.
    pub base_path: String,
}

/// Why the dashboard cannot start.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// The address cannot be used.
    #[error("the dashboard cannot listen on {address}{hint}")]
    Listen {
        /// The configured address and port.
        address: String,
        /// The system's reason.
        source: io::Error,
        /// What to do.
        hint: &'static str,
    },
}

/// The data that all handlers share.
struct Shared {
    metrics: Metrics,
    prometheus: bool,
    hosts: Vec<String>,
    proxies: client::Proxies,
    cache: cache::Cache,
    /// Identifies this run of the host: pages of another run are others.
    life: String,
    rates: guard::Rates,
    live: Arc<tokio::sync::Semaphore>,
    auth: auth::Auth,
    admin: Option<Arc<Admin>>,
    journal: Journal,
    notices: answer::Notices,
    /// The runtime that moves events.
    data: Handle,
}

impl Shared {
    /// An answer rendered for a board, with a tag, so that a browser can say that it has it. `reader` is what else it
    /// depends on.
    fn named(
        &self,
        kind: &'static str,
        body: impl Into<axum::body::Bytes>,
        board: u64,
        reader: &str,
    ) -> cache::Rendered {
        match board {
            0 => cache::Rendered::new(kind, body),
            _ => cache::Rendered::named(kind, body, &format!("{}-{board}-{reader}", self.life)),
        }
    }
}

/// Starts to listen on `ops`. Returns the address in use. Call it on the runtime that moves events: `/healthz` asks that
/// one whether it runs.
///
/// # Errors
/// [`DashboardError`].
pub async fn start(
    config: DashboardConfig,
    metrics: Metrics,
    admin: Option<Arc<Admin>>,
    journal: Journal,
    ops: &Handle,
) -> Result<SocketAddr, DashboardError> {
    let wanted = format!("{}:{}", config.host, config.port);
    let problem = |source: io::Error| DashboardError::Listen {
        address: wanted.clone(),
        hint: match source.kind() {
            io::ErrorKind::AddrInUse => "; another program has the port: stop it, or set dashboard.port",
            io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: set dashboard.port",
            _ => "; see dashboard.host and dashboard.port",
        },
        source,
    };
    let address = (config.host.as_str(), config.port).to_socket_addrs().map_err(problem)?.next();
    let mut address = address.ok_or_else(|| problem(io::ErrorKind::AddrNotAvailable.into()))?;
    if let Some((here, warning)) = instead(&config.host, config.public, config.token.is_some()) {
        tracing::warn!("{warning}");
        address.set_ip(here);
    }
    let readers = match (config.public, address.ip().is_loopback()) {
        (true, _) => auth::Readers::All,
        (false, true) => auth::Readers::Local,
        (false, false) => auth::Readers::None,
    };
    // On the ops runtime from the start, because a socket belongs to the runtime that creates it.
    let listening = ops.spawn(async move { TcpListener::bind(address).await });
    let listener = listening.await.map_err(|error| problem(io::Error::other(error)))?.map_err(problem)?;
    let local = listener.local_addr().map_err(problem)?;
    let shared = Arc::new(Shared {
        metrics,
        prometheus: config.prometheus,
        hosts: hosts(&config, address.ip()),
        proxies: client::Proxies::new(config.trusted_proxies),
        cache: cache::Cache::default(),
        life: auth::random().and_then(|random| random.get(..12).map(str::to_owned)).unwrap_or_default(),
        rates: guard::Rates::default(),
        live: Arc::new(tokio::sync::Semaphore::new(live::MOST)),
        auth: auth::Auth::new(config.token, readers, local.port()),
        admin,
        journal,
        notices: answer::Notices::default(),
        data: Handle::current(),
    });
    let (metrics, proxies) = (shared.metrics.clone(), shared.proxies.clone());
    ops.spawn(server::serve(listener, routes(shared), metrics, proxies, config.base_path));
    Ok(local)
}

/// The address to use instead of one that other machines can reach, when the configuration does not let them read, with
/// the warning about it. `None` when the configured address is fine.
pub fn instead(host: &str, public: bool, has_token: bool) -> Option<(IpAddr, String)> {
    if public || has_token {
        return None;
    }
    let address = (host, 0).to_socket_addrs().ok()?.next()?.ip();
    let here = match address {
        address if address.is_loopback() => return None,
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    };
    let warning = format!(
        "the dashboard listens on {here} and not on {host}, where everyone could read it. Set dashboard.token to \
         ask for a token there, dashboard.public = true if everyone may read, or dashboard.host = \"{here}\" to say that \
         this is right"
    );
    Some((here, warning))
}

/// The host names that browsers may use. Any other may be an attacker's name for this address (DNS rebinding).
fn hosts(config: &DashboardConfig, address: IpAddr) -> Vec<String> {
    let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned(), config.host.to_lowercase()];
    hosts.push(address.to_string());
    if config.token.is_some() && !address.is_loopback() {
        // With a token, the machine's own name is allowed too.
        hosts.extend(std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_lowercase()));
    }
    hosts.extend(config.allowed_hosts.iter().map(|host| host.to_lowercase()));
    hosts
}

fn routes(shared: Arc<Shared>) -> Router {
    let own = middleware::from_fn(guard::own_forms_only);
    Router::new()
        .route("/", get(overview::page))
        .route("/plugin/{name}", get(plugin::page))
        .route("/events", get(events::page))
        .route("/events.csv", get(export::csv))
        .route("/api/events", get(export::json))
        .route("/style.css", get(pages::style))
        .route("/live.js", get(pages::script))
        .route("/favicon.ico", get(pages::icon))
        .route("/login", get(auth::form).post(auth::log_in).route_layer(own.clone()))
        .route("/logout", post(auth::log_out).route_layer(own.clone()))
        .route("/favourite", post(favourites::toggle).route_layer(own.clone()))
        .route("/plugin/{name}/ask", post(action::ask).route_layer(own.clone()))
        .route("/plugin/{name}/confirm", post(action::confirm).route_layer(own))
        .route("/live", get(live::stream))
        .route("/api/metrics", get(api::metrics))
        .route("/api/plugin/{name}", get(api::plugin))
        .route("/openapi.json", get(api::description))
        .route("/metrics", get(api::prometheus))
        .route("/healthz", get(api::health))
        .route("/readyz", get(api::ready))
        .fallback(api::nothing)
        .method_not_allowed_fallback(api::not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), guard::guard))
        .with_state(shared)
}
