//! Sends each chat line to a plugin or to the admin module, or answers it with help.

mod help;
mod listeners;
mod persist;
mod prefix;
mod table;

pub use persist::SCHEMA;
pub use table::listed;

use crate::{
    event::{self, Event, Occurrence, Outgoing, Place, RESERVED, ReplyTo, User, What},
    slot::handle::Handle,
    store::{Database, StoreError},
    text::is_hidden,
};
use arc_swap::ArcSwap;
use listeners::Listeners;
use prefix::Prefixes;
use rosey_wire::{event::Kind, manifest::Manifest};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use table::{Known, NeededRole, Table};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    watch,
};

/// How long a connector waits at most for plugins to start. Most are up in a tenth of a second; one that hangs must not keep
/// people from the others.
const COMING_UP: Duration = Duration::from_secs(3);

/// A line for the admin.
#[derive(Debug)]
pub struct AdminLine {
    /// As typed: `!admin …`, or the answer to a question.
    pub line: String,
    /// The person who typed it.
    pub user: Arc<User>,
    /// The channel that it was typed in.
    pub place: Arc<Place>,
    /// Where answers go; there may be several.
    pub outgoing: mpsc::Sender<Outgoing>,
}

/// The result of routing a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// A plugin or the admin module received the line, and answers if it has an answer.
    Taken,
    /// It has no command.
    Chat,
    /// No plugin has the command.
    Unknown,
    /// The connector is closed.
    Closed,
}

/// Whether a person has at least this role.
type HasRole = Box<dyn Fn(&User, &str) -> bool + Send + Sync>;

/// Who has which role, once the admin is there.
#[derive(Default)]
struct Roles(OnceLock<HasRole>);

impl fmt::Debug for Roles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Roles")
    }
}

/// The routes. Readers take no lock.
#[derive(Debug, Default)]
pub struct Router {
    table: ArcSwap<Table<Handle>>,
    listeners: ArcSwap<Listeners<Handle>>,
    known: Mutex<Known<Handle>>,
    /// Held while subscriptions are compiled.
    compiling: Mutex<()>,
    admin: OnceLock<mpsc::Sender<AdminLine>>,
    roles: Roles,
    prefixes: Prefixes,
    /// Whether plugins are starting whose commands are not known yet. Sent again for each plugin that the router
    /// learns.
    starting: watch::Sender<bool>,
}

impl Router {
    /// A router without plugins. `prefixes` are the channels whose prefix is another than `!`, as `CONNECTOR:CHANNEL`.
    pub fn new(prefixes: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { prefixes: Prefixes::new(prefixes), ..Self::default() }
    }

    /// Whether a line in this channel is a command, known or not.
    pub fn is_command(&self, line: &str, place: &Place) -> bool {
        self.prefixes.command(bare(line), place).is_some_and(|line| event::command_of(&line).is_some())
    }

    /// A text for this channel, with its own prefix before each command. Connectors show every text in this way.
    pub fn shown(&self, text: String, place: &Place) -> String {
        let is_command = |name: &str| RESERVED.contains(&name) || self.table.load().find(name).is_some();
        self.prefixes.shown(text, place, is_command)
    }

    /// Sets the way to the admin. Until then, admin commands are unknown.
    pub fn set_admin(&self, admin: mpsc::Sender<AdminLine>) {
        // The first one stays.
        let _ = self.admin.set(admin);
    }

    /// Sets who has which role. Until then, every command that needs one is refused.
    pub fn set_roles(&self, has_role: impl Fn(&User, &str) -> bool + Send + Sync + 'static) {
        // The first one stays.
        let _ = self.roles.0.set(Box::new(has_role));
    }

    /// Sets whether plugins are starting for the first time.
    pub fn set_starting(&self, starting: bool) {
        if !starting {
            // `learn` does not compile while plugins start: with each plugin it would compile all subscriptions again.
            let listening = self.known().listening();
            self.listeners.store(Arc::new(Listeners::new(&listening)));
        }
        self.starting.send_replace(starting);
    }

