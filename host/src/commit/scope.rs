//! Names the owner of a key, as the store writes it.
//!
//! A plugin gives only the kind of a scope. The channel and the person come from the event. So a plugin can reach the
//! data only of the channel and the person of its event.

use crate::event::{Identity, Place, User};
use rosey_wire::effect::Scope;
use std::sync::Arc;

/// The store's name of this scope of an event. Without an event there is only the global scope.
pub fn name(scope: Scope, event: Option<(&Place, &User)>) -> Option<Arc<str>> {
    let channel = |place: &Place| format!("{}:{}", place.connector, place.channel);
    let of_person = matches!(scope, Scope::User | Scope::Member);
    let of_channel = matches!(scope, Scope::Channel | Scope::Member);
    // No person caused the event, or it belongs to no channel.
    let lacks = |(place, user): (&Place, &User)| {
        (of_person && user.identity == Identity::Nobody) || (of_channel && place.channel.is_empty())
    };
    if event.is_some_and(lacks) {
        return None;
    }
    Some(match (scope, event) {
        (Scope::Global, _) => "".into(),
        (Scope::Channel, Some((place, _))) => format!("channel {}", channel(place)).into(),
        (Scope::User, Some((_, user))) => format!("user {}", person(user)).into(),
        (Scope::Member, Some((place, user))) => format!("member {} {}", channel(place), person(user)).into(),
        (_, None) => return None,
    })
}

/// A person: the account if it is verified, else the nick on that network, marked so that no account has the same text.
fn person(user: &User) -> String {
    match &user.identity {
        Identity::Account { network, name } => format!("{}:account:{}", network.id, network.case.lower(name)),
        Identity::Nick { network } => format!("{}:nick:{}", network.id, network.case.lower(&user.name)),
        Identity::Nobody => String::new(),
        Identity::Console => format!("console:{}", user.name),
        Identity::System(name) => format!("system:{name}"),
        Identity::Token => "token".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Network, name::CaseMapping};

    #[test]
    fn a_nick_is_not_the_account_of_that_name() {
        let network = Network { id: "irc".into(), case: CaseMapping::Rfc1459 };
        let place = Place::new("irc", "#dice");
        let nick = User { name: "Al[1]".into(), identity: Identity::Nick { network: network.clone() } };
        let account = User { name: "x".into(), identity: Identity::Account { network, name: "Al".into() } };
        let of = |scope, user| name(scope, Some((&place, user))).map(|name| name.to_string());
        assert_eq!(of(Scope::Global, &nick).as_deref(), Some(""));
        assert_eq!(of(Scope::Channel, &nick).as_deref(), Some("channel irc:#dice"));
        assert_eq!(of(Scope::User, &nick).as_deref(), Some("user irc:nick:al{1}"));
        assert_eq!(of(Scope::User, &account).as_deref(), Some("user irc:account:al"));
        assert_eq!(of(Scope::Member, &account).as_deref(), Some("member irc:#dice irc:account:al"));
        assert_eq!(name(Scope::User, None), None);
        let start = (Place::none(), User::nobody());
        for scope in [Scope::User, Scope::Channel, Scope::Member] {
            assert_eq!(name(scope, Some((&start.0, &start.1))), None);
        }
        assert_eq!(name(Scope::Channel, Some((&place, &start.1))).as_deref(), Some("channel irc:#dice"));
    }
}
