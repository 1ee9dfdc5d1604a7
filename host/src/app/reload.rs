//! The configuration while Rosey runs: how it is read again, and the signal for it.

use crate::{
    admin::{
        Admin, AdminConfig,
        config::{NewConfig, ReadConfig},
    },
    config::Config,
};
use std::sync::Arc;
use tokio::sync::Notify;

/// The settings of the admin.
pub fn admin_config(config: &Config) -> AdminConfig {
    let settings = &config.admin;
    AdminConfig {
        owner: config.owner.clone(),
        admins: config.admins.clone(),
        roles: config.roles.clone(),
        trust_nicks: settings.trust_nicks,
        per_minute: settings.per_minute,
        cooldown: settings.cooldown,
        two_person: settings.two_person.clone(),
        audit_file: settings.audit_file.clone(),
    }
}

/// Reads the file of this configuration again.
pub fn reader(started: &Config) -> ReadConfig {
    let started = started.clone();
    Box::new(move || {
        let Some(file) = &started.file else {
            return Err("Rosey runs without a configuration file, so there is nothing to read again".to_owned());
        };
        let new = Config::load(file).map_err(|error| error.to_string())?;
        Ok(NewConfig { catalog: new.catalog(), admin: admin_config(&new), restart: started.needs_restart(&new) })
    })
}

/// Takes the configuration over at each hangup. Never ends.
pub async fn on_hangup(admin: Arc<Admin>, hangups: Arc<Notify>) {
    loop {
        hangups.notified().await;
        admin.reload_config().await;
    }
}
