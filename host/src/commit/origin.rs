//! Who set a timer, and where, as the database has it: the event that the timer becomes has the same person and place, and so
//! the same scopes.

use crate::event::{Identity, Network, Place, User, name::CaseMapping};
use serde::{Deserialize, Serialize};

/// One origin, as JSON has it.
#[derive(Serialize, Deserialize)]
struct Origin {
    user: String,
    identity: Who,
    connector: String,
    channel: String,
}

/// An [`Identity`], as JSON has it.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Who {
    Nick { network: String, case: String },
    Console,
    System { name: String },
    Token,
    Account { network: String, case: String, name: String },
}

/// The text of an origin.
pub fn write(place: &Place, user: &User) -> String {
    let network = |network: &Network| (network.id.to_string(), network.case.name().to_owned());
    let identity = match &user.identity {
        Identity::Nick { network: it } => {
            let (network, case) = network(it);
            Who::Nick { network, case }
        }
        Identity::Account { network: it, name } => {
            let (network, case) = network(it);
            Who::Account { network, case, name: name.clone() }
        }
        Identity::Console => Who::Console,
        Identity::System(name) => Who::System { name: name.clone() },
        Identity::Token => Who::Token,
    };
    let (connector, channel) = (place.connector.to_string(), place.channel.clone());
    // Texts in structs always are JSON.
    serde_json::to_string(&Origin { user: user.name.clone(), identity, connector, channel }).unwrap_or_default()
}

/// The place and the person of a text that [`write`] made; nothing where there is neither.
pub fn read(text: &str) -> Option<(Place, User)> {
    let Origin { user, identity, connector, channel } = serde_json::from_str(text).ok()?;
    let network = |id: String, case: &str| Network { id: id.as_str().into(), case: CaseMapping::of(case) };
    let identity = match identity {
        Who::Nick { network: id, case } => Identity::Nick { network: network(id, &case) },
        Who::Account { network: id, case, name } => Identity::Account { network: network(id, &case), name },
        Who::Console => Identity::Console,
        Who::System { name } => Identity::System(name),
        Who::Token => Identity::Token,
    };
    Some((Place::new(connector.as_str(), channel), User { name: user, identity }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_read_as_it_was_written() {
        let network = Network { id: "libera".into(), case: CaseMapping::StrictRfc1459 };
        let place = Place::new("libera", "#tea");
        for identity in [
            Identity::Nick { network: network.clone() },
            Identity::Account { network, name: "al".into() },
            Identity::Console,
            Identity::System("root".into()),
            Identity::Token,
        ] {
            let user = User { name: "Al \"x\"".into(), identity };
            assert_eq!(read(&write(&place, &user)), Some((Place::new("libera", "#tea"), user)));
        }
        assert_eq!(read(""), None);
    }
}
