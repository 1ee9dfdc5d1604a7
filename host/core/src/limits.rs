//! How much of everything a plugin may have. Each default says why; all can be set per plugin.

use std::time::Duration;

/// Limits in force for one plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Events waiting for a generation: two seconds of a very busy bot. 10,000.
    pub queue: usize,
    /// Events in flight in one generation: enough to keep a shim busy while a batch travels. 1,024.
    pub in_flight: usize,
    /// From acceptance to outcome: nobody waits longer for a chat bot. 30 s.
    pub event_deadline: Duration,
    /// From spawn to ready. 10 s.
    pub start_timeout: Duration,
    /// For all attempts of a probe (PRD). 5 s.
    pub probe_timeout: Duration,
    /// Attempts at a probe. 3.
    pub probe_attempts: u32,
    /// For an old generation to answer what it has (PRD). 30 s.
    pub drain_timeout: Duration,
    /// For each step of moving state. 2 s.
    pub handoff_timeout: Duration,
    /// How long a replaced generation stays parked. 30 s.
    pub bake: Duration,
    /// Events below which a bake proves nothing. 10.
    pub bake_min_events: u64,
    /// Share of failed events above which the slot goes back. 0.5.
    pub bake_failure_rate: f64,
    /// How long an event may be in flight before the plugin is asked for a sign of life. 2 s.
    pub heartbeat: Duration,
    /// How long it may then stay silent. 10 s.
    pub hang_timeout: Duration,
    /// Resident memory of a generation, in MB. 512.
    pub memory_mb: u64,
    /// How long a start must last to count as good. 30 s.
    pub stable_after: Duration,
    /// Starts in a row that may fail to last. 5.
    pub crash_loop_starts: u32,
    /// Crashes within an hour. 20.
    pub crash_loop_hour: usize,
    /// Before the second restart in a row. 250 ms.
    pub backoff_first: Duration,
    /// The longest wait between restarts. 30 s.
    pub backoff_max: Duration,
    /// Good artifacts kept for rollback. 5.
    pub artifacts_kept: usize,
    /// The longest reply, in bytes. 4,096.
    pub reply_bytes: usize,
    /// Lines of output a second that reach the log. 200.
    pub log_lines: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue: 10_000,
            in_flight: 1024,
            event_deadline: Duration::from_secs(30),
            start_timeout: Duration::from_secs(10),
            probe_timeout: Duration::from_secs(5),
            probe_attempts: 3,
            drain_timeout: Duration::from_secs(30),
            handoff_timeout: Duration::from_secs(2),
            bake: Duration::from_secs(30),
            bake_min_events: 10,
            bake_failure_rate: 0.5,
            heartbeat: Duration::from_secs(2),
            hang_timeout: Duration::from_secs(10),
            memory_mb: 512,
            stable_after: Duration::from_secs(30),
            crash_loop_starts: 5,
            crash_loop_hour: 20,
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            artifacts_kept: 5,
            reply_bytes: 4096,
            log_lines: 200,
        }
    }
}
