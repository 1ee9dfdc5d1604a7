//! The person and the place of an event, as `rosey.db` stores them: a timer fires, and an event is handled, long after
//! the host that accepted it has ended.

use super::{Identity, Network, Place, User, name::CaseMapping};
use serde::{Deserialize, Serialize};

/// The person and the place, as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Origin<'a> {
    #[serde(borrow)]
    user: std::borrow::Cow<'a, str>,
    identity: Kept,
    connector: String,
    channel: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Nick { network: String, case: String },
    Account { network: String, case: String, name: String },
    Nobody,
    Console,
    System(String),
    Token,
}

/// Writes the person and the place.
pub fn write(user: &User, place: &Place) -> String {
    let network = |network: &Network| (network.id.to_string(), network.case.name().to_owned());
    let identity = match &user.identity {
        Identity::Nick { network: of } => {
            let (network, case) = network(of);
            Kept::Nick { network, case }
        }
        Identity::Account { network: of, name } => {
            let (network, case) = network(of);
            Kept::Account { network, case, name: name.clone() }
        }
        Identity::Nobody => Kept::Nobody,
        Identity::Console => Kept::Console,
        Identity::System(name) => Kept::System(name.clone()),
        Identity::Token => Kept::Token,
    };
    let origin = Origin {
        user: user.name.as_str().into(),
        identity,
        connector: place.connector.to_string(),
        channel: place.channel.clone(),
    };
    serde_json::to_string(&origin).expect("strings and enums can be written as JSON")
}

/// Reads them. An unreadable text counts as no person and no channel: the event is handled all the same.
pub fn read(json: &str) -> (User, Place) {
    let Ok(origin) = serde_json::from_str::<Origin<'_>>(json) else { return (User::nobody(), Place::none()) };
    let network = |id: &str, case: &str| Network { id: id.into(), case: CaseMapping::of(case) };
    let identity = match origin.identity {
        Kept::Nick { network: id, case } => Identity::Nick { network: network(&id, &case) },
        Kept::Account { network: id, case, name } => Identity::Account { network: network(&id, &case), name },
        Kept::Nobody => Identity::Nobody,
        Kept::Console => Identity::Console,
        Kept::System(name) => Identity::System(name),
        Kept::Token => Identity::Token,
    };
    let place = Place::new(origin.connector.as_str(), origin.channel);
    (User { name: origin.user.into_owned(), identity }, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_and_where_are_read_as_they_were_written() {
        let network = Network { id: "libera".into(), case: CaseMapping::Rfc1459 };
        let identities = [
            Identity::Nick { network: network.clone() },
            Identity::Account { network, name: "al".into() },
            Identity::Nobody,
            Identity::Console,
            Identity::System("root".into()),
            Identity::Token,
        ];
        for identity in identities {
            let (user, place) = (User { name: "Al \"[1]".into(), identity }, Place::new("libera", "#dice"));
            assert_eq!(read(&write(&user, &place)), (user, place));
        }
        assert_eq!(read("garbage"), (User::nobody(), Place::none()));
    }
}
