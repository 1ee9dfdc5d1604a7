//! The trait behind `#[plugin]`, and how one event goes through a plugin.

use crate::{
    Context, Error, Reply, Result,
    args::ArgError,
    cooldown::Cooldowns,
    guard,
    manifest::{Command, Manifest},
};
use std::{future::Future, pin::Pin, time::Instant};

/// A plugin. `#[plugin]` writes this implementation; by hand it is work without gain.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What it says about itself.
    const MANIFEST: Manifest;

    /// Makes it from its settings, a JSON object.
    ///
    /// # Errors
    /// When the settings are wrong or something it needs is absent; the operator reads why.
    fn create(settings: &[u8]) -> Result<Self>;

    /// The place in `MANIFEST.commands` of the command with this name or alias.
    fn find(command: &str) -> Option<usize>;

    /// Reads the arguments in `cx` and calls the command at this place.
    ///
    /// # Errors
    /// When the arguments are not what the command takes: answered with its usage.
    fn call(&self, command: usize, cx: Context) -> Result<Handling<'_>, ArgError>;

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
    /// Done.
    Done(Result<Reply>),
    /// To be polled.
    Future(Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>),
}

impl<'a> Handling<'a> {
    /// Boxes the future of an `async fn`.
    pub fn future(future: impl Future<Output = Result<Reply>> + Send + 'a) -> Self {
        Self::Future(Box::pin(future))
    }
}

/// A plugin and what the dispatch keeps beside it.
#[doc(hidden)]
pub struct Instance<P> {
    pub(crate) plugin: P,
    cooldowns: Cooldowns,
}

/// Where a library keeps its one instance.
#[doc(hidden)]
pub type Slot<P> = std::sync::OnceLock<Instance<P>>;

impl<P: Plugin> Instance<P> {
    /// Makes the plugin; a panic in it is an error like any other.
    pub(crate) fn create(settings: &[u8]) -> Result<Self> {
        let plugin = guard::catch(|| P::create(settings)).and_then(|made| made)?;
        Ok(Self { plugin, cooldowns: Cooldowns::default() })
    }

    /// Starts handling an event, as far as it goes without polling. Never unwinds.
    pub(crate) fn begin(&self, cx: Context) -> Handling<'_> {
        guard::catch(|| self.dispatch(cx)).unwrap_or_else(|panic| Handling::Done(Err(panic)))
    }

    fn dispatch(&self, cx: Context) -> Handling<'_> {
        let Some((index, command)) =
            P::find(cx.command()).and_then(|index| Some((index, P::MANIFEST.commands.get(index)?)))
        else {
            return Handling::Done(Err(Error::internal(format!("this plugin has no command {:?}", cx.command()))));
        };
        if command.cooldown_ms > 0
            && !cx.is_probe()
            && let Err(wait) = self.cooldowns.pass(index, command.cooldown_ms, &cx, Instant::now())
        {
            return Handling::Done(Ok(Reply::text(format!("Slow down: try again in {:.1} s.", wait.as_secs_f64()))));
        }
        self.plugin.call(index, cx).unwrap_or_else(|error| Handling::Done(Ok(usage(command, &error))))
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
