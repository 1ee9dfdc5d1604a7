//! Processor time and memory of the host alone.

use crate::{process::memory, view::mebibytes};
use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Measures the host, and remembers its processor time between two measurements.
#[derive(Debug, Default)]
pub struct HostMeter {
    before: Option<(Instant, f64)>,
}

impl HostMeter {
    /// Percent of one core since the last call, and MiB.
    pub fn measure(&mut self) -> (f64, f64) {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let spent = spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9;
        let now = Instant::now();
        let cpu = self.before.replace((now, spent)).map_or(0.0, |(then, before)| {
            (spent - before) / now.saturating_duration_since(then).as_secs_f64().max(0.001) * 100.0
        });
        let memory = memory::resident_bytes(std::process::id()).unwrap_or_default();
        ((cpu * 10.0).round() / 10.0, mebibytes(memory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_host_measures_itself() {
        let mut meter = HostMeter::default();
        assert_eq!(meter.measure().0, 0.0);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(50) {
            std::hint::spin_loop();
        }
        let (cpu, memory) = meter.measure();
        assert!(cpu > 1.0 && memory > 1.0, "{cpu} {memory}");
    }
}
