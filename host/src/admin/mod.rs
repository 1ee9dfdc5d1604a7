//! Everything that an operator may do, from chat (`chat`), the shell (`socket`), or the dashboard. Every action passes
//! through [`Admin::propose`] and [`Admin::carry_out`] (`change`), and is recorded (`audit`).
//!
//! Knows nothing about HTTP.

pub mod audit;
pub mod build_change;
mod change;
pub mod chat;
pub mod command;
pub mod config;
pub mod confirm;
pub mod grammar;
mod limit;
mod own;
pub mod permission;
mod refusal;
mod second;
pub mod series;
mod settings;
mod show;
pub mod socket;
mod store_change;
mod throttle;
mod timers;
mod work;

pub use change::Proposal;
pub use command::Action;
pub use refusal::Refusal;
pub use work::Completed;

use crate::{
    event::{Identity, User},
    log,
    metrics::Metrics,
    plugins::Plugins,
    router::Router,
};
use audit::{Audit, AuditError, AuditRecord, Stage};
use command::{LogLevel, Query};
use grammar::Surface;
use limit::{Cooldown, PerMinute};
use permission::{Permissions, Role};
use std::{
    collections::BTreeMap,
    fmt,
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use throttle::AuditThrottle;
use tokio::sync::Semaphore;

/// The tables of this room in `rosey.db`.
pub const SCHEMA: [&str; 2] = [audit::chain::SCHEMA, audit::chain::NICK];

/// Actions under way at a time. Each has a process or two while it lasts.
const AT_ONCE: u32 = 64;

/// The configuration of the admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// The person who may do everything.
    pub owner: Option<String>,
    /// The people who may change plugins.
    pub admins: Vec<String>,
    /// The roles of other people, by name.
    pub roles: BTreeMap<String, Role>,
    /// Whether a name counts that the chat network did not verify.
    pub trust_nicks: bool,
    /// Queries a minute for each person in chat, and as many changes.
    pub per_minute: u32,
    /// Pause between two changes of a plugin.
    pub cooldown: Duration,
    /// The commands that need the yes of a second person.
    pub two_person: Vec<String>,
    /// The file with a copy of the audit; `None` for only `rosey.db`.
    pub audit_file: Option<PathBuf>,
}

/// The state of the dashboard, for `!admin metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dashboard {
    /// The configuration turns it off.
    Off,
    /// It is configured and could not start, for this reason.
    Failed(String),
    /// It serves at this address.
    At(String),
}

impl AdminConfig {
    fn permissions(&self) -> Permissions {
        let admins = self.admins.iter().map(|name| (name.clone(), Role::Operator));
        let named = self.roles.iter().map(|(name, role)| (name.clone(), *role));
        let owner = self.owner.iter().map(|name| (name.clone(), Role::Owner));
        let roles = admins.chain(named).chain(owner).collect();
        let host_user = socket::user_name(rustix::process::geteuid().as_raw());
        Permissions::new(roles, Some(host_user), self.trust_nicks)
    }
}

/// The way that a command came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A connector.
    Chat,
    /// The control socket.
    Shell,
    /// A button of the dashboard.
    Dashboard,
    /// Rosey itself; no person asked.
    Host,
}

impl fmt::Display for Via {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Chat => "chat",
            Self::Shell => "shell",
            Self::Dashboard => "dashboard",
            Self::Host => "host",
        })
    }
}

/// The person who gives a command, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The person, and how the name was verified.
    pub user: Arc<User>,
    /// The way that the command came in.
    pub via: Via,
    /// The exact place: a channel, a process, an address.
    pub place: String,
}

impl Actor {
    /// Logs a refusal, unless the actor reads it in the same terminal anyway.
    fn log_refusal(&self, plugin: Option<&str>, text: &str) {
        if !self.reads_log() {
            tracing::warn!(plugin = plugin.map(tracing::field::display), user = %self.user, place = %self.place, "{text}");
        }
    }

    /// Whether the actor sits at the terminal that shows the log.
    fn reads_log(&self) -> bool {
        self.user.identity == Identity::Console && std::io::stderr().is_terminal()
    }
}

/// The answer to a query: as text, and as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The text for people, a chat line or two.
    pub text: String,
    /// The data for programs.
    pub data: serde_json::Value,
}

/// The admin: permissions, confirmations, audit, and the changes themselves.
pub struct Admin {
    me: Weak<Self>,
    dashboard: OnceLock<Dashboard>,
    router: OnceLock<Arc<Router>>,
    permissions: RwLock<Arc<Permissions>>,
    config: Mutex<AdminConfig>,
    source: OnceLock<config::Source>,
    plugins: Arc<Plugins>,
    audit: Audit,
    metrics: Metrics,
    queries: PerMinute,
    changes: PerMinute,
    throttle: AuditThrottle,
    cooldown: Arc<Cooldown>,
    pending: confirm::Pending<confirm::Question>,
    first_yeses: second::FirstYeses,
    under_way: Arc<Semaphore>,
    stopping: AtomicBool,
    since: Instant,
}

