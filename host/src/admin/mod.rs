//! What an operator may do, from wherever they say it: chat (`chat`), the shell (`socket`), or the dashboard. Every
//! privileged action passes through [`Admin::propose`] and [`Admin::carry_out`] (`change`), and is recorded (`audit`).
//!
//! Knows nothing of HTTP.

pub mod audit;
pub mod build_change;
mod change;
pub mod chat;
pub mod command;
pub mod confirm;
pub mod grammar;
mod limit;
pub mod permission;
mod refusal;
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
    metrics::Metrics,
    plugins::Plugins,
    router::Router,
};
use audit::{Audit, AuditError, AuditRecord, Stage};
use command::Query;
use grammar::Surface;
use limit::{Cooldown, PerMinute};
use permission::{Permissions, Role};
use std::{
    collections::BTreeMap,
    fmt,
    io::IsTerminal,
    path::PathBuf,
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use throttle::AuditThrottle;
use tokio::sync::Semaphore;

/// The tables of this room in `rosey.db`.
pub const SCHEMA: [&str; 2] = [audit::chain::SCHEMA, audit::chain::NICK];

/// Actions under way at a time. Each holds a process or two while it lasts.
const AT_ONCE: u32 = 64;

/// How the admin is configured.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Who may do everything.
    pub owner: Option<String>,
    /// Who may change plugins.
    pub admins: Vec<String>,
    /// Roles by name, where `owner` and `admins` do not say enough.
    pub roles: BTreeMap<String, Role>,
    /// Whether a name that the chat network did not verify counts.
    pub trust_nicks: bool,
    /// Queries a minute for each person in chat, and as many changes.
    pub per_minute: u32,
    /// Between two changes of a plugin.
    pub cooldown: Duration,
    /// Where the audit is written besides `rosey.db`.
    pub audit_file: Option<PathBuf>,
}

/// What `!admin metrics` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dashboard {
    /// It is not configured.
    Off,
    /// It is configured, and there is none all the same.
    Failed(String),
    /// It is there.
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

/// How a command came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A connector.
    Chat,
    /// The control socket.
    Shell,
    /// A button of the dashboard.
    Dashboard,
    /// Rosey itself, without anybody asking.
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

/// Who asks for something, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The person, and how their name was verified.
    pub user: Arc<User>,
    /// How the command came in.
    pub via: Via,
    /// Where exactly: a channel, a process, an address.
    pub place: String,
}

impl Actor {
    /// Logs what they were refused, unless they read it in the same terminal anyway.
    fn log_refusal(&self, plugin: Option<&str>, text: &str) {
        if !self.reads_log() {
            tracing::warn!(plugin = plugin.map(tracing::field::display), user = %self.user, place = %self.place, "{text}");
        }
    }

    /// Whether they sit at the terminal that shows the log.
    fn reads_log(&self) -> bool {
        self.user.identity == Identity::Console && std::io::stderr().is_terminal()
    }
}

/// What was asked to know: in words, and as data.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For people, a chat line or two.
    pub text: String,
    /// For programs.
    pub data: serde_json::Value,
}

/// The admin room.
pub struct Admin {
    me: Weak<Self>,
    dashboard: OnceLock<Dashboard>,
    router: OnceLock<Arc<Router>>,
    permissions: Permissions,
    plugins: Arc<Plugins>,
    audit: Audit,
    metrics: Metrics,
    queries: PerMinute,
    changes: PerMinute,
    denials: AuditThrottle,
    cooldown: Arc<Cooldown>,
    pending: confirm::Pending<confirm::Question>,
    under_way: Arc<Semaphore>,
    stopping: AtomicBool,
    since: Instant,
}

