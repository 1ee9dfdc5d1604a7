//! The limits of a plugin, one row each. The rows produce the struct, the reader of the configuration, its errors, the
//! table of docs/CONFIG.md, and what pages show.

use std::time::Duration;

/// One row: everything about a limit except its value in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The name in a configuration.
    pub name: &'static str,
    /// What it limits, and why the default has its value: the doc comment of its field in [`Limits`].
    pub doc: &'static str,
    /// The unit behind a number. Empty for times and shares.
    pub unit: &'static str,
    /// The value when the configuration does not set it.
    pub default: Value,
    /// The lowest value that the configuration may set. Of the same kind as the default, like `most`.
    pub least: Value,
    /// The highest value that the configuration may set.
    pub most: Value,
}

/// The value of a limit.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Value {
    /// A whole number of things, or of MiB.
    Count(u64),
    /// A share, 0 to 1.
    Share(f64),
    /// A duration.
    Time(Duration),
}

impl Value {
    /// The value as a number: a count, a share, or seconds.
    pub fn number(self) -> f64 {
        match self {
            Self::Count(count) => count as f64,
            Self::Share(share) => share,
            Self::Time(time) => time.as_secs_f64(),
        }
    }
}

/// The types of fields in [`Limits`].
trait Field: Copy {
    fn to_value(self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

impl Field for Duration {
    fn to_value(self) -> Value {
        Value::Time(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        if let Value::Time(time) = value { Some(time) } else { None }
    }
}

impl Field for f64 {
    fn to_value(self) -> Value {
        Value::Share(self)
    }

    fn from_value(value: Value) -> Option<Self> {
        if let Value::Share(share) = value { Some(share) } else { None }
    }
}

macro_rules! count_fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn to_value(self) -> Value {
                Value::Count(self as u64)
            }

            fn from_value(value: Value) -> Option<Self> {
                if let Value::Count(count) = value { Self::try_from(count).ok() } else { None }
            }
        }
    )*};
}

count_fields!(u32, u64, usize);

macro_rules! limits {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:expr, $least:expr, $most:expr, $unit:literal;)*) => {
        /// The limits in force for one plugin.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Limits {
            $($(#[doc = $doc])* pub $name: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl Limits {
            /// All rows, in the order of the documentation.
            pub fn rows() -> Vec<Limit> {
                vec![$(Limit {
                    name: stringify!($name),
                    doc: concat!($($doc),*).trim_ascii(),
                    unit: $unit,
                    default: <$type as Field>::to_value($default),
                    least: <$type as Field>::to_value($least),
                    most: <$type as Field>::to_value($most),
                },)*]
            }

            /// The value in force of the limit with this name.
            pub fn get(&self, name: &str) -> Option<Value> {
                match name {
                    $(stringify!($name) => Some(self.$name.to_value()),)*
                    _ => None,
                }
            }

            /// The names of the limits that differ from others, in the order of the documentation.
            pub fn differences(&self, others: &Self) -> Vec<&'static str> {
                let names = [$((stringify!($name), self.$name != others.$name)),*];
                names.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
            }

            /// Sets the limit with this name. An unknown name and a value of another kind change nothing. Does not
            /// check the range.
            pub fn set(&mut self, name: &str, value: Value) {
                match name {
                    $(stringify!($name) => self.$name = Field::from_value(value).unwrap_or(self.$name),)*
                    _ => {}
                }
            }
        }
    };
}

const HOUR: Duration = Duration::from_secs(3600);

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

