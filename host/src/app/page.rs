//! Starts the dashboard, and makes its link.

use super::AppError;
use crate::{
    admin::{Admin, Dashboard},
    config::{self, Config},
    dashboard::{self, DashboardConfig, host_of},
    journal::Journal,
    metrics::Metrics,
    report,
    settings::in_link,
};
use std::{fs, net::SocketAddr, sync::Arc};
use tokio::runtime::Handle;

/// Starts the dashboard, and returns its address if there is one.
pub async fn start_dashboard(
    config: &Config,
    metrics: &Metrics,
    admin: &Arc<Admin>,
    journal: Journal,
    ops: &Handle,
) -> Result<Option<SocketAddr>, AppError> {
    let wanted = &config.dashboard;
    if !wanted.enabled {
        admin.set_dashboard(Dashboard::Off);
        return Ok(None);
    }
    let settings = DashboardConfig {
        host: wanted.host.clone(),
        port: wanted.port,
        public: wanted.public,
        token: wanted.token.clone(),
        allowed_hosts: wanted.allowed_hosts.iter().cloned().chain(wanted.url.as_deref().and_then(host_of)).collect(),
        // All of them parse: the configuration was checked when it was read.
        trusted_proxies: wanted.trusted_proxies.iter().filter_map(|text| text.parse().ok()).collect(),
        prometheus: config.metrics.prometheus_enabled,
        base_path: wanted.base_path.trim_end_matches('/').to_owned(),
    };
    match dashboard::start(settings, metrics.clone(), Some(Arc::clone(admin)), journal, ops).await {
        Ok(address) => {
            tracing::info!("dashboard: http://{address}/");
            admin.set_dashboard(Dashboard::At(link(address, wanted)));
            Ok(Some(address))
        }
        Err(error) if wanted.required => Err(error.into()),
        Err(error) => {
            tracing::warn!("{}", report::chain(&error));
            admin.set_dashboard(Dashboard::Failed(report::chain(&error)));
            Ok(None)
        }
    }
}

/// The link to the dashboard: the configured one, or the address that it listens on. If it listens on every address,
/// the link has an allowed name from the configuration, or, with a token, this machine's own name.
fn link(address: SocketAddr, settings: &config::Dashboard) -> String {
    if let Some(url) = &settings.url {
        return format!("{}/", url.trim_end_matches('/'));
    }
    if !address.ip().is_unspecified() {
        return format!("http://{address}/");
    }
    let mine = || settings.token.as_ref().and_then(|_| fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = settings.allowed_hosts.first().cloned().or_else(mine);
    format!("http://{}:{}/", in_link(host.as_deref().map_or("localhost", str::trim)), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_can_be_followed() {
        let link = |address: &str, token: Option<&str>, hosts: &[&str]| {
            let allowed_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            let settings = config::Dashboard { token: token.map(str::to_owned), allowed_hosts, ..Default::default() };
            super::link(address.parse().expect("an address"), &settings)
        };
        assert_eq!(link("127.0.0.1:40123", None, &[]), "http://127.0.0.1:40123/");
        assert_eq!(link("[::1]:8080", None, &[]), "http://[::1]:8080/");
        assert_eq!(link("0.0.0.0:8080", None, &["bot.example"]), "http://bot.example:8080/");
        assert_eq!(link("0.0.0.0:8080", None, &[]), "http://localhost:8080/");
        let mine = link("[::]:8080", Some("a token"), &[]);
        assert!(!mine.contains("::") && mine.ends_with(":8080/"), "{mine}");
    }
}
