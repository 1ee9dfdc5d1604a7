//! Permissions: the roles of people, by *verified* identity. Pure.

use crate::event::{Identity, Network, User, name::CaseMapping};
use std::{collections::HashMap, fmt};

/// A role. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May see states, figures and versions.
    Viewer,
    /// May change plugins.
    Operator,
    /// May also do what cannot be undone, such as `force`.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Owner => "owner",
        })
    }
}

/// A person's name, and how it was verified: `console`, `system`, `account`, `token` or `nick`.
pub fn identity(user: &User) -> (&str, &'static str) {
    match &user.identity {
        Identity::Console => (&user.name, "console"),
        Identity::System(name) => (name, "system"),
        Identity::Account { name, .. } => (name, "account"),
        Identity::Token => (&user.name, "token"),
        Identity::Nick { .. } => (&user.name, "nick"),
        Identity::Nobody => (&user.name, "nobody"),
    }
}

/// The sources that a name in the configuration may begin with, besides the names of the networks.
pub const SOURCES: [&str; 3] = ["console", "system", PLAIN_NETWORK];

/// The network on which a plain name holds. On other networks another person may have registered that name.
const PLAIN_NETWORK: &str = "irc";

/// The source of a configured name such as `irc:alice`; `None` for a plain name.
pub fn source(name: &str) -> Option<&str> {
    name.split_once(':').map(|(source, _)| source)
}

/// The key of a person, for maps by person.
pub(super) fn key(user: &User) -> String {
    let (name, verified) = identity(user);
    match &user.identity {
        Identity::Account { network, .. } | Identity::Nick { network } => {
            format!("{verified}:{}:{}", network.id, network.case.lower(name))
        }
        _ => format!("{verified}:{name}"),
    }
}

/// The roles in force.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    roles: HashMap<String, Role>,
    host_user: Option<String>,
    trust_nicks: bool,
}

impl Permissions {
    /// The roles by name. A plain name holds at the console, for the system user, and on the network `irc`.
    /// `libera:alice` holds on that network alone and takes precedence over the plain name. Names on a network compare
    /// by its case mapping. `host_user` is the system user of the host: that user owns the process and its files, and
    /// so is the owner on the control socket, unless the name has another role.
    pub fn new(roles: HashMap<String, Role>, host_user: Option<String>, trust_nicks: bool) -> Self {
        Self { roles, host_user, trust_nicks }
    }

    /// The role of this user; `None` for a stranger.
    pub fn role(&self, user: &User) -> Option<Role> {
        let (name, _) = identity(user);
        match &user.identity {
            Identity::Nobody => None,
            Identity::Nick { .. } if !self.trust_nicks => None,
            Identity::Nick { network } | Identity::Account { network, .. } => self.on_network(network, name),
            // A holder of the token is an operator, even if another person has that name.
            Identity::Token => Some(Role::Operator),
            Identity::Console => self.named("console", name, None),
            Identity::System(_) => {
                let owns = self.host_user.as_deref() == Some(name);
                self.named("system", name, None).or(owns.then_some(Role::Owner))
            }
        }
    }

    /// Whether this user has at least the role with this name, which a plugin's command needs.
    pub fn has(&self, user: &User, role: &str) -> bool {
        let needed = [Role::Viewer, Role::Operator, Role::Owner].into_iter().find(|it| it.to_string() == role);
        needed.is_some_and(|needed| self.role(user) >= Some(needed))
    }

    fn on_network(&self, network: &Network, name: &str) -> Option<Role> {
        self.named(network.id.as_str(), name, Some(network.case))
    }

    /// The role of a name from this source. `case` decides which spellings are the same name; without it only equal
    /// ones are.
    fn named(&self, source: &str, name: &str, case: Option<CaseMapping>) -> Option<Role> {
        let is_plain = case.is_none() || source == PLAIN_NETWORK;
        let bound = self.find(name, case, |key| key.strip_prefix(source)?.strip_prefix(':'));
        bound.or_else(|| self.find(name, case, |key| Some(key).filter(|key| is_plain && !key.contains(':'))))
    }

    /// `written` returns the name in a configured key, if the key is of the right source.
    fn find<'a>(
        &'a self,
        name: &str,
        case: Option<CaseMapping>,
        written: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Option<Role> {
        let named = self.roles.iter().filter_map(|(key, role)| Some((written(key)?, *role)));
        let same = named.filter(|(key, _)| *key == name || case.is_some_and(|case| case.same(key, name)));
        // The exact spelling has precedence. Among other spellings the lower role counts, so that a second entry never
        // raises a role by accident.
        same.min_by_key(|(key, role)| (*key != name, *role)).map(|(_, role)| role)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::command::{Action, Query},
        *,
    };

    fn user(name: &str, identity: Identity) -> User {
        User { name: name.into(), identity }
    }

    fn network(id: &str) -> Network {
        Network { id: id.into(), case: CaseMapping::Rfc1459 }
    }

    fn on(id: &str, name: &str) -> Identity {
        Identity::Account { network: network(id), name: name.into() }
    }

