//! The two-person rule: for the verbs of `admin.two_person` a second person gives the same command, from wherever, and says
//! yes to the same change. Until then nothing is done.

use super::{Action, Actor, Admin, Proposal, Refusal, permission};
use crate::event::Identity;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Time that the first yes waits for the second one: enough to find a colleague.
pub const AGREE_WITHIN: Duration = Duration::from_secs(600);

/// Most changes that wait for a second person.
const MOST: usize = 64;

/// Which yes of two persons a yes is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Yes {
    /// One person is enough.
    #[default]
    Only,
    /// Another one is needed.
    First,
    /// This person has said the first one.
    Second(String),
}

impl Yes {
    /// The words behind the command, for audit and log.
    pub fn words(&self) -> String {
        if let Self::Second(first) = self { format!(", agreed with {first}") } else { String::new() }
    }
}

/// Changes with one yes, by plugin and command.
#[derive(Debug, Default)]
pub(super) struct FirstYeses {
    inner: Mutex<HashMap<(String, String), FirstYes>>,
}

#[derive(Debug)]
struct FirstYes {
    actor: Actor,
    proposal: Proposal,
    at: Instant,
}

/// A change with one yes, once it has the second or will not get it.
#[derive(Debug)]
pub(super) struct Taken {
    pub actor: Actor,
    pub proposal: Proposal,
}

/// The name of a person, the same on every connector: who is an admin there and here by one configured name is one person. All
/// holders of the dashboard's token are one person. `None` for a name that nobody has verified.
fn person(actor: &Actor) -> Option<String> {
    match &actor.user.identity {
        Identity::Nobody | Identity::Nick { .. } => None,
        Identity::Token => Some("the dashboard's token".to_owned()),
        Identity::Account { network, name } => Some(network.case.lower(name).to_lowercase()),
        Identity::Console | Identity::System(_) => Some(permission::identity(&actor.user).0.to_lowercase()),
    }
}

fn key(proposal: &Proposal) -> (String, String) {
    (proposal.plugin.clone(), proposal.command())
}

impl FirstYeses {
    /// The person who has said the first yes to this very change, if that is another one and the time is not over.
    fn other(&self, actor: &Actor, proposal: &Proposal, now: Instant) -> Option<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = inner.get(&key(proposal)).filter(|first| first.counts(actor, proposal, now))?;
        Some(first.actor.user.to_string())
    }

    /// Takes the first yes to this very change of another person.
    fn agree(&self, actor: &Actor, proposal: &Proposal, now: Instant) -> Option<Taken> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.get(&key(proposal)).filter(|first| first.counts(actor, proposal, now))?;
        inner.remove(&key(proposal)).map(|FirstYes { actor, proposal, .. }| Taken { actor, proposal })
    }

    /// Keeps a first yes in place of one to the same command. False when too many wait.
    fn keep(&self, actor: &Actor, proposal: &Proposal, now: Instant) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.len() >= MOST && !inner.contains_key(&key(proposal)) {
            return false;
        }
        inner.insert(key(proposal), FirstYes { actor: actor.clone(), proposal: proposal.clone(), at: now });
        true
    }

    /// Takes the first yes of this moment, if it still waits.
    fn expire(&self, proposal: &Proposal, at: Instant) -> Option<Taken> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.get(&key(proposal)).filter(|first| first.at == at)?;
        inner.remove(&key(proposal)).map(|FirstYes { actor, proposal, .. }| Taken { actor, proposal })
    }
}

impl FirstYes {
    fn counts(&self, actor: &Actor, proposal: &Proposal, now: Instant) -> bool {
        let persons = (person(&self.actor), person(actor));
        let are_two = matches!(&persons, (Some(one), Some(other)) if one != other);
        are_two && self.proposal.is_same_change(proposal) && now.saturating_duration_since(self.at) < AGREE_WITHIN
    }
}

impl Admin {
    /// Whether this action needs two persons.
    pub(super) fn needs_two(&self, action: Action) -> bool {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        config.two_person.iter().any(|verb| verb == action.word())
    }

    /// Adds to the question of a change that needs two persons what a yes does.
    pub(super) fn ask_for_two(&self, actor: &Actor, proposal: &mut Proposal) {
        if !self.needs_two(proposal.action) {
            return;
        }
        match self.first_yeses.other(actor, proposal, Instant::now()) {
            Some(other) => proposal.question += &format!(" {other} has said yes to that; yours is the second yes."),
            None => {
                proposal.yes = Yes::First;
                let minutes = AGREE_WITHIN.as_secs() / 60;
                proposal.question += &format!(
                    " This needs two persons: after your yes, another admin gives the same command within {minutes} min."
                );
            }
        }
    }

    /// Whether enough persons have said yes.
    ///
    /// # Errors
    /// The refusal of a first yes, which is kept.
    pub(super) fn agreed(&self, actor: &Actor, proposal: &Proposal) -> Result<Yes, Refusal> {
        if !self.needs_two(proposal.action) {
            return Ok(Yes::Only);
        }
        let now = Instant::now();
        let needs = Some(proposal.action.needs());
        let first = self.first_yeses.agree(actor, proposal, now);
        // Whoever has lost the role since has no say.
        if let Some(first) = first.filter(|first| self.permissions().role(&first.actor.user) >= needs) {
            return Ok(Yes::Second(first.actor.user.to_string()));
        }
        let (plugin, command) = (proposal.plugin.clone(), proposal.action.word());
        if person(actor).is_none() {
            return Err(Refusal::Unverified { plugin, command });
        }
        if !self.first_yeses.keep(actor, proposal, now) {
            return Err(Refusal::TooManyQuestions);
        }
        let (admin, proposal) = (self.me.clone(), proposal.clone());
        tokio::spawn(async move {
            tokio::time::sleep_until((now + AGREE_WITHIN).into()).await;
            let Some(admin) = admin.upgrade() else { return };
            let Some(taken) = admin.first_yeses.expire(&proposal, now) else { return };
            let why = format!("no second person agreed within {} min", AGREE_WITHIN.as_secs() / 60);
            admin.drop_change(&taken.actor, &taken.proposal, &why).await;
        });
        Err(Refusal::SecondPerson { plugin, command })
    }
}
