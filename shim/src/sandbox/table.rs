//! A filter that decides by the number of the system call alone, in a few steps for every number.
//!
//! The kernel runs a new filter once for each call that exists, to learn which are always allowed. A list that is searched
//! from its beginning makes that take a millisecond; this one is searched by halves.

use super::calls::Call;
use seccompiler::{BpfProgram, sock_filter};

/// Numbers from here on are the same calls with 32-bit pointers, which no plugin needs: they must not be a way around.
const OTHER_ABI: u32 = 0x4000_0000;

const LOAD_WORD: u16 = 0x20;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP: u16 = 0x05;
const RETURN: u16 = 0x06;

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is made.
    Allow,
    /// It fails with this error.
    Fail(i32),
}

impl Answer {
    fn encoded(self) -> u32 {
        match self {
            Self::Allow => libc::SECCOMP_RET_ALLOW,
            Self::Fail(errno) => libc::SECCOMP_RET_ERRNO | errno.unsigned_abs(),
        }
    }
}

/// The program for these answers; a later one for the same call counts. All other calls get `otherwise`.
pub fn program(answers: impl Iterator<Item = (Call, Answer)>, otherwise: Answer) -> BpfProgram {
    let mut table: Vec<Answer> = Vec::new();
    for (call, answer) in answers {
        let Ok(at) = usize::try_from(call) else { continue };
        if table.len() <= at {
            table.resize(at + 1, otherwise);
        }
        table[at] = answer;
    }
    let unknown = [(table.len() as u32, otherwise), (OTHER_ABI, Answer::Fail(libc::ENOSYS))];
    let mut runs: Vec<(u32, Answer)> = (0..).zip(table).chain(unknown).collect();
    runs.dedup_by_key(|(_, answer)| *answer);
    let mut program = vec![instruction(LOAD_WORD, 0, 0, 0)];
    search(&runs, &mut program);
    program
}

/// Adds the search for a number among runs of the same answer. It begins in the first run or behind it.
fn search(runs: &[(u32, Answer)], program: &mut BpfProgram) {
    if let [(_, answer)] = runs {
        program.push(instruction(RETURN, 0, 0, answer.encoded()));
        return;
    }
    let (low, high) = runs.split_at(runs.len() / 2);
    program.push(instruction(JUMP_IF_AT_LEAST, 0, 1, high[0].0));
    let jump = program.len();
    program.push(instruction(JUMP, 0, 0, 0));
    search(low, program);
    program[jump].k = (program.len() - jump - 1) as u32;
    search(high, program);
}

fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel does, and counts the steps.
    fn run(program: &[sock_filter], call: u32) -> (u32, usize) {
        let (mut at, mut steps) = (0, 0);
        loop {
            let step = &program[at];
            (at, steps) = (at + 1, steps + 1);
            match step.code {
                LOAD_WORD => {}
                JUMP_IF_AT_LEAST => at += usize::from(if call >= step.k { step.jt } else { step.jf }),
                JUMP => at += step.k as usize,
                _ => return (step.k, steps),
            }
        }
    }

    #[test]
    fn every_number_gets_its_answer_in_a_few_steps() {
        let allowed = |call: Call| call % 7 < 3 || call == 334;
        let refused = |call: Call| call % 50 == 0;
        let answers = (0..400).filter(|call| allowed(*call)).map(|call| (call, Answer::Allow));
        let answers = answers.chain((0..400).filter(|call| refused(*call)).map(|call| (call, Answer::Fail(1))));
        let program = program(answers, Answer::Fail(38));
        for call in (0..1000).chain([OTHER_ABI, OTHER_ABI + 1, u32::MAX]) {
            let number = Call::from(call);
            let wanted = match number < 400 {
                true if refused(number) => Answer::Fail(1),
                true if allowed(number) => Answer::Allow,
                _ => Answer::Fail(38),
            };
            let (answer, steps) = run(&program, call);
            assert_eq!(answer, wanted.encoded(), "{call}");
            assert!(steps < 24, "{call}: {steps}");
        }
    }

    #[test]
    fn the_other_abi_is_closed_also_where_the_rest_is_open() {
        let program = program([(5, Answer::Fail(1))].into_iter(), Answer::Allow);
        let answer = |call| run(&program, call).0;
        assert_eq!(answer(4), Answer::Allow.encoded());
        assert_eq!(answer(5), Answer::Fail(1).encoded());
        assert_eq!(answer(6), Answer::Allow.encoded());
        assert_eq!(answer(OTHER_ABI + 59), Answer::Fail(38).encoded());
    }
}
