//! Who gets a chat line: a plugin, the admin, or the help text.

mod listeners;
mod persist;
mod table;

pub use persist::SCHEMA;
pub use table::listed;

use crate::{
    event::{self, Event, Occurrence, Outgoing, Place, ReplyTo, User, What},
    slot::handle::Handle,
    store::{Database, StoreError},
    text::is_hidden,
};
use arc_swap::ArcSwap;
use listeners::Listeners;
use rosey_wire::{event::Kind, manifest::Manifest};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use table::{Known, Table};
use tokio::sync::{
    mpsc::{self, error::TrySendError},
    watch,
};

/// How long connectors wait for plugins. Most are up in a tenth of a second; one that hangs must not keep people from the
/// others.
const COMING_UP: Duration = Duration::from_secs(3);

/// A line for the admin.
#[derive(Debug)]
pub struct AdminLine {
    /// As typed: `!admin …`, or the answer to a question.
    pub line: String,
    /// Who typed it.
    pub user: Arc<User>,
    /// The channel that it was typed in.
    pub place: Arc<Place>,
    /// Where answers go; there may be several.
    pub outgoing: mpsc::Sender<Outgoing>,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// A plugin or the admin has it, and answers if there is something to say.
    Taken,
    /// It is no command.
    Chat,
    /// It is a command that no plugin has.
    Unknown,
    /// The connector is closed.
    Closed,
}

/// The routes. Reading them takes no lock.
#[derive(Debug, Default)]
pub struct Router {
    table: ArcSwap<Table<Handle>>,
    listeners: ArcSwap<Listeners<Handle>>,
    known: Mutex<Known<Handle>>,
    /// Held while subscriptions are compiled.
    compiling: Mutex<()>,
    admin: OnceLock<mpsc::Sender<AdminLine>>,
    /// Whether plugins come up whose commands are not known yet. It is sent again whenever a plugin is learned.
    starting: watch::Sender<bool>,
}

impl Router {
    /// Says where the admin listens. Until then, admin commands are unknown.
    pub fn set_admin(&self, admin: mpsc::Sender<AdminLine>) {
        // The first one stays.
        let _ = self.admin.set(admin);
    }

    /// Says whether plugins are coming up for the first time.
    pub fn set_starting(&self, starting: bool) {
        if !starting {
            // Each of them would have been compiled with all that came before it.
            let listening = self.known().listening();
            self.listeners.store(Arc::new(Listeners::new(&listening)));
        }
        self.starting.send_replace(starting);
    }

    /// Tells when there may be more commands. A connector whose lines wait for it anyway waits before it says that a command
    /// is unknown.
    pub fn commands_changed(&self) -> CommandsChanged {
        CommandsChanged(self.starting.subscribe())
    }

    /// Waits until every plugin is up or has failed to start, for three seconds at most. A connector takes its first line
    /// after that.
    pub async fn wait_until_started(&self) {
        let mut changes = self.commands_changed();
        // A plugin that hangs at its start is not waited for.
        let _ = tokio::time::timeout(COMING_UP, async { while changes.wait().await {} }).await;
    }

    /// Routes the commands of a manifest to a plugin, in place of those it had. The log says which of them belong to
    /// another plugin, and stay there.
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