impl Admin {
    /// Opens the admin of these plugins. `metrics` has their CPU and memory, if it was started.
    ///
    /// # Errors
    /// When the audit cannot be read or written.
    pub async fn open(
        config: AdminConfig,
        plugins: Arc<Plugins>,
        metrics: Option<Metrics>,
    ) -> Result<Arc<Self>, AuditError> {
        if config.trust_nicks {
            tracing::warn!("admin.trust_nicks is on: a person who takes the nick of an admin becomes an admin");
        }
        let audit = Audit::open(plugins.database().clone(), config.audit_file.clone()).await?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            permissions: RwLock::new(Arc::new(config.permissions())),
            config: Mutex::new(config.clone()),
            source: OnceLock::new(),
            audit,
            dashboard: OnceLock::new(),
            router: OnceLock::new(),
            plugins,
            metrics: metrics.unwrap_or_default(),
            queries: PerMinute::new(config.per_minute),
            changes: PerMinute::new(config.per_minute),
            throttle: AuditThrottle::default(),
            cooldown: Arc::new(Cooldown::new(config.cooldown)),
            pending: confirm::Pending::default(),
            first_yeses: second::FirstYeses::default(),
            under_way: Arc::new(Semaphore::new(AT_ONCE as usize)),
            stopping: AtomicBool::new(false),
            since: Instant::now(),
        }))
    }

    /// Who has which role now.
    pub fn permissions(&self) -> Arc<Permissions> {
        Arc::clone(&self.permissions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the state of the dashboard.
    pub fn set_dashboard(&self, dashboard: Dashboard) {
        // A second call changes nothing.
        let _ = self.dashboard.set(dashboard);
    }

    /// Sets the router, which knows the commands of all plugins. Before that, no question names commands that clash.
    pub fn set_router(&self, router: Arc<Router>) {
        // A second call changes nothing.
        let _ = self.router.set(router);
    }

    /// Calls `listener` with every record from now on, including queries ([`Stage::Read`], which are not kept). An
    /// action has two records, [`Stage::Before`] and [`Stage::After`], so a listener that counts commands must skip the
    /// latter. It must not block.
    pub fn on_action(&self, listener: Box<dyn Fn(&AuditRecord) + Send + Sync>) {
        self.audit.on_record(listener);
    }

    /// Answers a query about one plugin or about all.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn query(&self, actor: &Actor, query: Query, plugin: Option<&str>) -> Result<Answer, Refusal> {
        self.allow(actor, query.word(), plugin, query.needs()).await?;
        // Queries from the shell disturb no other person, and scripts ask often.
        if actor.via == Via::Chat {
            self.in_time(actor, &self.queries)?;
        }
        match (query, plugin) {
            (Query::Log(level), Some(plugin)) if level != LogLevel::Show => {
                self.set_log_level(actor, plugin, level).await?
            }
            _ => self.audit.tell(&AuditRecord::new(Stage::Read, actor, query.word(), plugin)),
        }
        let role = self.permissions().role(&actor.user).unwrap_or(Role::Viewer);
        let asker = show::Asker { role, surface: Surface::of(actor.via) };
        show::answer(self, (query, plugin), &asker, if actor.via == Via::Chat { show::LINES } else { usize::MAX }).await
    }

    /// Sets which records of a plugin are logged, and records who did.
    async fn set_log_level(&self, actor: &Actor, plugin: &str, level: LogLevel) -> Result<(), Refusal> {
        self.view_of(plugin).await?;
        let level = if let LogLevel::Set(level) = level { Some(level) } else { None };
        let word = level.map_or_else(|| LogLevel::DEFAULT.to_owned(), |level| level.to_string());
        let before = AuditRecord::new(Stage::Before, actor, &format!("log {word}"), Some(plugin));
        let before = self.audit.begin(before).await.map_err(Refusal::Audit)?;
        log::set_level(plugin, level);
        self.record_not_done(before.after(true, "set until the host stops", None)).await;
        Ok(())
    }

    /// Opens the audit file under its name again, after a program like logrotate has renamed it.
    pub async fn reopen_audit_file(&self) {
        if let Err(error) = self.audit.reopen().await {
            tracing::error!("the audit file cannot be opened again, so the old one is still used: {error}");
        }
    }

    /// The refusal of a line that makes no sense. Only a person with a role reads which lines would.
    async fn unclear(&self, actor: &Actor, text: String) -> Refusal {
        let allowed =
            self.allow(actor, "unclear", None, Role::Viewer).await.and_then(|()| self.in_time(actor, &self.queries));
        allowed.err().unwrap_or(Refusal::Unclear(text))
    }

    /// Lets no further action begin, because the host stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until no action is under way, for the end of the host.
    pub async fn finish(&self) {
        self.stop();
        // An error would mean that `finish` was called before.
        if let Ok(_all) = self.under_way.acquire_many(AT_ONCE).await {
            self.under_way.close();
        }
        self.record_counted().await;
        self.audit.log_head();
    }

    /// Whether the actor has the role. A denial is recorded; those beyond the rate share one record.
    async fn allow(&self, actor: &Actor, word: &str, plugin: Option<&str>, needs: Role) -> Result<(), Refusal> {
        match self.permissions().role(&actor.user) {
            Some(has) if has >= needs => Ok(()),
            has => {
                let denied = |quietly| Refusal::Denied { needs, has, quietly };
                let quietly = self.deny(actor, word, plugin, &denied(false).to_string()).await;
                Err(denied(quietly))
            }
        }
    }

    /// Queries and changes count separately, so that a person who has asked often may still roll back.
    fn in_time(&self, actor: &Actor, limit: &PerMinute) -> Result<(), Refusal> {
        let taken = limit.take(&permission::key(&actor.user), Instant::now());
        taken.map_err(|wait| Refusal::TooOften { wait })
    }

    /// Records something that was not done. If that fails, there is nothing to prevent, so it only logs.
    async fn record_not_done(&self, record: AuditRecord) {
        if let Err(error) = self.audit.write(record).await {
            tracing::error!("the audit cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
