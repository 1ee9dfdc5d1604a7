//! How the events of a test end.

use crate::{Reply, Result};

/// How an event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The plugin replied.
    Replied(String),
    /// The plugin did not reply.
    Ignored,
    /// The handler failed or panicked.
    Failed {
        /// What the user reads.
        user: String,
        /// What the operator reads.
        detail: String,
    },
}

impl Answer {
    /// What the user reads: the reply, an empty text, or the apology.
    pub fn text(&self) -> &str {
        match self {
            Self::Replied(text) => text,
            Self::Ignored => "",
            Self::Failed { user, .. } => user,
        }
    }

    /// The reply.
    ///
    /// ```
    /// # use plugin_api::testing::Answer;
    /// assert_eq!(Answer::Replied("tea".into()).reply(), "tea");
    /// ```
    ///
    /// # Panics
    /// When there is none, with the operator's text of a failure.
    #[track_caller]
    pub fn reply(&self) -> &str {
        match self {
            Self::Replied(text) => text,
            Self::Ignored => panic!("the plugin did not reply"),
            Self::Failed { detail, .. } => panic!("the handler failed: {detail}"),
        }
    }
}

/// What a handler returned. The error of one that failed goes to the test's output.
#[expect(clippy::print_stderr, reason = "the test harness shows it when the test fails")]
pub(super) fn answer(result: Result<Reply>) -> Answer {
    match result {
        Ok(reply) => reply.as_text().map_or(Answer::Ignored, |text| Answer::Replied(text.to_owned())),
        Err(error) => {
            eprintln!("a handler failed: {}", error.detail());
            Answer::Failed { user: error.user().to_owned(), detail: error.detail().to_owned() }
        }
    }
}