// A row: name and type, then default, lowest value, highest value, and unit.
limits! {
    /// Events that may wait for a generation; Rosey rejects more. The default is two seconds of a very busy bot.
    queue: usize = 10_000, 1, 1_000_000, "events";
    /// Events in flight in one generation at a time. The default keeps a shim busy while a batch travels.
    in_flight: usize = 1024, 1, 65_536, "events";
    /// Time from the acceptance of an event to its outcome. Few people wait longer than the default for a chat bot.
    event_deadline: Duration = seconds(30), millis(100), HOUR, "";
    /// Time from the start of a process until the plugin is ready.
    start_timeout: Duration = seconds(10), millis(100), seconds(600), "";
    /// Time for all attempts of a health check together.
    probe_timeout: Duration = seconds(5), millis(10), seconds(600), "";
    /// Attempts at a health check before Rosey refuses a build.
    probe_attempts: u32 = 3, 1, 100, "attempts";
    /// Time in which a replaced generation may answer what it has.
    drain_timeout: Duration = seconds(30), Duration::ZERO, HOUR, "";
    /// Time for each step that moves state from one generation to the next.
    handoff_timeout: Duration = seconds(2), millis(10), seconds(600), "";
    /// Time for a new build to say what its migration of the store changes. Events wait meanwhile, so the default is their deadline.
    migration_timeout: Duration = seconds(30), millis(10), HOUR, "";
    /// Time that a new build is on trial, while the generation before it stays parked.
    bake: Duration = seconds(30), Duration::ZERO, seconds(86_400), "";
    /// Events that a trial needs to prove anything.
    bake_min_events: u64 = 10, 1, 1_000_000, "events";
    /// Share of failed events above which Rosey rolls back a build on trial.
    bake_failure_rate: f64 = 0.5, 0.0, 1.0, "";
    /// Time that an event may be in flight before Rosey asks the plugin for a sign of life.
    heartbeat: Duration = seconds(2), millis(250), seconds(600), "";
    /// Time that a plugin may then stay silent before Rosey treats it as hanging.
    hang_timeout: Duration = seconds(10), millis(250), HOUR, "";
    /// Memory of one generation and the processes that it starts, in MiB. Pages shared with other processes count in part.
    memory_mb: u64 = 512, 1, 1_048_576, "MiB";
    /// Time that a start must last to count as good.
    stable_after: Duration = seconds(30), Duration::ZERO, HOUR, "";
    /// Starts in a row that do not last, after which the plugin has failed.
    crash_loop_starts: u32 = 5, 1, 1000, "starts in a row";
    /// Crashes within an hour, after which the plugin has failed.
    crash_loop_hour: usize = 20, 1, 100_000, "crashes an hour";
    /// Pause before the second restart in a row; each further pause is twice as long.
    backoff_first: Duration = millis(250), Duration::ZERO, HOUR, "";
    /// Longest pause between two restarts.
    backoff_max: Duration = seconds(30), Duration::ZERO, HOUR, "";
    /// Good builds that Rosey keeps to roll back to.
    artifacts_kept: usize = 5, 1, 100, "builds";
    /// Longest reply; Rosey cuts off the rest of a longer one.
    reply_bytes: usize = 4096, 16, 65_536, "bytes";
    /// Keys that the plugin may have in the store.
    store_keys: u64 = 100_000, 0, 100_000_000, "keys";
    /// Bytes that the plugin may have in the store, keys and values together.
    store_bytes: u64 = 67_108_864, 0, 1 << 40, "bytes";
    /// Timers that the plugin may have set.
    timers: u64 = 10_000, 0, 10_000_000, "timers";
    /// Bytes that the plugin may store with one timer.
    timer_bytes: usize = 4096, 0, 262_144, "bytes";
    /// Lines that the plugin says beside its answers and that wait to be sent. An event that exceeds this fails.
    lines: u64 = 1000, 0, 1_000_000, "lines";
    /// Lines a minute that the plugin may say beside its answers; ten at once, the others wait.
    lines_per_minute: u32 = 60, 1, 1_000_000, "lines a minute";
    /// Lines of output a second that reach the log; Rosey counts the others.
    log_lines: u32 = 200, 0, 100_000, "lines a second";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_has_its_default_in_its_range_and_can_be_set() {
        let (mut limits, defaults) = (Limits::default(), Limits::default());
        for row in Limits::rows() {
            assert!(row.least <= row.default && row.default <= row.most, "{row:?}");
            assert!(row.doc.ends_with('.') && row.doc.len() > 30, "{row:?}");
            assert_eq!(defaults.get(row.name), Some(row.default));
            for value in [row.least, row.most] {
                limits.set(row.name, value);
                assert_eq!(limits.get(row.name), Some(value), "{row:?}");
            }
        }
        limits.set("queue", Value::Share(0.5));
        limits.set("no such limit", Value::Count(1));
        assert_eq!((limits.queue, limits.get("no such limit")), (1_000_000, None));
    }
}
