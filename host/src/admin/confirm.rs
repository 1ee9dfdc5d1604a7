//! Questions that wait for a yes: one store for chat, the control socket and the browser, with one limit and one lifetime.
//! The audit has a record of each question that ends without a yes.

use super::{Actor, Admin, Proposal, Refusal, series::SeriesProposal, store_change::StoreProposal};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

/// Time that a question waits for its answer: enough to read it and ask a colleague.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// Most questions that wait at a time, of all people together: more than operators read in half a minute.
const MOST: usize = 64;

/// The reply to an answer that comes after the end of its question.
pub const TOO_LATE: &str = "Too late: the question is over, and nothing was done. Ask again.";

/// The person and the place of a question. Only an answer of that person in that place counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// A person in chat, a client of the control socket, a page in a browser. Each has one question at a time.
    pub who: String,
    /// A channel, or a plugin's page in a session; empty for a client of the control socket.
    pub place: String,
}

/// A question that waits for a yes.
#[derive(Debug)]
pub enum Question {
    /// A change of a plugin.
    Change(Box<Proposal>),
    /// A change of the data of a plugin.
    Store(StoreProposal),
    /// A change of several plugins.
    Each(SeriesProposal),
}

impl Question {
    /// The text for the person, which says what a yes will do.
    pub fn text(&self) -> &str {
        match self {
            Self::Change(proposal) => &proposal.question,
            Self::Store(proposal) => &proposal.question,
            Self::Each(proposal) => &proposal.question,
        }
    }
}

/// Why an answer counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unasked {
    /// The time of the question is over. Reported once: a second yes is ordinary chat.
    TooLate,
    /// No such question waits.
    Unknown,
}

/// The questions that wait, and those that expired without an answer.
#[derive(Debug)]
pub struct Pending<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    next: u64,
    waiting: HashMap<String, Waiting<T>>,
    /// People whose last question expired, until they read so once. The newest of them.
    expired: VecDeque<Asked>,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    place: String,
    question: T,
}

impl<T> Default for Pending<T> {
    fn default() -> Self {
        Self { inner: Mutex::new(Inner { next: 0, waiting: HashMap::new(), expired: VecDeque::new() }) }
    }
}

impl<T> Pending<T> {
    /// Asks a question in place of this person's last one. Returns its number, or the question when too many wait.
    fn ask(&self, asked: &Asked, question: T) -> Result<u64, T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.waiting.len() >= MOST && !inner.waiting.contains_key(&asked.who) {
            return Err(question);
        }
        inner.next += 1;
        let number = inner.next;
        inner.expired.retain(|late| late.who != asked.who);
        inner.waiting.insert(asked.who.clone(), Waiting { number, place: asked.place.clone(), question });
        Ok(number)
    }

    /// Takes the question that an answer is about. Only one caller gets it.
    fn take(&self, asked: &Asked) -> Result<T, Unasked> {
        if let Some(question) = self.remove_if(&asked.who, |waiting| waiting.place == asked.place) {
            return Ok(question);
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let late = inner.expired.iter().position(|late| late == asked);
        match late.and_then(|at| inner.expired.remove(at)) {
            Some(_) => Err(Unasked::TooLate),
            None => Err(Unasked::Unknown),
        }
    }

    /// Takes this person's question, in whichever channel, because the person gave another command.
    fn withdraw(&self, who: &str) -> Option<T> {
        self.remove_if(who, |_| true)
    }

    /// Takes the question with this number, if it still waits, because its time is over.
    fn expire(&self, asked: &Asked, number: u64) -> Option<T> {
        let question = self.remove_if(&asked.who, |waiting| waiting.number == number)?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.expired.push_back(asked.clone());
        if inner.expired.len() > MOST {
            inner.expired.pop_front();
        }
        Some(question)
    }

    fn remove_if(&self, who: &str, is_it: impl FnOnce(&Waiting<T>) -> bool) -> Option<T> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.get(who).is_some_and(is_it).then(|| inner.waiting.remove(who))?.map(|waiting| waiting.question)
    }
}

/// Completed when no answer came in time. Dropped when the question ended otherwise.
pub type Expired = oneshot::Receiver<()>;

impl Admin {
    /// Asks a question. Without an answer it ends after [`CONFIRM_WITHIN`], and the audit records that.
    ///
    /// # Errors
    ///
    /// Too many questions wait already; the audit records that, too.
    pub async fn ask(&self, actor: &Actor, asked: Asked, question: Question) -> Result<Expired, Refusal> {
        let number = match self.pending.ask(&asked, question) {
            Ok(number) => number,
            Err(question) => {
                self.drop_question(actor, &question, &Refusal::TooManyQuestions.to_string()).await;
                return Err(Refusal::TooManyQuestions);
            }
        };
        let (over, expired) = oneshot::channel();
        let (admin, actor) = (self.me.clone(), actor.clone());
        tokio::spawn(async move {
            tokio::time::sleep(CONFIRM_WITHIN).await;
            let Some(admin) = admin.upgrade() else { return };
            let Some(question) = admin.pending.expire(&asked, number) else { return };
            // The caller may have stopped waiting.
            let _ = over.send(());
            let why = format!("no answer within {} s", CONFIRM_WITHIN.as_secs());
            admin.drop_question(&actor, &question, &why).await;
        });
        Ok(expired)
    }

