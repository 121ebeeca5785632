//! What a token allows (floor 2): scopes, what they imply, and the collection that may narrow them.
//!
//! What must stay true: the only implications are `admin` over everything and `write` over `read` of its own family;
//! `ingest` stands alone, so that an application's reporting token can't read what others reported.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// See health, statistics, errors and breakers.
    #[serde(rename = "monitor:read")]
    MonitorRead,
    /// Change groups, breakers, pools and alerts; implies `monitor:read`.
    #[serde(rename = "monitor:write")]
    MonitorWrite,
    /// Report error events.
    #[serde(rename = "ingest")]
    Ingest,
    /// Read documents.
    #[serde(rename = "data:read")]
    DataRead,
    /// Change documents; implies `data:read`.
    #[serde(rename = "data:write")]
    DataWrite,
    /// Everything.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope, in the order in which people read them.
    pub const ALL: [Scope; 6] = [
        Scope::MonitorRead,
        Scope::MonitorWrite,
        Scope::Ingest,
        Scope::DataRead,
        Scope::DataWrite,
        Scope::Admin,
    ];

    /// The name on the command line and in the token file.
    pub const fn name(self) -> &'static str {
        match self {
            Scope::MonitorRead => "monitor:read",
            Scope::MonitorWrite => "monitor:write",
            Scope::Ingest => "ingest",
            Scope::DataRead => "data:read",
            Scope::DataWrite => "data:write",
            Scope::Admin => "admin",
        }
    }

    /// Whether holding this gives `wanted`.
    pub fn implies(self, wanted: Scope) -> bool {
        self == wanted
            || matches!(
                (self, wanted),
                (Scope::Admin, _) | (Scope::MonitorWrite, Scope::MonitorRead) | (Scope::DataWrite, Scope::DataRead)
            )
    }

    /// Whether a collection can narrow it.
    pub const fn is_data(self) -> bool {
        matches!(self, Scope::DataRead | Scope::DataWrite)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Scope::ALL.into_iter().find(|scope| scope.name() == text);
        found.ok_or_else(|| {
            let names = Scope::ALL.map(Scope::name).join(", ");
            format!("{text:?} is not a scope; the scopes are {names}")
        })
    }
}

/// What a verified token allows its bearer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The token's public part, for logs.
    pub token_id: String,
    /// The name that its maker gave it.
    pub name: Option<String>,
    /// Its scopes, as granted.
    pub scopes: Vec<Scope>,
    /// The only collection that its data scopes reach; `None` is every collection.
    pub collection: Option<String>,
}

impl Grant {
    /// Whether this allows `scope`. `collection` is the one that a data request is about: `None` (a list of all
    /// collections, a batch as a whole) is refused to a token that is narrowed to one; other scopes ignore it.
    pub fn allows(&self, scope: Scope, collection: Option<&str>) -> bool {
        self.scopes.iter().any(|held| {
            held.implies(scope)
                && (*held == Scope::Admin
                    || !scope.is_data()
                    || self.collection.is_none()
                    || self.collection.as_deref() == collection)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Scope::*;
    use super::*;

    fn grant(scopes: &[Scope], collection: Option<&str>) -> Grant {
        Grant {
            token_id: "0123abcd".into(),
            name: None,
            scopes: scopes.into(),
            collection: collection.map(Into::into),
        }
    }

    #[test]
    fn implications_are_exactly_these() {
        for held in Scope::ALL {
            for wanted in Scope::ALL {
                let expected = held == wanted
                    || held == Admin
                    || (held, wanted) == (MonitorWrite, MonitorRead)
                    || (held, wanted) == (DataWrite, DataRead);
                assert_eq!(grant(&[held], None).allows(wanted, None), expected, "{held} → {wanted}");
            }
        }
    }

    #[test]
    fn a_collection_narrows_data_scopes_and_nothing_else() {
        let narrowed = grant(&[MonitorRead, DataWrite], Some("notes"));
        assert!(narrowed.allows(DataRead, Some("notes")));
        assert!(narrowed.allows(DataWrite, Some("notes")));
        assert!(!narrowed.allows(DataRead, Some("Notes")));
        assert!(!narrowed.allows(DataRead, Some("other")));
        assert!(!narrowed.allows(DataRead, None));
        assert!(narrowed.allows(MonitorRead, None));
        assert!(!narrowed.allows(MonitorWrite, None));
        assert!(grant(&[DataRead], None).allows(DataRead, Some("any")));
    }

    #[test]
    fn names_read_back_and_an_unknown_one_lists_them() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        let error = "root".parse::<Scope>().unwrap_err();
        assert!(
            error.contains("\"root\"") && error.contains("monitor:read, monitor:write"),
            "{error}"
        );
    }
}