    /// Compiles the subscriptions anew, beside all else: a hundred expressions take longer than an event may wait.
    fn listen(self: &Arc<Self>) {
        let router = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Held until the result is there, so that of two the later one counts.
            let _compiling = router.compiling.lock().unwrap_or_else(PoisonError::into_inner);
            let listening = router.known().listening();
            router.listeners.store(Arc::new(Listeners::new(&listening)));
        });
    }

    /// Whether any plugin hears events of this kind. A connector need not make them otherwise.
    pub fn hears(&self, kind: Kind) -> bool {
        self.listeners.load().hears(kind)
    }

    /// The commands that a plugin would not get with this manifest, in a sentence that says who keeps them.
    pub fn clashing(&self, plugin: &str, manifest: &Manifest) -> Option<String> {
        self.known().clashing(plugin, manifest)
    }

    /// The plugin of each command, in small letters; those of the host itself included.
    pub fn owners(&self) -> BTreeMap<String, String> {
        let reserved = event::RESERVED.map(|command| (command.to_owned(), "Rosey".to_owned()));
        self.known().owners().clone().into_iter().chain(reserved).collect()
    }

    fn known(&self) -> MutexGuard<'_, Known<Handle>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names the plugins that are configured. What is not known of one until it has run once are its commands.
    pub fn expect<'a>(&self, plugins: impl Iterator<Item = &'a str>) {
        self.known().expect(plugins);
    }

    /// Takes over from the host before which plugin had which command.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recall(&self, database: &Database) -> Result<(), StoreError> {
        let before = persist::load(database).await?;
        self.known().recall(before);
        Ok(())
    }

    /// Writes down which plugin has which command, from the end of the start on, whenever that changes. Never ends.
    pub async fn keep_owners(self: Arc<Self>, database: Database) {
        let (mut changes, mut kept) = (self.starting.subscribe(), None);
        loop {
            let starting = *changes.borrow_and_update();
            let owners = self.known().owners().clone();
            if !starting && kept.as_ref() != Some(&owners) {
                match persist::save(&database, owners.clone()).await {
                    Ok(()) => kept = Some(owners),
                    // It is tried again at the next change.
                    Err(error) => tracing::warn!("who has which command cannot be written down: {error}"),
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// What is said to an unknown command, where something is said.
    pub fn unknown(&self, line: &str) -> String {
        let nearest = event::command_of(bare(line)).and_then(|command| self.table.load().nearest(command));
        let (count, unknown) = self.known().unknown();
        let unless = match (*self.starting.borrow(), count) {
            (_, 0) => String::new(),
            (true, 1) => {
                return format!("{unknown} is still starting and may have that command; try again in a moment.");
            }
            (true, _) => {
                return format!("{unknown} are still starting and may have that command; try again in a moment.");
            }
            (false, 1) => format!(", unless {unknown} has it, which is not running"),
            (false, _) => format!(", unless one of {unknown} has it, which are not running"),
        };
        let them = if unless.is_empty() { "them" } else { "the others" };
        let meant = nearest.map(|name| format!("did you mean {}{name}? ", event::PREFIX)).unwrap_or_default();
        format!("There is no such command{unless}; {meant}{}help lists {them}.", event::PREFIX)
    }

    /// Hands a line to the plugin or the admin that it is for. Waits for room in the connector's outgoing queue, and no
    /// longer. Cancelled, the line is lost before it was accepted.
    pub async fn route(
        &self,
        line: &str,
        user: &Arc<User>,
        place: &Arc<Place>,
        outgoing: &mpsc::Sender<Outgoing>,
    ) -> Routed {
        let line = bare(line);
        let Some(command) = event::command_of(line) else {
            self.occur(&What::Message { text: line.into() }, user, place, outgoing).await;
            return if is_answer(line) { self.to_admin(line, user, place, outgoing).await } else { Routed::Chat };
        };
        let found = {
            let table = self.table.load();
            table.find(command).map(|route| (route.handle.clone(), route.spell(line, command)))
        };
        if let Some((handle, line)) = found {
            let Some(reply_to) = reserve(outgoing).await else { return Routed::Closed };
            handle.deliver(Event::new(line, Arc::clone(user), Arc::clone(place), reply_to)).await;
            return Routed::Taken;
        }
        match command.to_lowercase().as_str() {
            "admin" => self.to_admin(line, user, place, outgoing).await,
            "help" => {
                let topic = line.split_whitespace().nth(1);
                let text = self.table.load().help(topic);
                let answer = Outgoing::answer(Arc::clone(place), Arc::clone(user), text);
                if outgoing.send(answer).await.is_ok() { Routed::Taken } else { Routed::Closed }
            }
            _ => Routed::Unknown,
        }
    }

    /// Hands what happened to every plugin that hears it, each as an event of its own. Waits as [`Router::route`] does.
    /// Cancelled, the plugins that come later do not hear it.
    pub async fn occur(&self, what: &What, user: &Arc<User>, place: &Arc<Place>, outgoing: &mpsc::Sender<Outgoing>) {
        let heard = self.listeners.load().of(what);
        for (handle, occurrence) in heard {
            let Some(reply_to) = reserve(outgoing).await else { return };
            handle.deliver(Event::of(occurrence, Arc::clone(user), Arc::clone(place), reply_to)).await;
        }
    }

    /// The plugins that hear this, by name, and which event it is for each.
    pub fn hearers(&self, what: &What) -> Vec<(Arc<str>, Occurrence)> {
        let heard = self.listeners.load().of(what);
        heard.into_iter().map(|(handle, occurrence)| (Arc::clone(handle.name()), occurrence)).collect()
    }

    /// Hands an event to a plugin by its name, without waiting. An event for a plugin that is gone is dropped.
    pub fn deliver(&self, plugin: &str, event: Event) {
        let handle = self.known().handle(plugin);
        if let Some(handle) = handle {
            tokio::spawn(async move { handle.deliver(event).await });
        }
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
            // So much is waiting already that one answer more or less changes nothing; an admin command is said to fail.
            Err(TrySendError::Full(line)) if line.line.starts_with(event::PREFIX) => {
                let text = "Too many admin commands are waiting; try again in a moment.".to_owned();
                let _ = line.outgoing.send(Outgoing::answer(line.place, line.user, text)).await;
                Routed::Taken
            }
            Err(_) => Routed::Chat,
        }
    }
}

/// Room for one answer, as soon as there is some; nothing when the connector has ended.
async fn reserve(outgoing: &mpsc::Sender<Outgoing>) -> Option<ReplyTo> {
    match outgoing.clone().try_reserve_owned() {
        Ok(permit) => Some(ReplyTo::Connector(permit)),
        Err(TrySendError::Full(outgoing) | TrySendError::Closed(outgoing)) => {
            outgoing.reserve_owned().await.ok().map(ReplyTo::Connector)
        }
    }
}

/// Whether commands are still to come.
#[derive(Debug)]
pub struct CommandsChanged(watch::Receiver<bool>);

impl CommandsChanged {
    /// Waits until another plugin is known, or none is coming up any more. False when that was so before.
    pub async fn wait(&mut self) -> bool {
        let starting = *self.0.borrow_and_update();
        starting && self.0.changed().await.is_ok()
    }
}

/// The line without what cannot be seen at its start: a byte-order mark, a zero-width space, a code for bold.
fn bare(line: &str) -> &str {
    line.trim_start_matches(|c: char| c.is_whitespace() || is_hidden(c))
}

/// Whether a line may be the answer to a question of the admin.
fn is_answer(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "yes" | "no" | "y" | "n")
}
