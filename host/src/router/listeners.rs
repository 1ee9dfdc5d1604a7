//! The plugins that hear an occurrence, besides commands. Pure: `H` is a handle to a plugin.
//!
//! The expressions of all plugins are matched at once, in time that grows with the line and not with their number,
//! before any plugin gets the line. So a plugin that listens costs time for the lines that it answers, not for those
//! that it ignores.

use crate::{
    event::{Occurrence, What},
    text::expression,
};
use regex::{Regex, RegexSet, RegexSetBuilder};
use rosey_wire::{event::Kind, manifest::Manifest};
use std::{collections::BTreeMap, sync::Arc};

/// Largest set of all compiled expressions, in bytes. A thousand of the usual length take ten MiB.
const MAX_SET: usize = 64 << 20;

/// Largest table built while lines are matched, in bytes. A full table is built anew, which costs time, not memory.
const MAX_DFA: usize = 8 << 20;

/// A subscription of a plugin.
#[derive(Debug, Clone)]
struct Listener<H> {
    handle: H,
    handler: u16,
    pattern: Arc<str>,
}

/// The subscriptions of all plugins, ready for a search.
#[derive(Debug)]
pub struct Listeners<H> {
    of_kind: BTreeMap<Kind, Vec<Listener<H>>>,
    /// The subscriptions to messages with an expression, in the order of `matcher`.
    matching: Vec<Listener<H>>,
    matcher: Matcher,
}

#[derive(Debug)]
enum Matcher {
    Together(RegexSet),
    /// There are too many, or too large ones, to compile them together.
    Each(Vec<Regex>),
}

impl<H> Default for Listeners<H> {
    fn default() -> Self {
        Self { of_kind: BTreeMap::new(), matching: Vec::new(), matcher: Matcher::Each(Vec::new()) }
    }
}

impl<H: Clone> Listeners<H> {
    /// Compiles the subscriptions of these plugins. Takes some milliseconds for a hundred expressions.
    pub fn new(plugins: &[(H, Arc<Manifest>)]) -> Self {
        let (mut of_kind, mut matching) = (BTreeMap::<Kind, Vec<Listener<H>>>::new(), Vec::new());
        for (handle, manifest) in plugins {
            for (subscription, handler) in manifest.subscriptions.iter().zip(0..) {
                let listener =
                    Listener { handle: handle.clone(), handler, pattern: subscription.pattern.as_str().into() };
                match Kind::of(&subscription.kind) {
                    Some(Kind::Message) if !listener.pattern.is_empty() => matching.push(listener),
                    Some(kind) => of_kind.entry(kind).or_default().push(listener),
                    // The load of such a plugin is refused.
                    None => {}
                }
            }
        }
        let patterns = || matching.iter().map(|listener| &*listener.pattern);
        let together = RegexSetBuilder::new(patterns()).size_limit(MAX_SET).dfa_size_limit(MAX_DFA).build();
        let matcher = match together {
            Ok(set) => Matcher::Together(set),
            // The load of a plugin whose expression does not compile is refused.
            Err(_) => Matcher::Each(patterns().filter_map(|pattern| expression(pattern).ok()).collect()),
        };
        Self { of_kind, matching, matcher }
    }

    /// Whether any plugin hears events of this kind.
    pub fn hears(&self, kind: Kind) -> bool {
        self.of_kind.contains_key(&kind) || (kind == Kind::Message && !self.matching.is_empty())
    }

    /// The plugins that hear this, with the event for each.
    pub fn of(&self, what: &What) -> Vec<(H, Occurrence)> {
        let topic = match what {
            What::Signal { topic, .. } => Some(topic),
            _ => None,
        };
        let fits = |listener: &&Listener<H>| topic.is_none_or(|topic| listener.pattern == *topic);
        let of_kind = self.of_kind.get(&what.kind()).into_iter().flatten().filter(fits);
        let matching: Vec<_> = match what {
            What::Message { text } => self.matching(text),
            _ => Vec::new(),
        };
        let event = |listener: &Listener<H>| {
            let occurrence = Occurrence::new(what.clone(), listener.handler, Arc::clone(&listener.pattern));
            (listener.handle.clone(), occurrence)
        };
        of_kind.chain(matching).map(event).collect()
    }

    fn matching(&self, text: &str) -> Vec<&Listener<H>> {
        match &self.matcher {
            // Mostly none matches, and this check needs no allocation.
            Matcher::Together(set) if !set.is_match(text) => Vec::new(),
            Matcher::Together(set) => set.matches(text).into_iter().filter_map(|at| self.matching.get(at)).collect(),
            Matcher::Each(all) => {
                self.matching.iter().zip(all).filter(|(_, regex)| regex.is_match(text)).map(|(one, _)| one).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rosey_wire::manifest::Subscription;

    fn plugin(name: &'static str, subscriptions: &[(&str, &str)]) -> (&'static str, Arc<Manifest>) {
        let subscription = |(kind, pattern): &(&str, &str)| Subscription {
            kind: (*kind).to_owned(),
            pattern: (*pattern).to_owned(),
            ..Subscription::default()
        };
        let subscriptions = subscriptions.iter().map(subscription).collect();
        (name, Arc::new(Manifest { subscriptions, ..Manifest::default() }))
    }

    fn heard(listeners: &Listeners<&'static str>, what: &What) -> Vec<(&'static str, u16)> {
        listeners.of(what).into_iter().map(|(name, occurrence)| (name, occurrence.handler)).collect()
    }

    fn message(text: &str) -> What {
        What::Message { text: text.into() }
    }

    #[test]
    fn a_message_reaches_the_handlers_whose_expression_it_matches_and_no_other() {
        let all = [
            plugin("links", &[("join", ""), ("message", r"https?://\S+")]),
            plugin("tea", &[("message", "(?i)tea"), ("message", "(?i)coffee"), ("message", "tea$")]),
            plugin("all", &[("message", "")]),
        ];
        let mut listeners = Listeners::new(&all);
        for _ in 0..2 {
            assert_eq!(heard(&listeners, &message("hello")), [("all", 0)]);
            assert_eq!(heard(&listeners, &message("see http://x.y")), [("all", 0), ("links", 1)]);
            assert_eq!(heard(&listeners, &message("Coffee or tea")), [("all", 0), ("tea", 0), ("tea", 1), ("tea", 2)]);
            // As if the set were too large to be matched together.
            let patterns = listeners.matching.iter().map(|one| expression(&one.pattern).expect("it is one")).collect();
            listeners.matcher = Matcher::Each(patterns);
        }
        assert_eq!(heard(&listeners, &What::Join), [("links", 0)]);
        assert!(listeners.hears(Kind::Message) && listeners.hears(Kind::Join) && !listeners.hears(Kind::Nick));
    }

    #[test]
    fn a_signal_reaches_who_subscribes_to_its_topic() {
        let all = [plugin("a", &[("signal", "karma")]), plugin("b", &[("signal", "poll"), ("signal", "karma")])];
        let signal =
            |topic: &str| What::Signal { from: "c".into(), topic: topic.into(), payload: [][..].into(), depth: 1 };
        let listeners = Listeners::new(&all);
        assert_eq!(heard(&listeners, &signal("karma")), [("a", 0), ("b", 1)]);
        assert_eq!(heard(&listeners, &signal("kar")), []);
    }

    #[test]
    fn an_expression_is_bounded() {
        assert!(expression("(a{1000}){1000}").is_err());
        let nested = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(expression(&nested).is_err());
        assert!(expression("(a+)+$").expect("linear time").is_match(&"a".repeat(4096)));
    }
}