    /// Signals that commands may have been added. A connector waits for this before it reports an unknown command.
    pub fn commands_changed(&self) -> CommandsChanged {
        CommandsChanged(self.starting.subscribe())
    }

    /// Waits until every plugin is up or has failed to start, for at most three seconds. A connector takes its first
    /// line after that.
    pub async fn wait_until_started(&self) {
        let mut changes = self.commands_changed();
        // Does not wait for a plugin that hangs at its start.
        let _ = tokio::time::timeout(COMING_UP, async { while changes.wait().await {} }).await;
    }

    /// Routes the commands of a manifest to a plugin, in place of its earlier ones. The log names commands that belong
    /// to another plugin and stay there.
    pub fn learn(self: &Arc<Self>, handle: Handle, manifest: Arc<Manifest>) {
        let plugin = handle.name().to_string();
        let mut known = self.known();
        let starting = *self.starting.borrow();
        if known.learn(&plugin, handle, Arc::clone(&manifest), starting) && !starting {
            self.listen();
        }
        if let Some(clashing) = known.clashing(&plugin, &manifest) {
            tracing::warn!(%plugin, "{clashing}");
        }
        self.table.store(Arc::new(known.table()));
        self.starting.send_modify(|_| {});
    }

    /// Forgets a plugin that leaves the set of plugins: from now on it gets no further event.
    pub fn forget(self: &Arc<Self>, plugin: &str) {
        let mut known = self.known();
        let listens = known.forget(plugin);
        self.table.store(Arc::new(known.table()));
        drop(known);
        if listens {
            self.listen();
        }
        self.starting.send_modify(|_| {});
    }

