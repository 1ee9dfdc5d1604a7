//! The trait behind `#[plugin]`, and how one event goes through a plugin.

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

/// A plugin. `#[plugin]` writes this implementation; by hand it is work without gain.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What it says about itself.
    const MANIFEST: Manifest;

    /// Makes it from its settings, a JSON object.
    ///
    /// # Errors
    /// When the settings are wrong or something it needs is absent; the operator reads why.
    fn create(settings: &[u8]) -> Result<Self>;

    /// Whether the settings, a JSON object, can be read as what `create` takes. Makes nothing and touches nothing.
    ///
    /// # Errors
    /// When they cannot: the name of the setting, a colon, and what it needs.
    fn check_settings(settings: &[u8]) -> Result<()> {
        let _ = settings;
        Ok(())
    }

    /// The place in `MANIFEST.commands` of the command with this name or alias.
    fn find(command: &str) -> Option<usize>;

    /// Reads the arguments in `cx` and calls the command at this place.
    ///
    /// # Errors
    /// When the arguments are not what the command takes: answered with its usage.
    fn call(&self, command: usize, cx: Context) -> Result<Handling<'_>, ArgError>;

    /// Calls the handler at this place in `MANIFEST.subscriptions`; `None` when there is none, or none for such an event.
    fn hear(&self, handler: usize, cx: Context, body: &Body<'_>) -> Option<Handling<'_>> {
        let _ = (handler, cx, body);
        None
    }

    /// Brings the store from version `from` up to `MANIFEST.store_version`.
    fn migrate(&self, cx: Context, from: u32) -> Handling<'_> {
        let _ = cx;
        let text = format!("the store has version {from}, and this plugin has no #[migrate]");
        Handling::Done(Error::internal(text).into())
    }

    /// Its state, for the generation that follows it.
    ///
    /// # Errors
    /// When there is none, or it cannot be written; the reload is then called off.
    fn snapshot(&self) -> Result<Vec<u8>> {
        Err(Error::internal("this plugin keeps no state: it has no #[snapshot]"))
    }

    /// Takes over the state of an earlier generation, before the first event. `version` is within `reads_state`.
    ///
    /// # Errors
    /// When it cannot be read; the reload is then called off.
    fn restore(&self, version: u32, state: &[u8]) -> Result<()> {
        let _ = (version, state);
        Err(Error::internal("this plugin keeps no state: it has no #[restore]"))
    }

    /// The last call.
    fn shutdown(&self) {}

    /// The one instance of this plugin in its library.
    #[doc(hidden)]
    fn slot() -> &'static Slot<Self>;
}

/// What calling a handler gave: an `fn` is done, an `async fn` has to be polled.
pub enum Handling<'a> {
    /// It has answered, or failed.
    Done(Finished),
    /// To be polled.
    Future(Pin<Box<dyn Future<Output = Finished> + Send + 'a>>),
}

impl<'a> Handling<'a> {
    /// Boxes the future of an `async fn`.
    pub fn future(future: impl Future<Output = Finished> + Send + 'a) -> Self {
        Self::Future(Box::pin(future))
    }
}

/// What a handler returned, and what it has read and wants to change. [`Context::finish`] makes it.
pub struct Finished {
    pub(crate) result: Result<Reply>,
    pub(crate) journal: Option<Box<Mutex<Journal>>>,
}

impl Finished {
    /// Encoded effects, when there are any and the handler has ended well.
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

/// A plugin and what the dispatch keeps beside it.
#[doc(hidden)]
pub struct Instance<P> {
    pub(crate) plugin: P,
    /// Nothing where the host sees to them before it wakes the plugin.
    cooldowns: Option<Cooldowns>,
}

/// Where a library keeps its one instance.
#[doc(hidden)]
pub type Slot<P> = std::sync::OnceLock<Instance<P>>;

impl<P: Plugin> Instance<P> {
    /// Makes the plugin; a panic in it is an error like any other. `host_cools` says that the host sees to cooldowns.
    pub(crate) fn create(settings: &[u8], host_cools: bool) -> Result<Self> {
        let plugin = guard::catch(|| P::create(settings)).and_then(|made| made)?;
        Ok(Self { plugin, cooldowns: (!host_cools).then(Cooldowns::default) })
    }

    /// Starts handling an event, as far as it goes without polling. Never unwinds.
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

    /// Takes over a state, if its version is one that the plugin reads.
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

/// The answer to arguments that cannot be read.
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
