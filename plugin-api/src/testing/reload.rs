//! Another build in place of the one under test.

use super::{Answer, Bot};
use crate::{Error, Plugin, Result, guard, manifest::Reload, plugin::Instance};
use std::sync::{Arc, atomic::AtomicU64};

impl<P: Plugin> Bot<P> {
    /// Loads another build, as the host does: it gets the same settings, answers its probe, takes over the state
    /// (`reload = "handoff"`), migrates the store if its `store_version` is higher, and handles its start. Store, timers
    /// and clock stay. Then the old build shuts down.
    ///
    /// ```
    /// use plugin_api::{prelude::*, state, testing::Bot};
    /// use std::sync::Mutex;
    ///
    /// #[derive(Default)]
    /// struct Notes(Mutex<Vec<String>>);
    ///
    /// #[plugin(reload = "handoff")]
    /// impl Notes {
    ///     /// Keep a note: `!note tea`
    ///     #[command]
    ///     fn note(&self, _cx: &Context, text: String) -> String {
    ///         let mut notes = self.0.lock().expect("nothing panics while it is held");
    ///         notes.push(text);
    ///         notes.join(", ")
    ///     }
    ///
    ///     #[snapshot]
    ///     fn save(&self) -> Result<Vec<u8>> {
    ///         state::to_bytes(&self.0)
    ///     }
    ///
    ///     #[restore]
    ///     fn load(&self, _version: u32, bytes: &[u8]) -> Result<()> {
    ///         *self.0.lock().expect("nothing panics while it is held") = state::from_bytes(bytes)?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let bot = Bot::<Notes>::new();
    /// bot.say("!note tea");
    /// let bot = bot.reload::<Notes>().unwrap();
    /// assert_eq!(bot.say("!note milk").text(), "tea, milk");
    /// ```
    ///
    /// In a unit test, the build before may be a second plugin in the same file.
    ///
    /// # Errors
    /// Why a host would not take the new build: its settings, its probe, the state or the store.
    ///
    /// # Panics
    /// Inside a tokio runtime.
    pub fn reload<N: Plugin>(self) -> Result<Bot<N>> {
        let instance = Instance::create(self.settings.as_bytes(), false)?;
        let events = AtomicU64::new(self.events.load(std::sync::atomic::Ordering::Relaxed));
        let (place, memory, settings) = (self.place.clone(), Arc::clone(&self.memory), self.settings.clone());
        let new = Bot::<N> { instance, place, events, memory, settings, seed: self.seed };
        let first = N::MANIFEST.probe.and_then(|line| line.split_whitespace().next());
        if first.is_some_and(|word| N::MANIFEST.commands.iter().any(|command| command.is_named(word))) {
            accepted("the probe", new.probe())?;
        }
        if N::MANIFEST.reload == Reload::Handoff {
            let (version, state) = self.snapshot()?;
            new.restore(version, &state)?;
        }
        let (from, to) = (P::MANIFEST.store_version, N::MANIFEST.store_version);
        if to < from {
            return Err(Error::internal(format!("the store has version {from}, and this build reads version {to}")));
        }
        if to > from && N::MANIFEST.migrates {
            accepted("the migration", new.migrate(from))?;
        }
        guard::catch(|| self.plugin().shutdown())?;
        new.start();
        Ok(new)
    }
}

fn accepted(what: &str, answer: Answer) -> Result<()> {
    match answer {
        Answer::Failed { detail, .. } => Err(Error::internal(format!("{what} failed: {detail}"))),
        Answer::Replied(_) | Answer::Ignored => Ok(()),
    }
}
