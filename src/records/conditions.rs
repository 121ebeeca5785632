//! Conditions on a document's version (floor 2, pure): what If-Match and If-None-Match ask for.
//!
//! What must stay true: a change is judged in the transaction that makes it, against the version found there.
//! Tags were parsed by the caller: a weak tag never reaches `if_match` (strong comparison) and is a plain
//! version in `if_none_match` (weak comparison).

/// A set of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// Whatever version exists: `*`.
    Any,
    /// One of these; empty when no tag that was sent can be a version.
    OneOf(Vec<i64>),
}

impl Versions {
    fn hold(&self, current: Option<i64>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Versions::Any, Some(_)) => true,
            (Versions::OneOf(versions), Some(current)) => versions.contains(&current),
        }
    }
}

/// What a request wants the version to be, or not to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The version must be among these.
    pub if_match: Option<Versions>,
    /// The version must not be among these.
    pub if_none_match: Option<Versions>,
}

/// What a conditional read gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadVerdict {
    /// The document.
    Send,
    /// The news that the client has it already.
    NotModified,
    /// The news that it isn't the version that was asked for.
    Unmet,
}

impl Conditions {
    /// Whether a document with this version (`None`: there is none) may be changed.
    pub fn allow_change(&self, current: Option<i64>) -> bool {
        self.if_match.as_ref().is_none_or(|wanted| wanted.hold(current))
            && !self
                .if_none_match
                .as_ref()
                .is_some_and(|unwanted| unwanted.hold(current))
    }

    /// What a read of a document with this version gets.
    pub fn judge_read(&self, current: i64) -> ReadVerdict {
        let current = Some(current);
        if self.if_match.as_ref().is_some_and(|wanted| !wanted.hold(current)) {
            ReadVerdict::Unmet
        } else if self.if_none_match.as_ref().is_some_and(|known| known.hold(current)) {
            ReadVerdict::NotModified
        } else {
            ReadVerdict::Send
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(versions: Versions) -> Conditions {
        Conditions {
            if_match: Some(versions),
            if_none_match: None,
        }
    }

    fn unless(versions: Versions) -> Conditions {
        Conditions {
            if_match: None,
            if_none_match: Some(versions),
        }
    }

    #[test]
    fn changes_need_the_version_that_was_named() {
        let three = matching(Versions::OneOf(vec![1, 3]));
        assert!(three.allow_change(Some(3)));
        assert!(!three.allow_change(Some(2)));
        assert!(!three.allow_change(None));
        assert!(matching(Versions::Any).allow_change(Some(9)));
        assert!(!matching(Versions::Any).allow_change(None));
        assert!(!matching(Versions::OneOf(vec![])).allow_change(Some(1)));
        assert!(Conditions::default().allow_change(None));
    }

    #[test]
    fn create_only_refuses_what_exists() {
        assert!(unless(Versions::Any).allow_change(None));
        assert!(!unless(Versions::Any).allow_change(Some(1)));
        assert!(unless(Versions::OneOf(vec![2])).allow_change(Some(1)));
        assert!(!unless(Versions::OneOf(vec![2])).allow_change(Some(2)));
    }

    #[test]
    fn reads_are_spared_what_the_client_has() {
        assert_eq!(Conditions::default().judge_read(1), ReadVerdict::Send);
        assert_eq!(unless(Versions::OneOf(vec![1])).judge_read(1), ReadVerdict::NotModified);
        assert_eq!(unless(Versions::OneOf(vec![1])).judge_read(2), ReadVerdict::Send);
        assert_eq!(unless(Versions::Any).judge_read(2), ReadVerdict::NotModified);
        assert_eq!(matching(Versions::OneOf(vec![1])).judge_read(2), ReadVerdict::Unmet);
        let both = Conditions {
            if_match: Some(Versions::OneOf(vec![1])),
            if_none_match: Some(Versions::OneOf(vec![2])),
        };
        assert_eq!(both.judge_read(2), ReadVerdict::Unmet, "If-Match is judged first");
    }
}