    /// Takes the question that a yes answers. Only one caller gets it.
    ///
    /// # Errors
    ///
    /// No such question waits, or not any more.
    pub fn confirm(&self, asked: &Asked) -> Result<Question, Unasked> {
        self.pending.take(asked)
    }

    /// Takes the question that any other answer ends. The audit records that.
    pub async fn decline(&self, actor: &Actor, asked: &Asked, why: &str) -> Option<Question> {
        let question = self.pending.take(asked).ok()?;
        self.drop_question(actor, &question, why).await;
        Some(question)
    }

    /// Takes the question of this person, in whichever place, because the person gave another command.
    pub async fn withdraw(&self, actor: &Actor, who: &str) -> Option<Question> {
        let question = self.pending.withdraw(who)?;
        self.drop_question(actor, &question, "another command came instead of an answer").await;
        Some(question)
    }

    /// Records that a question ended without a yes.
    async fn drop_question(&self, actor: &Actor, question: &Question, why: &str) {
        match question {
            Question::Change(proposal) => self.drop_change(actor, proposal, why).await,
            Question::Store(proposal) => self.drop_store_change(actor, proposal, why).await,
            Question::Each(proposal) => self.drop_series(actor, proposal, why).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(who: &str, place: &str) -> Asked {
        Asked { who: who.into(), place: place.into() }
    }

    #[test]
    fn a_question_is_answered_once_by_who_was_asked_and_where_it_was_asked() {
        let pending = Pending::default();
        pending.ask(&asked("al", "here"), "q").expect("there is room");
        assert_eq!(pending.take(&asked("bo", "here")), Err(Unasked::Unknown));
        assert_eq!(pending.take(&asked("al", "there")), Err(Unasked::Unknown));
        assert_eq!(pending.take(&asked("al", "here")), Ok("q"));
        assert_eq!(pending.take(&asked("al", "here")), Err(Unasked::Unknown));
    }

    #[test]
    fn two_admins_do_not_answer_for_each_other() {
        let pending = Pending::default();
        pending.ask(&asked("al", "here"), "al's").expect("there is room");
        pending.ask(&asked("bo", "here"), "bo's").expect("there is room");
        assert_eq!(pending.take(&asked("bo", "here")), Ok("bo's"));
        assert_eq!(pending.take(&asked("al", "here")), Ok("al's"));
    }

    #[test]
    fn a_new_question_replaces_the_old_one_and_only_the_newest_expires() {
        let (pending, here, there) = (Pending::default(), asked("al", "here"), asked("al", "there"));
        let first = pending.ask(&here, "first").expect("there is room");
        let second = pending.ask(&there, "second").expect("there is room");
        assert_eq!(pending.take(&here), Err(Unasked::Unknown));
        assert_eq!(pending.expire(&here, first), None);
        assert_eq!(pending.expire(&there, second), Some("second"));
        assert_eq!(pending.take(&here), Err(Unasked::Unknown));
        assert_eq!([pending.take(&there), pending.take(&there)], [Err(Unasked::TooLate), Err(Unasked::Unknown)]);
    }

    #[test]
    fn a_question_is_withdrawn_wherever_it_was_put() {
        let pending = Pending::default();
        pending.ask(&asked("al", "here"), "q").expect("there is room");
        assert_eq!((pending.withdraw("bo"), pending.withdraw("al")), (None, Some("q")));
        assert_eq!(pending.take(&asked("al", "here")), Err(Unasked::Unknown));
    }

    #[test]
    fn what_waits_and_what_expired_is_bounded() {
        let (pending, who) = (Pending::default(), |n: usize| asked(&n.to_string(), ""));
        let numbers: Vec<_> = (0..MOST).map(|n| pending.ask(&who(n), n).expect("there is room")).collect();
        assert_eq!(pending.ask(&who(MOST), MOST), Err(MOST), "one too many");
        let newer = pending.ask(&who(0), 0).expect("in place of its own");
        assert_eq!(pending.expire(&who(0), newer), Some(0));
        for (n, number) in numbers.into_iter().enumerate().skip(1) {
            assert_eq!(pending.expire(&who(n), number), Some(n));
        }
        let number = pending.ask(&who(MOST), MOST).expect("there is room again");
        assert_eq!(pending.expire(&who(MOST), number), Some(MOST));
        assert_eq!(pending.take(&who(0)), Err(Unasked::Unknown), "the oldest is forgotten");
        assert_eq!(pending.take(&who(1)), Err(Unasked::TooLate));
    }
}
