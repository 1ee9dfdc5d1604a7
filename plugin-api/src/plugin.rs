//! The trait behind `#[plugin]`, and the way of one event through a plugin.

use crate::{
    Context, Error, Reply, Result,
    args::ArgError,
    cooldown::Cooldowns,
    guard,
    journal::Journal,
    manifest::{Command, Manifest},
};
use rosey_wire::event::{Body, Occurrence};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// A plugin. `#[plugin]` writes this implementation; there is no reason to implement it by hand.
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

    /// The index in `MANIFEST.commands` of the command with this name or alias.
    fn find(command: &str) -> Option<usize>;

    /// Reads the arguments in `cx` and calls the command with this index.
    ///
    /// # Errors
    /// When the arguments do not fit the command. The user then gets the usage.
    fn call(&self, command: usize, cx: Context) -> Result<Handling<'_>, ArgError>;

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

    /// The one instance of this plugin in its library.
    #[doc(hidden)]
    fn slot() -> &'static Slot<Self>;
}

/// The result of calling a handler: an `fn` is done, an `async fn` must be polled.
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

/// A plugin, with the cooldowns of its commands.
#[doc(hidden)]
pub struct Instance<P> {
    pub(crate) plugin: P,
    /// Nothing where the host sees to them before it wakes the plugin.
    cooldowns: Option<Cooldowns>,
}

/// Holds the one instance of a library's plugin.
#[doc(hidden)]
pub type Slot<P> = std::sync::OnceLock<Instance<P>>;

impl<P: Plugin> Instance<P> {
    /// Creates the plugin. A panic becomes an error. `host_cools`: the host keeps cooldowns, so the plugin does
    /// not.
    pub(crate) fn create(settings: &[u8], host_cools: bool) -> Result<Self> {
        let plugin = guard::catch(|| P::create(settings)).and_then(|made| made)?;
        Ok(Self { plugin, cooldowns: (!host_cools).then(Cooldowns::default) })
    }

    /// Starts to handle an event, as far as possible without polling. Never unwinds.
    pub(crate) fn begin(&self, cx: Context) -> Handling<'_> {
        guard::catch(|| self.dispatch(cx)).unwrap_or_else(|panic| Handling::Done(panic.into()))
    }

    /// As [`begin`](Self::begin), for an event that is no command.
    pub(crate) fn hear(&self, cx: Context, event: &Occurrence<'_>) -> Handling<'_> {
        let heard = guard::catch(|| self.plugin.hear(event.handler.into(), cx, &event.body))
            .unwrap_or_else(|panic| Some(Handling::Done(panic.into())));
        heard.unwrap_or_else(|| {
            let (kind, handler) = (event.body.kind().name(), event.handler);
            Handling::Done(Error::internal(format!("this plugin has no handler {handler} of a {kind} event")).into())
        })
    }

    /// As [`begin`](Self::begin), for `#[migrate]`.
    pub(crate) fn migrate(&self, cx: Context, from: u32) -> Handling<'_> {
        guard::catch(|| self.plugin.migrate(cx, from)).unwrap_or_else(|panic| Handling::Done(panic.into()))
    }

    fn dispatch(&self, cx: Context) -> Handling<'_> {
        let Some((index, command)) =
            P::find(cx.command()).and_then(|index| Some((index, P::MANIFEST.commands.get(index)?)))
        else {
            return Handling::Done(Error::internal(format!("this plugin has no command {:?}", cx.command())).into());
        };
        if command.cooldown_ms > 0
            && let Some(cooldowns) = &self.cooldowns
            && !cx.is_probe()
            && let Err(wait) = cooldowns.pass(index, command.cooldown_ms, &cx, Instant::now())
        {
            let text = format!("Wait {} s before !{}.", wait.as_secs() + 1, cx.command());
            return Handling::Done(Ok(Reply::text(text)).into());
        }
        self.plugin.call(index, cx).unwrap_or_else(|error| Handling::Done(Ok(usage(command, &error)).into()))
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

/// The reply to arguments that do not fit the command.
fn usage(command: &Command, error: &ArgError) -> Reply {
    let usage = command.usage;
    Reply::text(match error {
        ArgError::Missing(_) => format!("Usage: {usage}"),
        ArgError::Invalid(why) => {
            let why = why.trim_end_matches('.');
            format!("{why}. Usage: {usage}")
        }
    })
}