impl Admin {
    /// The admin of these plugins. `metrics` says what they use, if it was started.
    ///
    /// # Errors
    /// When the audit cannot be read or written.
    pub async fn open(
        config: AdminConfig,
        plugins: Arc<Plugins>,
        metrics: Option<Metrics>,
    ) -> Result<Arc<Self>, AuditError> {
        if config.trust_nicks {
            tracing::warn!("admin.trust_nicks is on: whoever takes the nick of an admin is one");
        }
        let audit = Audit::open(plugins.database().clone(), config.audit_file.clone()).await?;
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            permissions: config.permissions(),
            audit,
            dashboard: OnceLock::new(),
            router: OnceLock::new(),
            plugins,
            metrics: metrics.unwrap_or_default(),
            queries: PerMinute::new(config.per_minute),
            changes: PerMinute::new(config.per_minute),
            denials: AuditThrottle::default(),
            cooldown: Arc::new(Cooldown::new(config.cooldown)),
            pending: confirm::Pending::default(),
            under_way: Arc::new(Semaphore::new(AT_ONCE as usize)),
            stopping: AtomicBool::new(false),
            since: Instant::now(),
        }))
    }

    /// Says what became of the dashboard.
    pub fn set_dashboard(&self, dashboard: Dashboard) {
        // The first one stays.
        let _ = self.dashboard.set(dashboard);
    }

    /// Says who knows which plugin has which command. Until then, no question names commands that clash.
    pub fn set_router(&self, router: Arc<Router>) {
        // The first one stays.
        let _ = self.router.set(router);
    }

    /// Has every record from now on told to `listener`, queries ([`Stage::Read`], which are not kept) included. An action
    /// that is carried out has two, [`Stage::Before`] and [`Stage::After`]; whoever counts commands leaves out the
    /// latter. It must not block.
    pub fn on_action(&self, listener: Box<dyn Fn(&AuditRecord) + Send + Sync>) {
        self.audit.on_record(listener);
    }

    /// Answers a query about one plugin, or about all.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn query(&self, actor: &Actor, query: Query, plugin: Option<&str>) -> Result<Answer, Refusal> {
        self.allow(actor, query.word(), plugin, query.needs()).await?;
        // The shell disturbs nobody, and scripts look often.
        if actor.via == Via::Chat {
            self.in_time(actor, &self.queries)?;
        }
        self.audit.tell(&AuditRecord::new(Stage::Read, actor, query.word(), plugin));
        let role = self.permissions.role(&actor.user).unwrap_or(Role::Viewer);
        let asker = show::Asker { role, surface: Surface::of(actor.via) };
        show::answer(self, (query, plugin), &asker, if actor.via == Via::Chat { show::LINES } else { usize::MAX }).await
    }

    /// What to answer to a line that makes no sense: only who may ask is told what would.
    async fn unclear(&self, actor: &Actor, text: String) -> Refusal {
        let allowed =
            self.allow(actor, "unclear", None, Role::Viewer).await.and_then(|()| self.in_time(actor, &self.queries));
        allowed.err().unwrap_or(Refusal::Unclear(text))
    }

    /// Lets no action begin any more: the host stops.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Waits until no action is under way. For the end of the host.
    pub async fn finish(&self) {
        self.stop();
        // An error would mean that somebody was here before.
        if let Ok(_all) = self.under_way.acquire_many(AT_ONCE).await {
            self.under_way.close();
        }
        self.note_counted().await;
        self.audit.log_head();
    }

    /// Whether they may. A denial is recorded; of many those beyond the rate as one.
    async fn allow(&self, actor: &Actor, word: &str, plugin: Option<&str>, needs: Role) -> Result<(), Refusal> {
        match self.permissions.role(&actor.user) {
            Some(has) if has >= needs => Ok(()),
            has => {
                let denied = |quietly| Refusal::Denied { needs, has, quietly };
                let quietly = self.deny(actor, word, plugin, &denied(false).to_string()).await;
                Err(denied(quietly))
            }
        }
    }

    /// Queries and changes are counted apart: who has looked often may still roll back.
    fn in_time(&self, actor: &Actor, limit: &PerMinute) -> Result<(), Refusal> {
        let taken = limit.take(&permission::key(&actor.user), Instant::now());
        taken.map_err(|wait| Refusal::TooOften { wait })
    }

    /// Records what was not done; if that fails, there is nothing to hold back.
    async fn note(&self, record: AuditRecord) {
        if let Err(error) = self.audit.write(record).await {
            tracing::error!("the audit cannot be written: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
