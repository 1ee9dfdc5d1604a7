//! Errors as people read them: all causes for the operator, and the operating system's errors in plain words.

use rustix::{
    io::Errno,
    process::{Resource, getrlimit},
};
use std::{error::Error, io};

/// The error and its causes in one line, `a: b: c`. Leaves out a cause whose text the error already has. Texts of the system
/// are as in [`os`].
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        let part = error.downcast_ref().map_or_else(|| said.clone(), os);
        if text.ends_with(&said) {
            text.truncate(text.len() - said.len());
            text.push_str(&part);
        } else if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// An error of the operating system in plain words, with what to do if something helps.
pub fn os(error: &io::Error) -> String {
    let Some(errno) = Errno::from_io_error(error) else { return error.to_string() };
    match errno {
        Errno::NOSPC | Errno::DQUOT => "the disk is full; make room".to_owned(),
        Errno::ROFS => "the file system is read-only".to_owned(),
        Errno::MFILE => {
            let most =
                getrlimit(Resource::Nofile).current.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
            format!(
                "Rosey has as many files open as it may ({most}); raise that limit: ulimit -n, or LimitNOFILE= of its unit"
            )
        }
        Errno::NFILE => "the system has as many files open as it may; raise fs.file-max".to_owned(),
        Errno::AGAIN => {
            "no more processes may be started; raise that limit: ulimit -u, or TasksMax= of its unit".to_owned()
        }
        Errno::NOMEM => "the machine is out of memory".to_owned(),
        Errno::NOENT => "it does not exist".to_owned(),
        Errno::ACCESS | Errno::PERM => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            text.rsplit_once(" (os error").map_or(text.clone(), |(words, _)| words.to_lowercase())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_is_told_without_its_numbers() {
        let text = |errno: Errno| os(&io::Error::from(errno));
        assert_eq!(text(Errno::NOSPC), "the disk is full; make room");
        assert_eq!(text(Errno::ISDIR), "is a directory");
        assert!(text(Errno::MFILE).contains("ulimit -n"), "{}", text(Errno::MFILE));
        assert_eq!(os(&io::Error::other("it is a link")), "it is a link");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] std::io::Error);

    #[test]
    fn a_chain_says_nothing_twice() {
        let chain_of = |outer| chain(&Outer(outer, std::io::Error::other("disk full")));
        assert_eq!(chain_of("cannot save"), "cannot save: disk full");
        assert_eq!(chain_of("cannot save: disk full"), "cannot save: disk full");
        let full = chain(&Outer("cannot save", Errno::NOSPC.into()));
        assert_eq!(full, "cannot save: the disk is full; make room");
        let full = chain(&Outer("cannot save: No space left on device (os error 28)", Errno::NOSPC.into()));
        assert_eq!(full, "cannot save: the disk is full; make room");
    }
}
