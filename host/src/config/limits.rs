//! Limits as they stand in a file.

use crate::settings::Section;
use rosey_core::limits::Limits;
use std::time::Duration;

/// Makes a struct of optional limits, each with its range, and the merge into [`Limits`].
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $kind:ident in $range:expr;)*) => {
        /// Limits as written: those left out stay as they are.
        #[derive(Debug, Clone, Default)]
            pub struct LimitsConfig {
            $($(#[$doc])* pub $name: Option<limits!(@type $kind)>,)*
        }

        impl LimitsConfig {
            /// Takes the limits that are set from a table of a file.
            pub fn read(section: &mut Section<'_>) -> Self {
                Self { $($name: section.get_within(stringify!($name), $range),)* }
            }

            /// Puts what is set into `limits`.
            pub fn apply(&self, limits: &mut Limits) {
                $(limits.$name = self.$name.unwrap_or(limits.$name);)*
            }

            /// The names of all limits.
            #[cfg(test)]
            pub const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
    (@type count) => { usize };
    (@type number) => { u64 };
    (@type small) => { u32 };
    (@type share) => { f64 };
    (@type time) => { Duration };
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

limits! {
    /// Events waiting for a generation.
    queue: count in 1..=1_000_000;
    /// Events in flight in one generation.
    in_flight: count in 1..=65_536;
    /// From acceptance to outcome.
    event_deadline: time in ms(100)..=ms(3_600_000);
    /// From spawn to ready.
    start_timeout: time in ms(100)..=ms(600_000);
    /// For all attempts of a probe.
    probe_timeout: time in ms(10)..=ms(600_000);
    /// Attempts at a probe.
    probe_attempts: small in 1..=100;
    /// For an old generation to answer what it has.
    drain_timeout: time in ms(0)..=ms(3_600_000);
    /// For each step of moving state.
    handoff_timeout: time in ms(10)..=ms(600_000);
    /// How long a replaced generation stays parked.
    bake: time in ms(0)..=ms(86_400_000);
    /// Events below which a bake proves nothing.
    bake_min_events: number in 1..=1_000_000;
    /// Share of failed events above which the slot goes back.
    bake_failure_rate: share in 0.0..=1.0;
    /// How long an event may be in flight before a sign of life is asked for.
    heartbeat: time in ms(250)..=ms(600_000);
    /// How long a plugin may then stay silent.
    hang_timeout: time in ms(250)..=ms(3_600_000);
    /// Resident memory of a generation, in MB.
    memory_mb: number in 1..=1_048_576;
    /// How long a start must last to count as good.
    stable_after: time in ms(0)..=ms(3_600_000);
    /// Starts in a row that may fail to last.
    crash_loop_starts: small in 1..=1000;
    /// Crashes within an hour.
    crash_loop_hour: count in 1..=100_000;
    /// Before the second restart in a row.
    backoff_first: time in ms(0)..=ms(3_600_000);
    /// The longest wait between restarts.
    backoff_max: time in ms(0)..=ms(3_600_000);
    /// Good artifacts kept for rollback.
    artifacts_kept: count in 1..=100;
    /// The longest reply, in bytes.
    reply_bytes: count in 16..=65_536;
    /// Lines of output a second that reach the log.
    log_lines: small in 0..=100_000;
}
