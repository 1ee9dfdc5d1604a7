//! The trait behind `#[plugin]`, and the way of one event through a plugin.

use crate::{
    Context, Error, Reply, Result,
    args::{ArgError, first_word, shown},
    cooldown::Cooldowns,
    guard,
    journal::Journal,
    manifest::{Command, Manifest},
    testing,
};
use rosey_wire::event::{Body, Event};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
};

/// A plugin. `#[plugin]` writes this implementation. By hand it looks like this, with [`export!`](crate::export) at the
/// end:
///
/// ```
/// use plugin_api::{
///     Handling, Slot,
///     args::{ArgError, Args},
///     manifest::{Command, Manifest},
///     prelude::*,
///     testing::Bot,
/// };
///
/// struct Echo;
///
/// impl Plugin for Echo {
///     const MANIFEST: Manifest = Manifest {
///         commands: &[Command { usage: "!echo WORDS", help: "Repeats", ..Command::new("echo") }],
///         probe: Some("echo hello"),
///         ..Manifest::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
///     };
///
///     fn create(_settings: &[u8]) -> Result<Self> {
///         Ok(Self)
///     }
///
///     fn call(&self, _command: usize, cx: Context) -> Result<Handling<'_>, ArgError> {
///         let words: String = Args::new(cx.args()).last("words")?;
///         Ok(Handling::Done(cx.finish(Ok(words.into()))))
///     }
///
///     fn slot() -> &'static Slot<Self> {
///         static SLOT: Slot<Echo> = Slot::new();
///         &SLOT
///     }
/// }
///
/// plugin_api::export!(Echo);
///
/// # fn main() {
/// assert_eq!(Bot::<Echo>::new().say("!ECHO hello moon").text(), "hello moon");
/// # }
/// ```
pub trait Plugin: Sized + Send + Sync + 'static {
    /// The plugin's description of itself.
    const MANIFEST: Manifest;

    /// Creates the plugin from its settings, a JSON object.
    ///
    /// # Errors
    /// When the settings are wrong or the plugin lacks something; the operator reads the error.
    fn create(settings: &[u8]) -> Result<Self>;

    /// Checks whether `create` can read the settings, a JSON object. Creates nothing and changes nothing.
    ///
    /// # Errors
    /// When it cannot: the name of the setting, a colon, and what it needs.
    fn check_settings(settings: &[u8]) -> Result<()> {
        let _ = settings;
        Ok(())
    }

    /// The index in `MANIFEST.commands` of the command with this name or alias. The default compares all of them;
    /// `#[plugin]` writes a `match`. A word that it does not find is looked up in other cases of its letters.
    fn find(command: &str) -> Option<usize> {
        let named = |it: &Command| it.name == command || it.aliases.contains(&command);
        Self::MANIFEST.commands.iter().position(named)
    }

    /// Reads the arguments in `cx` and calls the command with this index.
    ///
    /// # Errors
    /// When the arguments do not fit the command. The user then gets the usage.
    fn call(&self, command: usize, cx: Context) -> Result<Handling<'_>, ArgError>;

    /// Reads the arguments in `cx` and calls the subcommand with this index in the `subcommands` of a command.
    ///
    /// # Errors
    /// When the arguments do not fit the subcommand. The user then gets its usage.
    fn call_subcommand(&self, command: usize, subcommand: usize, cx: Context) -> Result<Handling<'_>, ArgError> {
        let _ = (command, subcommand, cx);
        Err(ArgError::Subcommand)
    }

    /// Calls the handler with this index in `MANIFEST.subscriptions`. `None` when there is no such handler, or it is
    /// for another kind.
    fn hear(&self, handler: usize, cx: Context, body: &Body<'_>) -> Option<Handling<'_>> {
        let _ = (handler, cx, body);
        None
    }

    /// Migrates the store from version `from` to `MANIFEST.store_version`.
    fn migrate(&self, cx: Context, from: u32) -> Handling<'_> {
        let _ = cx;
        let text = format!("the store has version {from}, and this plugin has no #[migrate]");
        Handling::Done(Error::internal(text).into())
    }

    /// Returns the plugin's state for the next generation. It must fit a frame of the protocol (16 MiB), and
    /// `limits.handoff_timeout` (2 s by default) bounds the time.
    ///
    /// # Errors
    /// When the plugin has no state or cannot write it. The reload is then cancelled, and this generation goes on.
    fn snapshot(&self) -> Result<Vec<u8>> {
        Err(Error::internal("this plugin keeps no state: it has no #[snapshot]"))
    }

    /// Takes over the state of an earlier generation, before the first event. `version` is within `reads_state`, and
    /// `limits.handoff_timeout` (2 s by default) bounds the time.
    ///
    /// # Errors
    /// When the plugin cannot read it. The reload is then cancelled, and the earlier generation goes on.
    fn restore(&self, version: u32, state: &[u8]) -> Result<()> {
        let _ = (version, state);
        Err(Error::internal("this plugin keeps no state: it has no #[restore]"))
    }

    /// The last call before the process ends. The host kills the process 2 s after it asked for the stop.
    fn shutdown(&self) {}

    /// The place of the one instance of this plugin in its library: a `static` of this plugin's own.
    fn slot() -> &'static Slot<Self>;
}

