//! What is logged: by the level of the host, and for each plugin by a level that an operator sets while the bot runs.
//!
//! Without such levels a record that is not logged costs one comparison, as everywhere in `tracing`.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tracing::{
    Event, Metadata, Subscriber,
    callsite::rebuild_interest_cache,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_subscriber::{EnvFilter, Layer, layer::Context};

/// A level, from errors alone to everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The names of the levels.
pub const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

impl Level {
    /// The level with this name, in small letters.
    pub fn parse(name: &str) -> Option<Self> {
        LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
    }

    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(LEVELS[*self as usize].0)
    }
}

/// The levels that operators have set, by plugin.
static OF_PLUGINS: RwLock<BTreeMap<String, Level>> = RwLock::new(BTreeMap::new());

/// The highest of them, as a number from 1; 0 without any. So that other records need no lock.
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

/// Sets the level of one plugin's records until the host ends, or with `None` that of the host again.
pub fn set_level(plugin: &str, level: Option<Level>) {
    {
        let mut levels = OF_PLUGINS.write().unwrap_or_else(PoisonError::into_inner);
        match level {
            Some(level) => drop(levels.insert(plugin.to_owned(), level)),
            None => drop(levels.remove(plugin)),
        }
        HIGHEST.store(levels.values().max().map_or(0, |level| *level as usize + 1), Relaxed);
    }
    rebuild_interest_cache();
}

/// The level that was set for a plugin.
pub fn level_of(plugin: &str) -> Option<Level> {
    OF_PLUGINS.read().unwrap_or_else(PoisonError::into_inner).get(plugin).copied()
}

fn highest() -> LevelFilter {
    HIGHEST.load(Relaxed).checked_sub(1).map_or(LevelFilter::OFF, |at| LEVELS[at].1.filter())
}

/// The filter of the log.
pub(super) struct Levels(EnvFilter);

impl Levels {
    pub(super) fn new(host: EnvFilter) -> Self {
        Self(host)
    }
}

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if highest() == LevelFilter::OFF {
            Layer::<S>::register_callsite(&self.0, metadata)
        } else {
            Interest::sometimes()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        *metadata.level() <= highest() || self.0.enabled(metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Layer::<S>::max_level_hint(&self.0).map(|host| host.max(highest()))
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        if highest() == LevelFilter::OFF {
            return true;
        }
        let mut of_plugin = OfPlugin(None);
        event.record(&mut of_plugin);
        match of_plugin.0 {
            Some(level) => *event.metadata().level() <= level.filter(),
            None => self.0.enabled(event.metadata(), context),
        }
    }
}

/// The level of the plugin that a record is about.
struct OfPlugin(Option<Level>);

impl Visit for OfPlugin {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "plugin" {
            let mut name = String::new();
            // Writing to a string does not fail.
            let _ = write!(name, "{value:?}");
            self.0 = level_of(&name);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "plugin" {
            self.0 = level_of(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt, registry};

    /// What was logged.
    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Text {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Text {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock().expect("no panic"))).expect("text")
        }
    }

    /// Logs one record of each kind, and returns the messages that came through.
    fn log(text: &Text) -> Vec<String> {
        let shown: &dyn fmt::Display = &"level-test";
        tracing::debug!(plugin = "level-test", "debug of it");
        tracing::debug!(plugin = %shown, "shown");
        tracing::info!(plugin = "level-test", "info of it");
        tracing::debug!(plugin = "another", "debug of another");
        tracing::info!(plugin = "another", "info of another");
        tracing::debug!("debug of the host");
        tracing::info!("info of the host");
        let text = text.take();
        let message = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert!(record["timestamp"].is_string() && record["level"].is_string(), "{line}");
            record["message"].as_str().expect("a text").to_owned()
        };
        text.lines().map(message).collect()
    }

    // One test, because the levels are those of the process.
    #[test]
    fn the_level_of_a_plugin_concerns_its_records_alone_and_can_be_taken_back() {
        let text = Text::default();
        let output = tracing_subscriber::fmt::layer()
            .with_writer(text.clone())
            .fmt_fields(super::super::json::NoFields)
            .event_format(super::super::json::Json);
        let subscriber = registry().with(output).with(Levels::new(EnvFilter::new("info")));
        tracing::subscriber::with_default(subscriber, || {
            let usual = ["info of it", "info of another", "info of the host"];
            assert_eq!(log(&text), usual);
            set_level("level-test", Some(Level::Debug));
            assert_eq!(level_of("level-test"), Some(Level::Debug));
            let more = ["debug of it", "shown", "info of it", "info of another", "info of the host"];
            assert_eq!(log(&text), more);
            set_level("level-test", Some(Level::Error));
            assert_eq!(log(&text), ["info of another", "info of the host"]);
            set_level("level-test", None);
            assert_eq!(log(&text), usual);
        });
    }
}
