//! Bounds what a shim may send beside its answers. A plugin that floods its link costs the other plugins little.

use rosey_core::flow::is_probe;
use rosey_wire::message::ToHost;

/// Frames within an interval that answer no event. The host asks for a handful: signs of life, metrics, a state.
const MOST_BESIDE: usize = 512;

/// Bytes of a large frame that count as one more frame.
const LARGE: usize = 128 << 10;

/// Reads that one event may make, as plugin-api bounds them.
const READS: u64 = 256;

/// Log records, refused calls, and reads beyond what events may make, within an interval. To read so many takes a few hundredths of it.
const MOST_TALK: usize = 20_000;

/// What a shim has sent since the last check of its slot.
#[derive(Debug, Default)]
pub(super) struct Intake {
    /// Events that were delivered and not answered yet, also those whose deadline has passed.
    owed: u64,
    /// Reads that the events so far have left.
    reads: u64,
    beside: usize,
    talk: usize,
}

impl Intake {
    /// Records that the shim got an event, so one answer is no surprise.
    pub fn delivered(&mut self) {
        self.owed += 1;
        self.reads += READS;
    }

    /// Counts a frame, and returns it.
    ///
    /// # Errors
    /// A text for the operator, when the shim has sent too many that the host did not ask for.
    pub fn take<'a>(&mut self, message: ToHost<'a>) -> Result<ToHost<'a>, String> {
        match &message {
            ToHost::Reply { event, .. } | ToHost::ReplyWith { event, .. } if !is_probe(*event) && self.owed > 0 => {
                self.owed -= 1;
            }
            ToHost::Call { .. } => {}
            ToHost::Log { .. } => self.talk += 1,
            ToHost::State { state, .. } => self.beside += 1 + state.len() / LARGE,
            ToHost::Metrics(json) => self.beside += 1 + json.len() / LARGE,
            _ => self.beside += 1,
        }
        if self.beside <= MOST_BESIDE {
            return Ok(message);
        }
        Err(format!("within a quarter of a second it sent {MOST_BESIDE} frames that the host had not asked for"))
    }

    /// Counts a call that the host refused.
    pub fn refused(&mut self) {
        self.talk += 1;
    }

    /// Counts a read that was answered from memory. One that waits for the store needs no count: few may wait at a time.
    pub fn read(&mut self) {
        match self.reads.checked_sub(1) {
            Some(left) => self.reads = left,
            None => self.talk += 1,
        }
    }

    /// Whether the host reads no more from this shim until the next check. What the shim says then waits in its own
    /// process.
    pub fn rests(&self) -> bool {
        self.talk >= MOST_TALK
    }

    /// Whether the next check has something to forget.
    pub fn counts(&self) -> bool {
        self.beside + self.talk > 0
    }

    /// Begins the next interval. Returns whether the host had stopped reading.
    pub fn renew(&mut self) -> bool {
        let rested = self.rests();
        (self.reads, self.beside, self.talk) = (0, 0, 0);
        rested
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::message::Answer;

    const REPLY: ToHost<'_> = ToHost::Reply { event: 7, answer: Answer::Ignored };

    #[test]
    fn an_answer_for_each_event_is_no_flood_and_one_more_for_each_is() {
        let mut intake = Intake::default();
        for _ in 0..10_000 {
            intake.delivered();
        }
        assert!((0..10_000).all(|_| intake.take(REPLY).is_ok()) && !intake.counts());
        assert!((0..MOST_BESIDE).all(|_| intake.take(REPLY).is_ok()));
        assert!(intake.take(REPLY).is_err());
    }

    #[test]
    fn a_large_state_is_taken_and_a_second_one_only_at_another_time() {
        let (mut intake, state) = (Intake::default(), vec![0; 40 << 20]);
        let state = ToHost::State { version: 1, state: &state };
        assert!(intake.take(state.clone()).is_ok() && intake.take(state.clone()).is_err());
        assert!(!intake.renew() && intake.take(state.clone()).is_ok());
    }

    #[test]
    fn an_event_may_read_much_and_a_loop_of_reads_waits() {
        let mut intake = Intake::default();
        for _ in 0..1000 {
            intake.delivered();
            (0..READS).for_each(|_| intake.read());
        }
        assert!(!intake.counts());
        (0..MOST_TALK).for_each(|_| intake.read());
        assert!(intake.rests() && intake.renew());
    }

    #[test]
    fn who_logs_too_much_waits_for_the_next_interval() {
        let mut intake = Intake::default();
        let log = ToHost::Log { level: 3, target: "", message: "" };
        while !intake.rests() {
            assert!(intake.take(log.clone()).is_ok());
        }
        assert!(intake.renew() && !intake.rests());
    }
}