    /// Compiles the subscriptions on another thread, because a hundred expressions take longer than an event may wait.
    fn listen(self: &Arc<Self>) {
        let router = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Held until the result is in place, so that the later of two compilations counts.
            let _compiling = router.compiling.lock().unwrap_or_else(PoisonError::into_inner);
            let listening = router.known().listening();
            router.listeners.store(Arc::new(Listeners::new(&listening)));
        });
    }

    /// Whether any plugin hears events of this kind. If not, a connector need not make them.
    pub fn hears(&self, kind: Kind) -> bool {
        self.listeners.load().hears(kind)
    }

    /// The commands that a plugin would not get with this manifest, in a sentence that names the plugins that have
    /// them.
    pub fn clashing(&self, plugin: &str, manifest: &Manifest) -> Option<String> {
        self.known().clashing(plugin, manifest)
    }

    /// Why a plugin with this manifest cannot join the others: a command that another one has, which does not leave.
    pub fn taken(&self, plugin: &str, manifest: &Manifest, leaving: &BTreeSet<String>) -> Option<String> {
        let mut clashes = self.known().clashes(plugin, manifest);
        clashes.retain(|_, owner| !leaving.contains(owner));
        let (first, owner) = clashes.first_key_value()?;
        let more =
            if clashes.len() > 1 { format!(" and {} more of its commands", clashes.len() - 1) } else { String::new() };
        Some(match owner.as_str() {
            "Rosey" => format!("{}{first} of {plugin} is a command of Rosey itself{more}", event::PREFIX),
            owner => format!("{plugin} and {owner} both have {}{first}{more}; unload {owner} first", event::PREFIX),
        })
    }

    /// The plugin of each command, in lower case, including those of the host itself.
    pub fn owners(&self) -> BTreeMap<String, String> {
        let reserved = RESERVED.map(|command| (command.to_owned(), "Rosey".to_owned()));
        self.known().owners().clone().into_iter().chain(reserved).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known<Handle>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a plugin of the set. The commands of one that has never run are unknown.
    pub fn expect(&self, plugin: &str) {
        self.known().expect(plugin);
    }

    /// Reads which plugin had which command in the host before this one.
    ///
    /// # Errors
    ///
    /// The database cannot be read.
    pub async fn recall(&self, database: &Database) -> Result<(), StoreError> {
        let before = persist::load(database).await?;
        self.known().recall(before);
        Ok(())
    }

    /// Saves which plugin has which command at every change, from the end of the start on. Never ends.
    pub async fn keep_owners(self: Arc<Self>, database: Database) {
        let (mut changes, mut kept) = (self.starting.subscribe(), None);
        loop {
            let starting = *changes.borrow_and_update();
            let owners = self.known().owners().clone();
            if !starting && kept.as_ref() != Some(&owners) {
                match persist::save(&database, owners.clone()).await {
                    Ok(()) => kept = Some(owners),
                    // The next change tries again.
                    Err(error) => tracing::warn!("who has which command cannot be written down: {error}"),
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The answer to an unknown command in this channel, if Rosey answers one there.
    pub fn unknown(&self, line: &str, place: &Place) -> String {
        let line = self.prefixes.command(bare(line), place).unwrap_or_default();
        self.unknown_command(&line)
    }

    fn unknown_command(&self, line: &str) -> String {
        let nearest = event::command_of(line).and_then(|command| self.table.load().nearest(command));
        let (count, unknown) = self.known().unknown();
        let unless = match (*self.starting.borrow(), count) {
            (_, 0) => String::new(),
            (true, 1) => {
                return format!("{unknown} is still starting and may have that command; try again in a moment.");
            }
            (true, _) => {
                return format!("{unknown} are still starting and may have that command; try again in a moment.");
            }
            (false, 1) => format!(", or it belongs to {unknown}, which is not running"),
            (false, _) => format!(", or it belongs to one of {unknown}, which are not running"),
        };
        let them = if unless.is_empty() { "them" } else { "the others" };
        let meant = nearest.map(|name| format!("did you mean {}{name}? ", event::PREFIX)).unwrap_or_default();
        format!("There is no such command{unless}; {meant}{}help lists {them}.", event::PREFIX)
    }

    /// Delivers a line to its plugin or to the admin. Waits for room in the connector's outgoing queue, and for nothing
    /// else. If the future is dropped, the event is not accepted.
    pub async fn route(
        &self,
        line: &str,
        user: &Arc<User>,
        place: &Arc<Place>,
        outgoing: &mpsc::Sender<Outgoing>,
    ) -> Routed {
        let typed = bare(line);
        let line = self.prefixes.command(typed, place);
        let line = line.as_deref().unwrap_or_default();
        let Some(command) = event::command_of(line) else {
            let line = typed;
            self.occur(&What::Message { text: line.into() }, user, place, outgoing).await;
            return if is_answer(line) { self.to_admin(line, user, place, outgoing).await } else { Routed::Chat };
        };
        let found = {
            let table = self.table.load();
            table.find(command).map(|route| {
                let needed = table.needed_role(route, line, command);
                let refusal = needed.and_then(|needed| self.refusal(user, &needed));
                (route.handle.clone(), (route.spell(line, command), route.command_end()), refusal)
            })
        };
        if let Some((handle, line, refusal)) = found {
            if let Some(text) = refusal {
                return answer(text, user, place, outgoing).await;
            }
            // There is nearly always room, and then no future is made.
            let room = match try_reserve(outgoing) {
                None => reserve(outgoing).await,
                room => room,
            };
            let Some(reply_to) = room else { return Routed::Closed };
            let (line, command_end) = line;
            handle.deliver(Event::split(line, command_end, Arc::clone(user), Arc::clone(place), reply_to)).await;
            return Routed::Taken;
        }
        match command.to_lowercase().as_str() {
            "admin" => self.to_admin(line, user, place, outgoing).await,
            "help" => {
                let topic = line.trim_end().split_once(char::is_whitespace).map(|(_, topic)| topic.trim_start());
                let text = self.table.load().help(topic);
                answer(text, user, place, outgoing).await
            }
            _ => Routed::Unknown,
        }
    }

    /// Delivers an occurrence to every plugin that hears it, each as an event of its own. Waits like [`Router::route`].
    /// Cancelled, the remaining plugins do not hear it.
    pub async fn occur(&self, what: &What, user: &Arc<User>, place: &Arc<Place>, outgoing: &mpsc::Sender<Outgoing>) {
        let heard = self.listeners.load().of(what);
        for (handle, occurrence) in heard {
            let Some(reply_to) = reserve(outgoing).await else { return };
            handle.deliver(Event::of(occurrence, Arc::clone(user), Arc::clone(place), reply_to)).await;
        }
    }

    /// The plugins that hear this, by name, with the event for each.
    pub fn hearers(&self, what: &What) -> Vec<(Arc<str>, Occurrence)> {
        let heard = self.listeners.load().of(what);
        heard.into_iter().map(|(handle, occurrence)| (Arc::clone(handle.name()), occurrence)).collect()
    }

    /// Delivers an event to a plugin by its name, without waiting. An event for a plugin that is gone is dropped.
    pub fn deliver(&self, plugin: &str, event: Event) {
        let handle = self.known().handle(plugin);
        if let Some(handle) = handle {
            tokio::spawn(async move { handle.deliver(event).await });
        }
    }

    /// Why this person may not give a command; `None` when the person may.
    fn refusal(&self, user: &User, needed: &NeededRole) -> Option<String> {
        let has = |role: &String| self.roles.0.get().is_some_and(|has_role| has_role(user, role));
        let lacking = needed.roles.iter().find(|role| !has(role))?;
        Some(format!("{} needs the role {lacking}, which you do not have.", needed.command))
    }

    async fn to_admin(
        &self,
        line: &str,
        user: &Arc<User>,
        place: &Arc<Place>,
        outgoing: &mpsc::Sender<Outgoing>,
    ) -> Routed {
        let Some(admin) = self.admin.get() else { return Routed::Unknown };
        let line = AdminLine {
            line: line.to_owned(),
            user: Arc::clone(user),
            place: Arc::clone(place),
            outgoing: outgoing.clone(),
        };
        match admin.try_send(line) {
            Ok(()) => Routed::Taken,
            // With so many lines waiting, one answer more or less changes nothing; an admin command gets an error.
            Err(TrySendError::Full(line)) if line.line.starts_with(event::PREFIX) => {
                let text = "Too many admin commands are waiting; try again in a moment.".to_owned();
                let _ = line.outgoing.send(Outgoing::answer(line.place, line.user, text)).await;
                Routed::Taken
            }
            Err(_) => Routed::Chat,
        }
    }
}

/// Answers a line itself.
async fn answer(text: String, user: &Arc<User>, place: &Arc<Place>, outgoing: &mpsc::Sender<Outgoing>) -> Routed {
    let answer = Outgoing::answer(Arc::clone(place), Arc::clone(user), text);
    if outgoing.send(answer).await.is_ok() { Routed::Taken } else { Routed::Closed }
}

/// Room for one answer, as soon as there is some; `None` when the connector has ended.
async fn reserve(outgoing: &mpsc::Sender<Outgoing>) -> Option<ReplyTo> {
    outgoing.clone().reserve_owned().await.ok().map(ReplyTo::Connector)
}

/// Room for one answer, if there is some now.
#[inline]
fn try_reserve(outgoing: &mpsc::Sender<Outgoing>) -> Option<ReplyTo> {
    outgoing.clone().try_reserve_owned().ok().map(ReplyTo::Connector)
}

/// Signals whether more commands are to come.
#[derive(Debug)]
pub struct CommandsChanged(watch::Receiver<bool>);

impl CommandsChanged {
    /// Waits until another plugin is known, or no plugin is starting any more. False when none was starting at the
    /// call.
    pub async fn wait(&mut self) -> bool {
        let starting = *self.0.borrow_and_update();
        starting && self.0.changed().await.is_ok()
    }
}

/// The line without invisible characters at its start: a byte-order mark, a zero-width space, a code for bold.
#[inline]
fn bare(line: &str) -> &str {
    if line.as_bytes().first().is_some_and(u8::is_ascii_graphic) {
        return line;
    }
    line.trim_start_matches(|c: char| c.is_whitespace() || is_hidden(c))
}

/// Whether a line may answer a question of the admin.
fn is_answer(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "yes" | "no" | "y" | "n")
}