/// The result of calling a handler: an `fn` is done, an `async fn` must be polled.
///
/// ```
/// use plugin_api::{Context, Finished, Handling, Reply};
///
/// fn at_once(cx: Context) -> Handling<'static> {
///     let finished: Finished = cx.finish(Ok(Reply::text("tea")));
///     Handling::Done(finished)
/// }
///
/// fn later(cx: Context) -> Handling<'static> {
///     Handling::future(async move {
///         let cups: plugin_api::Result<Option<u32>> = cx.store().get("cups").await;
///         cx.finish(cups.map(|cups| Reply::text(format!("{cups:?}"))))
///     })
/// }
/// ```
pub enum Handling<'a> {
    /// The handler answered or failed.
    Done(Finished),
    /// The handler must be polled.
    Future(Pin<Box<dyn Future<Output = Finished> + Send + 'a>>),
}

impl<'a> Handling<'a> {
    /// Boxes the future of an `async fn`.
    pub fn future(future: impl Future<Output = Finished> + Send + 'a) -> Self {
        Self::Future(Box::pin(future))
    }
}

/// What a handler returned, with its reads and changes. [`Context::finish`] makes it.
///
/// ```
/// use plugin_api::{Error, Finished};
///
/// let failed: Finished = Error::new("there is no tea").into();
/// ```
pub struct Finished {
    pub(crate) result: Result<Reply>,
    pub(crate) journal: Option<Box<Mutex<Journal>>>,
}

impl Finished {
    /// The encoded effects, if the handler succeeded and has any.
    ///
    /// # Errors
    /// When they do not fit a message to the host.
    pub(crate) fn effects(&self) -> Result<Option<Vec<u8>>> {
        match &self.journal {
            Some(journal) if self.result.is_ok() => journal.lock().unwrap_or_else(PoisonError::into_inner).pack(),
            _ => Ok(None),
        }
    }
}

impl From<Result<Reply>> for Finished {
    fn from(result: Result<Reply>) -> Self {
        Self { result, journal: None }
    }
}

impl From<Error> for Finished {
    fn from(error: Error) -> Self {
        Err(error).into()
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finished").field("result", &self.result).finish_non_exhaustive()
    }
}

/// A plugin, with the cooldowns of its commands. Only [`Slot`] names it.
#[doc(hidden)]
pub struct Instance<P> {
    pub(crate) plugin: P,
    /// Nothing where the host sees to them before it wakes the plugin.
    cooldowns: Option<Cooldowns>,
}

/// Holds the one instance of a library's plugin; empty until the host creates it. See [`Plugin`] for its use.
///
/// ```
/// use plugin_api::{Plugin, Slot};
///
/// fn is_running<P: Plugin>() -> bool {
///     let slot: &Slot<P> = P::slot();
///     slot.get().is_some()
/// }
/// ```
pub type Slot<P> = std::sync::OnceLock<Instance<P>>;

impl<P: Plugin> Instance<P> {
    /// Creates the plugin. A panic becomes an error. `host_cools`: the host keeps cooldowns, so the plugin does
    /// not.
    pub(crate) fn create(settings: &[u8], host_cools: bool) -> Result<Self> {
        let plugin = guard::catch(|| P::create(settings)).and_then(|made| made)?;
        Ok(Self { plugin, cooldowns: (!host_cools).then(Cooldowns::default) })
    }

    /// Starts to handle an event with its context, as far as possible without polling. Never unwinds.
    pub(crate) fn begin(&self, cx: Context, event: &Event<'_>) -> Handling<'_> {
        let begun = guard::catch(|| match event.body {
            Body::Command { .. } => Some(self.dispatch(cx)),
            ref body => self.plugin.hear(event.handler.into(), cx, body),
        });
        begun.unwrap_or_else(|panic| Some(Handling::Done(panic.into()))).unwrap_or_else(|| {
            let (kind, handler) = (event.body.kind().name(), event.handler);
            Handling::Done(Error::internal(format!("this plugin has no handler {handler} of a {kind} event")).into())
        })
    }

    /// As [`begin`](Self::begin), for `#[migrate]`.
    pub(crate) fn migrate(&self, cx: Context, from: u32) -> Handling<'_> {
        guard::catch(|| self.plugin.migrate(cx, from)).unwrap_or_else(|panic| Handling::Done(panic.into()))
    }