    #[test]
    fn the_matrix_of_who_may_do_what() {
        let roles = [("alice", Role::Owner), ("bob", Role::Operator), ("eve", Role::Viewer)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let strict = Permissions::new(roles.clone().into(), Some("daemon".into()), false);
        let trusting = Permissions::new(roles.into(), Some("daemon".into()), true);
        let viewer = Query::Status.needs();
        let operator = Action::Reload.needs();
        let owner = Action::ForceReload.needs();
        let account = |name: &str| user("some-nick", on("irc", name));
        let system = |name: &str| user("shell", Identity::System(name.into()));
        // Columns: user and identity · may see · may change · may force
        let matrix = [
            (user("alice", Identity::Console), [true, true, true]),
            (account("alice"), [true, true, true]),
            (system("alice"), [true, true, true]),
            (user("bob", Identity::Console), [true, true, false]),
            (account("bob"), [true, true, false]),
            (account("eve"), [true, false, false]),
            (account("mallory"), [false, false, false]),
            // The nick of an admin, with another person's account.
            (user("alice", on("irc", "mallory")), [false, false, false]),
            (system("mallory"), [false, false, false]),
            // The system user of the host, whom the configuration does not name.
            (system("daemon"), [true, true, true]),
            (account("daemon"), [false, false, false]),
            (user("daemon", Identity::Console), [false, false, false]),
            (user("alice", Identity::Nick { network: network("irc") }), [false, false, false]),
        ];
        for (who, may) in matrix {
            let got = [viewer, operator, owner].map(|needs| strict.role(&who).is_some_and(|role| role >= needs));
            assert_eq!(got, may, "{who:?}");
        }
        assert_eq!(trusting.role(&user("bob", Identity::Nick { network: network("irc") })), Some(Role::Operator));
        assert_eq!(trusting.role(&user("mallory", Identity::Nick { network: network("irc") })), None);
    }

    #[test]
    fn a_name_bound_to_a_source_holds_there_alone() {
        let roles = [("console:alice", Role::Owner), ("irc:bob", Role::Operator), ("bob", Role::Viewer)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let permissions = Permissions::new(roles.into(), None, true);
        let account = |name: &str| permissions.role(&user("nick", on("irc", name)));
        assert_eq!(permissions.role(&user("alice", Identity::Console)), Some(Role::Owner));
        assert_eq!(account("alice"), None, "the account alice is another person");
        assert_eq!(permissions.role(&user("shell", Identity::System("alice".into()))), None);
        assert_eq!(account("bob"), Some(Role::Operator));
        assert_eq!(permissions.role(&user("bob", Identity::Console)), Some(Role::Viewer));
        assert_eq!(account("console:alice"), None, "a name does not bring its source along");
        assert_eq!(permissions.role(&user("console:alice", Identity::Nick { network: network("irc") })), None);
    }

    #[test]
    fn a_named_role_holds_for_the_hosts_user_too() {
        let roles = HashMap::from([("daemon".to_owned(), Role::Viewer)]);
        let permissions = Permissions::new(roles, Some("daemon".into()), false);
        assert_eq!(permissions.role(&user("shell", Identity::System("daemon".into()))), Some(Role::Viewer));
    }

    #[test]
    fn an_account_of_another_network_is_another_person() {
        let roles = [("alice", Role::Owner), ("libera:bob", Role::Operator)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let permissions = Permissions::new(roles.into(), None, true);
        let role = |identity: Identity| permissions.role(&user("alice", identity));
        assert_eq!(role(on("irc", "alice")), Some(Role::Owner));
        assert_eq!(role(on("libera", "alice")), None);
        assert_eq!(role(Identity::Nick { network: network("libera") }), None, "nor does a nick of it, if trusted");
        assert_eq!(role(on("libera", "bob")), Some(Role::Operator));
        assert_eq!(role(on("irc", "bob")), None);
        assert_ne!(key(&user("al", on("irc", "alice"))), key(&user("al", on("libera", "alice"))));
    }

    #[test]
    fn a_network_says_which_spellings_are_one_account() {
        let roles = [("irc:Alice[1]", Role::Owner), ("irc:bob", Role::Viewer), ("BOB", Role::Owner)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let permissions = Permissions::new(roles.into(), None, false);
        let role = |name: &str| permissions.role(&user("nick", on("irc", name)));
        assert_eq!(role("aLICE{1}"), Some(Role::Owner));
        assert_eq!(role("Bob"), Some(Role::Viewer), "what is bound to the network goes before the plain name");
        let ascii = Network { id: "irc".into(), case: CaseMapping::Ascii };
        let other = Identity::Account { network: ascii, name: "alice{1}".into() };
        assert_eq!(permissions.role(&user("nick", other)), None);
        assert_eq!(permissions.role(&user("bob", Identity::Console)), None, "the console's name is exact");
        assert_eq!(key(&user("x", on("irc", "Alice[1]"))), key(&user("y", on("irc", "alice{1}"))));
    }
}
