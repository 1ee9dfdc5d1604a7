//! Notices when the host itself stood still: it was stopped, the machine slept, or no processor was free. While it does
//! not run, it cannot say so; afterwards the events and the charts do.

use super::Metrics;
use crate::{
    time,
    view::mark::{MarkKind, Severity},
};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// Time between two looks at the clock.
const PULSE: Duration = Duration::from_secs(1);

/// A look that comes so much later than it should means that the host stood still.
const LEAST: Duration = Duration::from_secs(5);

/// Looks at the clock for as long as the runtime lives.
pub async fn watch(metrics: Metrics) {
    let mut before = (now(ClockId::Boottime), now(ClockId::Monotonic));
    loop {
        tokio::time::sleep(PULSE).await;
        let after = (now(ClockId::Boottime), now(ClockId::Monotonic));
        let passed = after.0.saturating_sub(before.0);
        let awake = after.1.saturating_sub(before.1);
        before = after;
        let still = passed.saturating_sub(PULSE);
        if still >= LEAST {
            let asleep = passed.saturating_sub(awake);
            let why = if asleep * 2 > still { "the machine slept" } else { "it was stopped, or got no processor" };
            let text = format!("stood still for {}: {why}", time::span(still));
            metrics.state().stood_still(still);
            metrics.mark(None, MarkKind::Host, Severity::Warning, &text);
            tracing::warn!("Rosey {text}");
        }
    }
}

/// The clock as a time since the machine started.
fn now(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    Duration::new(tv_sec.try_into().unwrap_or_default(), tv_nsec.try_into().unwrap_or_default())
}
