//! What a removal is asked for with (floor 6): the filters of the error list and how to go about it; a user in a body.
//!
//! What must stay true: a parameter that isn't known is refused, never ignored: it might have been meant to narrow what
//! leaves.

use rocket::data::Data;
use rocket::http::ContentType;
use serde_json::Value;

use crate::api::errors::params::{self, truth};
use crate::clock::from_epoch_ms;
use crate::events::query::Filter;
use crate::events::{Field, remove};
use crate::http::{ApiResult, FieldError, LONGEST_REASON, Members, Problem, Query};

/// What there is besides the filters.
const BESIDE: [&str; 4] = ["all", "dryRun", "confirm", "reason"];
/// What an erasure's body may hold.
const ERASING: [&str; 3] = ["userId", "dryRun", "reason"];
/// As long as a user's id may be in an event.
const LONGEST_USER: usize = 1000;

/// A purge.
pub(super) struct Purging {
    pub filter: Filter,
    /// The filter's parameters, JSON.
    pub shown: String,
    /// What was received later stays.
    pub bound_ms: i64,
    pub dry_run: bool,
    pub confirm: Option<String>,
    pub reason: Option<String>,
}

impl Purging {
    /// Reads the parameters; relative times count from now, or from the preview that is confirmed.
    ///
    /// # Errors
    /// 400 naming a parameter that is wrong or unknown; 422 without a filter, or for a token that isn't of this one.
    pub fn of(parameters: &Query, now_ms: i64) -> ApiResult<Self> {
        params::only_filters_and(parameters, &BESIDE)?;
        let flag = |name: &'static str| parameters.text(name).map_or(Ok(false), |text| truth(name, text));
        let (all, dry_run) = (flag("all")?, flag("dryRun")?);
        let confirm = parameters.text("confirm").map(str::to_owned);
        if dry_run && confirm.is_some() {
            return Err(Problem::invalid("confirm", "is not taken together with dryRun"));
        }
        let token = match &confirm {
            Some(text) => Some(remove::Token::parse(text, now_ms).ok_or_else(|| {
                refused(
                    "confirm",
                    "must be the confirm of a preview (dryRun=true) that is less than an hour old",
                )
            })?),
            None => None,
        };
        let bound_ms = token.as_ref().map_or(now_ms, remove::Token::bound_ms);
        let filter = params::filter(parameters, from_epoch_ms(bound_ms))?;
        if filter == Filter::default() && !all {
            let detail = "needs a filter such as source, group or until; all=true removes every event";
            let mut without = refused("", detail);
            without.detail = format!("A removal {detail}.");
            return Err(without);
        }
        if filter != Filter::default() && all {
            return Err(refused("all", "is not taken together with a filter"));
        }
        if token.is_some_and(|token| !token.is_of(&filter)) {
            return Err(refused(
                "confirm",
                "belongs to a preview of another filter; make one of this",
            ));
        }
        let is_shown = |name: &str| name == "all" || !BESIDE.contains(&name);
        let asked = parameters.pairs.iter().filter(|(name, _)| is_shown(name)).cloned();
        Ok(Self {
            shown: super::shown(asked),
            filter,
            bound_ms,
            dry_run,
            confirm,
            reason: reason(parameters.text("reason"))?,
        })
    }
}

fn reason(text: Option<&str>) -> ApiResult<Option<String>> {
    if text.is_some_and(|text| text.len() > LONGEST_REASON) {
        let detail = format!("must be at most {LONGEST_REASON} bytes");
        return Err(Problem::invalid("reason", detail));
    }
    Ok(text.map(str::to_owned))
}

/// The preview that is confirmed saw other groups.
pub(super) fn groups_changed() -> Problem {
    refused(
        "confirm",
        "belongs to a preview of other groups: since then some were united, parted, resolved, reopened or muted, a mute \
         ended, or one left; preview again",
    )
}

fn refused(pointer: &str, detail: &str) -> Problem {
    Problem::validation(vec![FieldError::new(pointer, detail)])
}

/// An erasure.
pub(super) struct Erasing {
    pub filter: Filter,
    pub dry_run: bool,
    pub reason: Option<String>,
}

