//! What an act on groups says in its body (floor 6, pure after reading): all that is wrong with it is told at once.

use std::ops::{Deref, DerefMut};

use jiff::{SignedDuration, Timestamp};
use rocket::data::Data;
use rocket::http::ContentType;

use crate::api::errors::params::ago;
use crate::clock::epoch_ms;
use crate::events::life::{Act, InRelease, MOST_WINDOWED};
use crate::http::{ApiResult, Members};

/// As long as an event's release may be.
const LONGEST_RELEASE: usize = 200;
const MOST_EVENTS: u64 = 1_000_000;
const LONGEST_SPAN_SECONDS: u64 = 30 * 24 * 3600;

/// The members of an act's body.
pub(super) struct Body(Members);

impl Deref for Body {
    type Target = Members;

    fn deref(&self) -> &Members {
        &self.0
    }
}

impl DerefMut for Body {
    fn deref_mut(&mut self) -> &mut Members {
        &mut self.0
    }
}

impl Body {
    /// An optional JSON object with `reason` and these members alone.
    ///
    /// # Errors
    /// 400, 413, 415; 422 when it isn't an object, or names a member twice.
    pub async fn read(media: Option<&ContentType>, data: Data<'_>, allowed: &[&str]) -> ApiResult<Self> {
        let allowed: Vec<&str> = allowed.iter().copied().chain(["reason"]).collect();
        Members::read(media, data, &allowed).await.map(Self)
    }

    /// That nothing was wrong.
    ///
    /// # Errors
    /// 422 with all that was.
    pub fn sound(self) -> ApiResult<()> {
        self.0.sound()
    }

    /// `inRelease`: a release, `current` or `next`.
    pub fn resolve(&mut self) -> Act {
        let release = self.text("inRelease", 1, LONGEST_RELEASE);
        Act::Resolve(release.map(|release| match release.as_str() {
            "current" => InRelease::Current,
            "next" => InRelease::Next,
            _ => InRelease::Named(release),
        }))
    }

    /// `until`, `untilCount` and `withinSeconds`.
    pub fn mute(&mut self, now: Timestamp) -> Act {
        let until_ms = self.until(now);
        let names_span = self.has("withinSeconds");
        if names_span && !self.has("untilCount") {
            self.refuse("/withinSeconds", "wants untilCount beside it");
        }
        let most = if names_span { MOST_WINDOWED.into() } else { MOST_EVENTS };
        let count = self
            .number("untilCount", most)
            .and_then(|count| u32::try_from(count).ok());
        let span = self.number("withinSeconds", LONGEST_SPAN_SECONDS);
        let span_ms = span.and_then(|seconds| i64::try_from(seconds * 1000).ok());
        Act::Mute {
            until_ms,
            more: count.map(|count| (count, span_ms)),
        }
    }

    /// RFC 3339, or a span from now on.
    fn until(&mut self, now: Timestamp) -> Option<i64> {
        let text = self.take("until")?;
        let text = text.as_str().unwrap_or_default();
        let after = |span: SignedDuration| now.checked_add(span).ok();
        let until = text.parse::<Timestamp>().ok().or_else(|| ago(text).and_then(after));
        let until = until.filter(|until| *until > now);
        if until.is_none() {
            let allowed =
                "must be a later RFC 3339 time (2030-01-31T08:30:00Z), or a span from now such as 90s, 15m, 24h or 7d";
            self.refuse("/until", allowed);
        }
        until.map(epoch_ms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::from_epoch_ms;

    fn body(value: Value) -> Body {
        let allowed = ["inRelease", "until", "untilCount", "withinSeconds", "reason"];
        Body(Members::of(value, &allowed).unwrap())
    }

    fn refused(mut body: Body) -> Vec<String> {
        body.resolve();
        body.mute(from_epoch_ms(1_000_000));
        body.reason();
        let problem = body.sound().unwrap_err();
        problem.errors.iter().map(|error| error.pointer.clone()).collect()
    }

    #[test]
    fn a_mute_ends_at_a_time_or_after_some_events() {
        let now = from_epoch_ms(1_000_000);
        let of = |value| body(value).mute(now);
        let mute = |until_ms, more| Act::Mute { until_ms, more };
        assert_eq!(of(json!({})), mute(None, None));
        assert_eq!(of(json!({ "until": "15m" })), mute(Some(1_900_000), None));
        assert_eq!(
            of(json!({ "until": "1970-01-02T00:00:00Z" })),
            mute(Some(86_400_000), None)
        );
        let both = json!({ "untilCount": 10, "withinSeconds": 60 });
        assert_eq!(of(both), mute(None, Some((10, Some(60_000)))));
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let wrong = json!({ "inRelease": "", "until": "yesterday", "untilCount": 0, "withinSeconds": -1, "reason": 7, "a/b": 1 });
        let found = refused(body(wrong));
        assert_eq!(
            found,
            [
                "/a~1b",
                "/inRelease",
                "/until",
                "/untilCount",
                "/withinSeconds",
                "/reason"
            ]
        );
        assert_eq!(refused(body(json!({ "withinSeconds": 60 }))), ["/withinSeconds"]);
        assert_eq!(
            refused(body(json!({ "until": "1970-01-01T00:00:00Z" }))),
            ["/until"],
            "it is over"
        );
        assert_eq!(
            refused(body(json!({ "untilCount": 1001, "withinSeconds": 5 }))),
            ["/untilCount"]
        );
    }
}
