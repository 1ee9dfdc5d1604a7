//! Who may do what: roles, by *verified* identity. Pure.

use crate::event::{Identity, User};
use serde::Deserialize;
use std::{collections::HashMap, fmt};

/// What somebody may do; each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look.
    Viewer,
    /// Change plugins.
    Operator,
    /// Everything.
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

/// Somebody's name, and how it was verified: `console`, `system`, `account`, `token` or `nick`.
pub fn identity(user: &User) -> (&str, &'static str) {
    match &user.identity {
        Identity::Console => (&user.name, "console"),
        Identity::System(name) => (name, "system"),
        Identity::Account(name) => (name, "account"),
        Identity::Token => (&user.name, "token"),
        Identity::Unverified => (&user.name, "nick"),
    }
}

/// Where a name comes from, as it is written before a name in the configuration.
pub const SOURCES: [&str; 3] = ["console", "system", "irc"];

/// The source that a configured name is bound to, if it is bound to one: `irc:alice`.
pub fn source(name: &str) -> Option<&str> {
    name.split_once(':').map(|(source, _)| source)
}

/// Somebody, for what is kept by person.
pub(super) fn key(user: &User) -> String {
    let (name, verified) = identity(user);
    format!("{verified}:{name}")
}

/// The roles in force.
#[derive(Debug, Clone, Default)]
pub struct Permissions {
    roles: HashMap<String, Role>,
    host_user: Option<String>,
    trust_nicks: bool,
}

impl Permissions {
    /// The roles by name: a plain name holds for whoever has it in any source, `irc:alice` only for that account, and
    /// goes before the plain one. `host_user` is the system user that the host runs as: they own its process and its
    /// files, so they are the owner on the control socket unless their name has a role of its own.
    pub fn new(roles: HashMap<String, Role>, host_user: Option<String>, trust_nicks: bool) -> Self {
        Self { roles, host_user, trust_nicks }
    }

    /// What this user may do; `None` for a stranger.
    pub fn role(&self, user: &User) -> Option<Role> {
        let (name, _) = identity(user);
        let source = match &user.identity {
            Identity::Unverified if !self.trust_nicks => return None,
            // The token is as good as a place among the admins, whatever else has its name.
            Identity::Token => return Some(Role::Operator),
            Identity::Console => "console",
            Identity::System(_) => "system",
            Identity::Account(_) | Identity::Unverified => "irc",
        };
        let bound = self.roles.get(&format!("{source}:{name}"));
        let role = bound.or_else(|| self.roles.get(name).filter(|_| !name.contains(':'))).copied();
        match &user.identity {
            Identity::System(name) if self.host_user.as_ref() == Some(name) => role.or(Some(Role::Owner)),
            _ => role,
        }
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

    #[test]
    fn the_matrix_of_who_may_do_what() {
        let roles = [("alice", Role::Owner), ("bob", Role::Operator), ("eve", Role::Viewer)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let strict = Permissions::new(roles.clone().into(), Some("daemon".into()), false);
        let trusting = Permissions::new(roles.into(), Some("daemon".into()), true);
        let viewer = Query::Status(None).needs();
        let operator = Action::Reload.needs();
        let owner = Action::ForceReload.needs();
        let account = |name: &str| user("some-nick", Identity::Account(name.into()));
        let system = |name: &str| user("shell", Identity::System(name.into()));
        // who, how verified · may look · may change · may force
        let matrix = [
            (user("alice", Identity::Console), [true, true, true]),
            (account("alice"), [true, true, true]),
            (system("alice"), [true, true, true]),
            (user("bob", Identity::Console), [true, true, false]),
            (account("bob"), [true, true, false]),
            (account("eve"), [true, false, false]),
            (account("mallory"), [false, false, false]),
            // The nick of an admin over somebody else's account.
            (user("alice", Identity::Account("mallory".into())), [false, false, false]),
            (system("mallory"), [false, false, false]),
            // The system user of the host, who is not named in the configuration.
            (system("daemon"), [true, true, true]),
            (account("daemon"), [false, false, false]),
            (user("daemon", Identity::Console), [false, false, false]),
            (user("alice", Identity::Unverified), [false, false, false]),
        ];
        for (who, may) in matrix {
            let got = [viewer, operator, owner].map(|needs| strict.role(&who).is_some_and(|role| role >= needs));
            assert_eq!(got, may, "{who:?}");
        }
        assert_eq!(trusting.role(&user("bob", Identity::Unverified)), Some(Role::Operator));
        assert_eq!(trusting.role(&user("mallory", Identity::Unverified)), None);
    }

    #[test]
    fn a_name_bound_to_a_source_holds_there_alone() {
        let roles = [("console:alice", Role::Owner), ("irc:bob", Role::Operator), ("bob", Role::Viewer)];
        let roles = roles.map(|(name, role)| (name.to_owned(), role));
        let permissions = Permissions::new(roles.into(), None, true);
        let account = |name: &str| permissions.role(&user("nick", Identity::Account(name.into())));
        assert_eq!(permissions.role(&user("alice", Identity::Console)), Some(Role::Owner));
        assert_eq!(account("alice"), None, "whoever registers the account alice is nobody");
        assert_eq!(permissions.role(&user("shell", Identity::System("alice".into()))), None);
        assert_eq!(account("bob"), Some(Role::Operator));
        assert_eq!(permissions.role(&user("bob", Identity::Console)), Some(Role::Viewer));
        assert_eq!(account("console:alice"), None, "a name does not bring its source along");
        assert_eq!(permissions.role(&user("console:alice", Identity::Unverified)), None);
    }

    #[test]
    fn a_named_role_holds_for_the_hosts_user_too() {
        let roles = HashMap::from([("daemon".to_owned(), Role::Viewer)]);
        let permissions = Permissions::new(roles, Some("daemon".into()), false);
        assert_eq!(permissions.role(&user("shell", Identity::System("daemon".into()))), Some(Role::Viewer));
    }
}
