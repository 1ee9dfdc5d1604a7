//! Processor time (through `sysinfo`) and memory of processes.

use crate::process::memory;
use std::{collections::HashMap, time::Instant};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The usage of a group of processes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Percent of one processor, since the last measurement.
    pub cpu_percent: f64,
    /// Memory in bytes; memory that the processes share counts once.
    pub memory_bytes: u64,
}

/// Measures processes, and remembers their processor time between two measurements.
#[derive(Debug, Default)]
pub struct Meter {
    system: System,
    /// The time of the last measurement, and the processor time of each process by then, in milliseconds.
    before: Option<(Instant, HashMap<Pid, u64>)>,
}

impl Meter {
    /// The usage of each group of processes with all of their descendants, in the order of the groups. The first
    /// measurement of a process has no processor time. (sysinfo's own percentage stays 0 until its second tick of 10
    /// ms.)
    pub fn measure(&mut self, groups: &[Vec<u32>]) -> Vec<Usage> {
        let groups: Vec<Vec<Pid>> = groups
            .iter()
            .map(|group| group.iter().flat_map(|pid| memory::family(*pid)).map(Pid::from_u32).collect())
            .collect();
        let all: Vec<Pid> = groups.iter().flatten().copied().collect();
        // A process's usage includes its threads.
        let kind = ProcessRefreshKind::nothing().with_cpu().without_tasks();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&all), true, kind);
        let now = Instant::now();
        let spent: HashMap<Pid, u64> =
            all.iter().filter_map(|pid| Some((*pid, self.system.process(*pid)?.accumulated_cpu_time()))).collect();
        let (began, before) = self.before.replace((now, spent.clone())).unwrap_or((now, HashMap::new()));
        let passed = now.saturating_duration_since(began).as_secs_f64() * 1e3;
        let share = |pid: &Pid| match (before.get(pid), spent.get(pid)) {
            (Some(before), Some(spent)) if passed > 0.0 => spent.saturating_sub(*before) as f64 / passed * 100.0,
            _ => 0.0,
        };
        let sum = |group: &Vec<Pid>| {
            group.iter().fold(Usage::default(), |sum, pid| Usage {
                cpu_percent: sum.cpu_percent + share(pid),
                memory_bytes: sum.memory_bytes + memory::used_bytes(pid.as_u32()).unwrap_or_default(),
            })
        };
        groups.iter().map(sum).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn processor_time_and_memory_are_seen() {
        let (mut meter, me) = (Meter::default(), vec![vec![std::process::id()], vec![u32::MAX / 2]]);
        meter.measure(&me);
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(300) {
            std::hint::spin_loop();
        }
        let [busy, gone] = meter.measure(&me)[..] else { panic!("two groups") };
        assert!(busy.cpu_percent > 5.0 && busy.memory_bytes > 1 << 20, "{busy:?}");
        assert_eq!(gone, Usage::default());
    }
}
