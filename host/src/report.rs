//! Errors on their way to people: the full chain for the operator.

use std::error::Error;

/// The error and its causes in one line, `a: b: c`, without saying anything twice.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn a_chain_says_nothing_twice() {
        let chain_of = |outer| chain(&Outer(outer, std::io::Error::other("disk full")));
        assert_eq!(chain_of("cannot save"), "cannot save: disk full");
        assert_eq!(chain_of("cannot save: disk full"), "cannot save: disk full");
    }
}
