//! Events of a test that are no commands.

use super::{Answer, Bot, CONNECTOR, LIMIT_MS, memory::Place};
use crate::{Plugin, manifest::Subscription};
use regex_lite::Regex;
use rosey_wire::event::{Body, Occurrence};
use serde::Serialize;

impl<P: Plugin> Bot<P> {
    /// Says a line that is no command, and returns the answers of the handlers that hear it. Like all methods below, it
    /// panics inside a tokio runtime.
    pub fn hear(&self, line: &str) -> Vec<Answer> {
        self.heard(&self.place, line)
    }

    pub(super) fn heard(&self, place: &Place, line: &str) -> Vec<Answer> {
        let matches = |pattern: &str| {
            let regex =
                Regex::new(pattern).unwrap_or_else(|error| panic!("the regular expression {pattern:?}: {error}"));
            regex.is_match(line)
        };
        self.deliver(place, &Body::Message { text: line }, |it| it.pattern.is_empty() || matches(it.pattern))
    }

    /// A person comes into the channel.
    pub fn join(&self, user: &str) -> Vec<Answer> {
        self.person(user).join()
    }

    /// A person leaves the channel.
    pub fn part(&self, user: &str, reason: &str) -> Vec<Answer> {
        self.person(user).part(reason)
    }

    /// A person takes another name.
    pub fn nick(&self, user: &str, new: &str) -> Vec<Answer> {
        self.person(user).nick(new)
    }

    /// The channel gets another topic.
    pub fn topic(&self, text: &str) -> Vec<Answer> {
        self.deliver(&self.place, &Body::Topic { text }, |_| true)
    }

    /// Another plugin publishes something.
    ///
    /// # Panics
    /// When `payload` is not JSON.
    pub fn signal<T: Serialize + ?Sized>(&self, from: &str, topic: &str, payload: &T) -> Vec<Answer> {
        let payload = serde_json::to_vec(payload).expect("the payload is JSON");
        let body = Body::Signal { from, topic, payload: &payload, depth: 1 };
        self.deliver(&Place::default(), &body, |it| it.pattern == topic)
    }

    /// The plugin's generation becomes active.
    pub fn start(&self) -> Vec<Answer> {
        self.deliver(&Place::default(), &Body::Start, |_| true)
    }

    /// Delivers an event to each handler of its kind that `takes` accepts.
    pub(super) fn deliver(&self, place: &Place, body: &Body<'_>, takes: impl Fn(&Subscription) -> bool) -> Vec<Answer> {
        let connector = if place.channel.is_empty() { "" } else { CONNECTOR };
        let subscriptions = P::MANIFEST.subscriptions.iter().zip(0..);
        let heard = subscriptions.filter(|(it, _)| it.kind == body.kind().name() && takes(it));
        heard
            .map(|(_, handler)| {
                let (user, channel) = (&place.user, &place.channel);
                let event = Occurrence { handler, user, channel, connector, body: body.clone() };
                self.block_on(
                    self.handle(place, false, |id| self.begin(&event.clone().into_event(id, false, LIMIT_MS))),
                )
            })
            .collect()
    }
}
