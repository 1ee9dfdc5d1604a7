//! Which answers of a plugin wait for each other, as its commands declare it.

use crate::event::Event;
use rosey_wire::manifest::{Command, Manifest, Order};
use std::collections::HashMap;

/// The commands whose order is not the usual one.
#[derive(Debug, Default)]
pub(super) struct Orders(HashMap<String, Command>);

impl Orders {
    /// Uses the orders of this manifest for events that are accepted from now on.
    pub(super) fn go_by(&mut self, manifest: &Manifest) {
        let is_unusual = |command: &Command| command.order != Order::User;
        let unusual = manifest.commands.iter().filter(|it| is_unusual(it) || it.subcommands.iter().any(is_unusual));
        let named = |command: &Command| {
            let names: Vec<_> = std::iter::once(&command.name).chain(&command.aliases).cloned().collect();
            names.into_iter().map(|name| (name, command.clone())).collect::<Vec<_>>()
        };
        self.0 = unusual.flat_map(named).collect();
    }

    /// The key of the order of this event's answer. See [`Event::order_key`].
    #[inline]
    pub(super) fn key(&self, event: &Event) -> Option<u64> {
        let called = if self.0.is_empty() { None } else { event.command() };
        let order = called.and_then(|called| {
            let command = self.0.get(called.name())?;
            Some(command.subcommand(called.args()).unwrap_or(command).order)
        });
        event.order_key(order.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Identity, Place, ReplyTo, User};

    #[test]
    fn a_command_and_each_of_its_subcommands_has_its_own_order() {
        let of = |name: &str, order| Command { name: name.into(), order, ..Command::default() };
        let quiz = Command {
            aliases: vec!["q".into()],
            subcommands: vec![of("score", Order::User), of("look-up", Order::None)],
            ..of("quiz", Order::Channel)
        };
        let mut orders = Orders::default();
        let key = |orders: &Orders, user: &str, line: &str| {
            let user = User { name: user.into(), identity: Identity::Console };
            orders.key(&Event::new(line, user.into(), Place::new("console", "#tea").into(), ReplyTo::Nowhere))
        };
        let all_alike = |orders: &Orders, line: &str| key(orders, "al", line) == key(orders, "bo", line);
        assert!(!all_alike(&orders, "!quiz"), "nothing is known yet");
        orders.go_by(&Manifest { commands: vec![quiz, of("roll", Order::User)], ..Manifest::default() });
        assert!(all_alike(&orders, "!quiz 1") && all_alike(&orders, "!q 1"));
        assert_eq!(key(&orders, "al", "!quiz look-up tea"), None);
        for line in ["!quiz score", "!q SCORE", "!roll"] {
            assert_eq!(key(&orders, "al", line), key(&Orders::default(), "al", line), "{line}");
            assert!(!all_alike(&orders, line), "{line}");
        }
        orders.go_by(&Manifest::default());
        assert!(!all_alike(&orders, "!quiz"), "the new build does not declare it");
    }
}