    fn dispatch(&self, mut cx: Context) -> Handling<'_> {
        let Some((index, command)) = find::<P>(cx.command()) else {
            return Handling::Done(Error::internal(format!("this plugin has no command {:?}", cx.command())).into());
        };
        let subcommand = subcommand(command, cx.args());
        let called = subcommand.map_or(command, |at| &command.subcommands[at]);
        if subcommand.is_some() {
            cx.take_subcommand();
        }
        if called.cooldown_ms > 0
            && let Some(cooldowns) = &self.cooldowns
            && !cx.is_probe()
            && let Err(wait) = cooldowns.pass((index, subcommand), called.cooldown_ms, &cx, testing::now())
        {
            let text = format!("Wait {} s before !{}.", wait.as_millis().div_ceil(1000), typed(&cx));
            return Handling::Done(Ok(Reply::text(text)).into());
        }
        let word = word_for_hint(command, &cx);
        let handling = match subcommand {
            Some(at) => self.plugin.call_subcommand(index, at, cx),
            None => self.plugin.call(index, cx),
        };
        handling.unwrap_or_else(|error| Handling::Done(Ok(usage(called, &error, &word)).into()))
    }

    /// Takes over a state, if the plugin reads its version.
    pub(crate) fn restore(&self, version: u32, state: &[u8]) -> Result<()> {
        let [first, last] = P::MANIFEST.reads_state;
        if !(first..=last).contains(&version) {
            return Err(Error::internal(format!(
                "the state has version {version}, this plugin reads {first} to {last}"
            )));
        }
        guard::catch(|| self.plugin.restore(version, state)).and_then(|done| done)
    }
}

/// The command with this name, in upper or lower case.
fn find<P: Plugin>(word: &str) -> Option<(usize, &'static Command)> {
    let commands = P::MANIFEST.commands;
    let index = P::find(word).or_else(|| commands.iter().position(|command| command.is_named(word)))?;
    Some((index, commands.get(index)?))
}

/// The index of the subcommand that the arguments begin with.
fn subcommand(command: &Command, args: &str) -> Option<usize> {
    let (word, _) = if command.subcommands.is_empty() { return None } else { first_word(args) };
    command.subcommands.iter().position(|it| it.is_named(word))
}

/// The command and the subcommand as the user typed them.
fn typed(cx: &Context) -> String {
    format!("{} {}", cx.command(), cx.subcommand()).trim_end().to_owned()
}

/// What the user typed in place of a subcommand; empty for a command without subcommands.
fn word_for_hint(command: &Command, cx: &Context) -> String {
    if command.subcommands.is_empty() { String::new() } else { first_word(cx.args()).0.to_owned() }
}

/// The reply to arguments that do not fit the command. `word` stands where a subcommand may stand.
fn usage(command: &Command, error: &ArgError, word: &str) -> Reply {
    let usage = command.usage;
    Reply::text(match error {
        ArgError::Subcommand if !word.is_empty() => {
            let names = command.subcommands.iter().map(|it| it.name);
            let meant =
                nearest(word, names).map(|name| format!("; did you mean {name}?")).unwrap_or_else(|| ".".into());
            format!("!{} has no {}{meant} Usage: {usage}", command.name, shown(word))
        }
        ArgError::Missing(_) | ArgError::Subcommand => format!("Usage: {usage}"),
        ArgError::Invalid(why) => {
            let (why, name) = (why.trim_end_matches('.'), command.name);
            let meant = nearest(word, command.subcommands.iter().map(|it| it.name));
            let meant = meant.map(|it| format!("; did you mean !{name} {it}?")).unwrap_or_else(|| ".".into());
            format!("{why}{meant} Usage: {usage}")
        }
    })
}

/// The name that is meant by a word in which at most two letters are wrong, as the host finds unknown commands.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = names
        .map(|name| (distance(&word, name), name))
        .filter(|(distance, name)| *distance <= 2 && *distance < name.chars().count().min(word.chars().count()));
    near.min().map(|(_, name)| name)
}

/// Levenshtein distance in letters, of the first 32 of each.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(32).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(32).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
