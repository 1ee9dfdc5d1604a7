//! Every fuzz target survives the known inputs and mutations of them. `tests/fuzz/README.md` says how to search for
//! more.

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};
use rosey_tests::fuzz::{TARGETS, corpus};

/// One change of an input.
#[derive(Debug, Clone)]
enum Edit {
    Set(Index, u8),
    Cut(Index, Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        (at(), at()).prop_map(|(from, to)| Edit::Cut(from, to)),
        (at(), vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| Edit::Repeat(from, to)),
    ]
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        let length = bytes.len() + 1;
        let range = |a: Index, b: Index| a.index(length).min(b.index(length))..a.index(length).max(b.index(length));
        match self {
            Self::Set(at, byte) => {
                let at = at.index(length);
                bytes.splice(at..(at + 1).min(length - 1), [byte]);
            }
            Self::Cut(from, to) => drop(bytes.drain(range(from, to))),
            Self::Insert(at, new) => drop(bytes.splice(at.index(length)..at.index(length), new)),
            Self::Repeat(from, to) => bytes.extend_from_within(range(from, to)),
        }
    }
}

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = corpus(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let inputs = files.map(|file| std::fs::read(file.expect("it was listed").path()).expect("it was listed"));
    let inputs: Vec<_> = inputs.collect();
    assert!(inputs.len() >= 3, "{target} has too little to begin with");
    inputs
}

#[test]
fn every_target_survives_its_corpus_and_what_resembles_it() {
    for (name, target) in TARGETS {
        let inputs = inputs(name);
        inputs.iter().for_each(|input| target(input));
        // A thousand of each, or four times `PROPTEST_CASES`. The slowest takes half a millisecond.
        let config = ProptestConfig::default();
        let config = ProptestConfig { cases: 4 * config.cases, failure_persistence: None, ..config };
        let changed = (any::<Index>(), vec(edit(), 1..8)).prop_map(|(input, edits)| {
            let mut bytes = input.get(&inputs).clone();
            edits.into_iter().for_each(|edit| edit.apply(&mut bytes));
            bytes
        });
        let result = TestRunner::new(config).run(&changed, |bytes| {
            target(&bytes);
            Ok(())
        });
        result.unwrap_or_else(|failure| panic!("{name}: {failure}\nPut the input into {}", corpus(name).display()));
    }
}
