//! If-Match and If-None-Match (floor 6): entity tags in, versions out.
//!
//! What must stay true: RFC 9110: If-Match compares strongly, so a weak tag in it matches nothing; If-None-Match
//! compares weakly, so there a weak tag is as good as a strong one. A tag that is well-formed but no version of
//! ours matches nothing; what is malformed is refused, never skipped, or a change would go unguarded.
use std::convert::Infallible;

use rocket::request::{FromRequest, Outcome, Request};
use serde::Serialize;

use super::once;
use crate::db::Once;
use crate::http::ApiResult;
use crate::http::Problem;
use crate::records::{Conditions, Versions};

const ALLOWED: &str = "must be * or a list of entity tags such as \"3\"";

/// The headers that a document's handlers look at.
pub struct Headers<'r> {
    request: &'r Request<'r>,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Headers<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        Outcome::Success(Self { request })
    }
}

impl Headers<'_> {
    /// The conditions; 400 naming the header when one is malformed.
    pub fn conditions(&self) -> ApiResult<Conditions> {
        Ok(Conditions {
            if_match: self.versions("If-Match", Comparison::Strong)?,
            if_none_match: self.versions("If-None-Match", Comparison::Weak)?,
        })
    }

    /// The idempotency key; 400 when it is malformed.
    pub fn once(&self, body: &impl Serialize) -> ApiResult<Option<Once>> {
        once::once(self.request, body)
    }

    /// A header that is sent several times is one list.
    fn versions(&self, name: &'static str, comparison: Comparison) -> ApiResult<Option<Versions>> {
        let mut lines = self.request.headers().get(name);
        let Some(first) = lines.next() else { return Ok(None) };
        let whole = lines.fold(first.to_owned(), |whole, line| whole + "," + line);
        parse(&whole, comparison)
            .map(Some)
            .ok_or_else(|| Problem::invalid(name, ALLOWED))
    }
}

/// How tags are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// The versions that a header's value names; `None` when it is malformed.
fn parse(value: &str, comparison: Comparison) -> Option<Versions> {
    let mut rest = value.trim_matches([' ', '\t']);
    if rest == "*" {
        return Some(Versions::Any);
    }
    let mut tags = 0;
    let mut versions = Vec::new();
    loop {
        // Empty elements of a list are legal and mean nothing.
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return (tags > 0).then_some(Versions::OneOf(versions));
        }
        let (weak, opaque, after) = tag(rest)?;
        tags += 1;
        if !(weak && comparison == Comparison::Strong) {
            versions.extend(version(opaque));
        }
        rest = after.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
    }
}

/// Splits off one entity tag: whether it is weak, what stands in its quotes, and what follows.
fn tag(text: &str) -> Option<(bool, &str, &str)> {
    let (weak, text) = match text.strip_prefix("W/") {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (opaque, after) = text.strip_prefix('"')?.split_once('"')?;
    let legal = opaque
        .bytes()
        .all(|b| b == 0x21 || (0x23..=0x7e).contains(&b) || b >= 0x80);
    legal.then_some((weak, opaque, after))
}

/// The version that a tag means: exactly as we write it, so `"03"` and `"+3"` are none.
fn version(opaque: &str) -> Option<i64> {
    opaque
        .parse::<i64>()
        .ok()
        .filter(|version| version.to_string() == opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_of(versions: &[i64]) -> Option<Versions> {
        Some(Versions::OneOf(versions.to_vec()))
    }

    #[test]
    fn tags_are_read_as_versions() {
        let strong = |value| parse(value, Comparison::Strong);
        assert_eq!(strong("\"3\""), one_of(&[3]));
        assert_eq!(strong("*"), Some(Versions::Any));
        assert_eq!(strong(" * "), Some(Versions::Any));
        assert_eq!(strong("\"1\", \"2\" ,\"3\""), one_of(&[1, 2, 3]));
        assert_eq!(strong(", ,\"1\",,\"2\", "), one_of(&[1, 2]));
    }

    #[test]
    fn weak_tags_count_only_in_weak_comparison() {
        assert_eq!(parse("W/\"3\"", Comparison::Strong), one_of(&[]));
        assert_eq!(parse("W/\"3\"", Comparison::Weak), one_of(&[3]));
        assert_eq!(parse("\"4\", W/\"3\"", Comparison::Strong), one_of(&[4]));
        assert_eq!(parse("\"4\", W/\"3\"", Comparison::Weak), one_of(&[4, 3]));
    }

    #[test]
    fn foreign_tags_are_well_formed_and_match_nothing() {
        for value in [
            "\"abc\"",
            "\"\"",
            "\"03\"",
            "\"+3\"",
            "\"3.0\"",
            "\"a,b\"",
            "\"é\"",
            "\"99999999999999999999\"",
        ] {
            assert_eq!(parse(value, Comparison::Weak), one_of(&[]), "{value}");
        }
        assert_eq!(parse("\"a,1\", \"2\"", Comparison::Weak), one_of(&[2]));
    }

    #[test]
    fn malformed_values_are_refused() {
        for value in [
            "",
            " ",
            ",",
            "3",
            "\"3",
            "3\"",
            "w/\"3\"",
            "W/3",
            "W/ \"3\"",
            "\"1\" \"2\"",
            "\"1\"2",
            "*, \"1\"",
            "\"1\", *",
            "\"1 2\"",
            "'3'",
            "**",
        ] {
            assert_eq!(parse(value, Comparison::Weak), None, "{value:?}");
        }
    }
}