impl Erasing {
    /// Reads the body.
    ///
    /// # Errors
    /// 400, 413, 415; 422 with all that is wrong with its members.
    pub async fn read(media: Option<&ContentType>, body: Data<'_>) -> ApiResult<Self> {
        Self::of(Members::read(media, body, &ERASING).await?)
    }

    fn of(mut body: Members) -> ApiResult<Self> {
        if !body.has("userId") {
            body.refuse("/userId", "is required");
        }
        let wrong = || format!("must be a whole number, or a string of 1 to {LONGEST_USER} bytes");
        let user = body.known("userId", wrong, |user| match user {
            Value::Number(number) if number.is_i64() => Some(number.to_string()),
            Value::String(text) if (1..=LONGEST_USER).contains(&text.len()) => Some(text),
            _ => None,
        });
        let (dry_run, reason) = (body.truth("dryRun"), body.reason());
        body.sound()?;
        Ok(Self {
            filter: Filter {
                values: user.map(|user| (Field::UserId, user)).into_iter().collect(),
                ..Filter::default()
            },
            dry_run: dry_run.unwrap_or(false),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Code;

    const NOW: i64 = 1_750_000_000_000;

    fn of(pairs: &[(&str, &str)]) -> ApiResult<Purging> {
        let pairs = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Purging::of(&Query { pairs }, NOW)
    }

    fn code(made: ApiResult<Purging>) -> Code {
        made.err().expect("refused").code
    }

    #[test]
    fn nothing_leaves_without_a_filter_or_by_a_mistyped_one() {
        assert_eq!(code(of(&[])), Code::ValidationFailed);
        assert_eq!(
            code(of(&[("all", "false"), ("dryRun", "true")])),
            Code::ValidationFailed
        );
        assert_eq!(code(of(&[("all", "true"), ("source", "x")])), Code::ValidationFailed);
        for wrong in ["sorce", "limit", "cursor", "count", "histogram"] {
            assert_eq!(
                code(of(&[("source", "x"), (wrong, "1")])),
                Code::InvalidRequest,
                "{wrong}"
            );
        }
        let all = of(&[("all", "true")]).expect("said so");
        assert_eq!(
            (all.filter, all.shown.as_str()),
            (Filter::default(), r#"{"all":"true"}"#)
        );
    }

    #[test]
    fn a_token_is_good_for_its_filter_and_an_hour() {
        let asked = [("since", "24h"), ("source", "shop")];
        let seen = of(&[&asked[..], &[("dryRun", "true")]].concat()).expect("a preview");
        let far = remove::Seen {
            bound_ms: seen.bound_ms,
            stored: 7,
            group: 3,
        };
        let token = remove::Token::of(&seen.filter, far, None, 0).to_string();
        let later = |ms: i64, asked: &[(&str, &str)]| {
            let pairs = asked.iter().copied().chain([("confirm", token.as_str())]);
            let pairs = pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            Purging::of(&Query { pairs }, NOW + ms)
        };
        let confirmed = later(60_000, &asked).expect("confirmed");
        assert_eq!((confirmed.filter, confirmed.bound_ms), (seen.filter, NOW));
        assert_eq!(code(later(60_000, &[("since", "24h")])), Code::ValidationFailed);
        assert_eq!(code(later(3_600_001, &asked)), Code::ValidationFailed);
        assert_eq!(code(of(&[("source", "x"), ("confirm", "0")])), Code::ValidationFailed);
    }

    #[test]
    fn an_erasure_names_one_user() {
        let of = |text: &str| Erasing::of(Members::of(serde_json::from_str(text).expect("JSON"), &ERASING)?);
        let user = |text: &str| of(text).expect("sound").filter.values[0].1.clone();
        assert_eq!(
            (user(r#"{"userId":42}"#), user(r#"{"userId":"42"}"#)),
            ("42".into(), "42".into())
        );
        for wrong in [
            "[]",
            "{}",
            r#"{"userId":""}"#,
            r#"{"userId":1.5}"#,
            r#"{"userId":1,"dryrun":true}"#,
        ] {
            assert_eq!(
                of(wrong).err().expect("refused").code,
                Code::ValidationFailed,
                "{wrong}"
            );
        }
    }
}
