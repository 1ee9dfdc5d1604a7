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
    /// use plugin_api::{prelude::*, testing::Bot};
    ///
    /// #[derive(Default)]
    /// struct V1;
    ///
    /// #[plugin(store_version = 1)]
    /// impl V1 {
    ///     /// Keep a note: `!note tea`
    ///     #[command]
    ///     fn note(&self, cx: &Context, text: String) -> Result<()> {
    ///         cx.store().put("note", &text)
    ///     }
    /// }
    ///
    /// #[derive(Default)]
    /// struct V2;
    ///
    /// #[plugin(store_version = 2)]
    /// impl V2 {
    ///     /// Read all notes: `!notes`
    ///     #[command]
    ///     async fn notes(&self, cx: &Context) -> Result<String> {
    ///         Ok(cx.store().get::<Vec<String>>("notes").await?.unwrap_or_default().join(", "))
    ///     }
    ///
    ///     #[migrate]
    ///     async fn migrate(&self, cx: &Context, _from: u32) -> Result<()> {
    ///         let note: Option<String> = cx.store().get("note").await?;
    ///         cx.store().put("notes", &Vec::from_iter(note))
    ///     }
    /// }
    ///
    /// let bot = Bot::<V1>::new();
    /// bot.say("!note tea");
    /// let bot = bot.reload::<V2>().unwrap();
    /// assert_eq!(bot.say("!notes").text(), "tea");
    /// ```
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
