//! A report's body into events (floor 6): one object, an array, or NDJSON.
//!
//! What must stay true: large bodies are parsed off the async workers; a wrong item of a batch is the error of that item alone.

use jiff::Timestamp;
use rocket::http::ContentType;

use crate::events::ErrorEvent;
use crate::events::parse::{self, Flaw, MAX_ITEMS, Unreadable};
use crate::http::{ApiResult, Code, FieldError, Problem};

/// What says that a body has one value a line.
pub(super) const NDJSON_TYPES: [&str; 3] = ["application/x-ndjson", "application/ndjson", "application/jsonl"];
/// What a report's body may be.
pub(super) const MEDIA_TYPES: [&str; 4] = ["application/json", NDJSON_TYPES[0], NDJSON_TYPES[1], NDJSON_TYPES[2]];
/// From this size on parsing takes long enough to be felt by the other requests of a worker.
const LARGE_BODY_BYTES: usize = 128 << 10;

/// A parsed item, or what is wrong with it.
pub(super) type Item = Result<ErrorEvent, Vec<Flaw>>;

/// What a body holds.
pub(super) enum Report {
    /// One event.
    One(Box<ErrorEvent>),
    /// An array's or NDJSON's items.
    Many(Vec<Item>),
}

/// Whether the media type says one value a line.
pub(super) fn is_ndjson(media: Option<&ContentType>) -> bool {
    media.is_some_and(|media| {
        let sub = media.sub().as_str();
        ["x-ndjson", "ndjson", "jsonl"]
            .iter()
            .any(|name| sub.eq_ignore_ascii_case(name))
    })
}

/// Parses a body.
///
/// # Errors
/// 400 for malformed JSON, 413 for too many items, 422 for a single event with wrong members.
pub(super) async fn parse(body: Vec<u8>, ndjson: bool, now: Timestamp) -> ApiResult<Report> {
    if body.len() < LARGE_BODY_BYTES {
        return parse_now(&body, ndjson, now);
    }
    let parsed = tokio::task::spawn_blocking(move || parse_now(&body, ndjson, now)).await;
    parsed.unwrap_or_else(|_| Err(Problem::new(Code::Internal, "The report could not be read.")))
}

fn parse_now(body: &[u8], ndjson: bool, now: Timestamp) -> ApiResult<Report> {
    if ndjson {
        let items = parse::ndjson_items(body).map_err(unreadable)?;
        let parsed = items.into_iter().map(|line| parse::event(line?, now));
        return Ok(Report::Many(parsed.collect()));
    }
    let text = std::str::from_utf8(parse::without_mark(body)).map_err(|e| {
        Problem::new(
            Code::InvalidRequest,
            format!("The body must be UTF-8; byte {} is not.", e.valid_up_to()),
        )
    })?;
    let items = if text.trim_start().starts_with('[') {
        parse::array_items(text)
    } else {
        let item = parse::single_item(text).map_err(unreadable)?;
        let event = parse::event(item, now).map_err(|flaws| Problem::validation(field_errors(flaws)))?;
        return Ok(Report::One(Box::new(event)));
    };
    Ok(Report::Many(
        items
            .map_err(unreadable)?
            .into_iter()
            .map(|item| parse::event(item, now))
            .collect(),
    ))
}

pub(super) fn unreadable(why: Unreadable) -> Problem {
    match why {
        Unreadable::Malformed(text) => {
            Problem::new(Code::InvalidRequest, format!("The body is not valid JSON: {text}."))
        }
        Unreadable::TooMany(count) => Problem::new(
            Code::PayloadTooLarge,
            format!("One request may report at most {MAX_ITEMS} events; this one has {count}."),
        ),
    }
}

pub(super) fn field_errors(flaws: Vec<Flaw>) -> Vec<FieldError> {
    flaws
        .into_iter()
        .map(|flaw| FieldError::new(flaw.pointer, flaw.detail))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_epoch_ms;

    fn now() -> Timestamp {
        from_epoch_ms(1_750_000_000_000)
    }

    fn refused(body: &[u8], ndjson: bool) -> Problem {
        match parse_now(body, ndjson, now()) {
            Err(problem) => problem,
            Ok(_) => panic!("must be refused"),
        }
    }

    #[test]
    fn the_first_character_tells_one_from_many() {
        assert!(matches!(
            parse_now(br#" {"message":"m"}"#, false, now()),
            Ok(Report::One(_))
        ));
        assert!(matches!(
            parse_now(b"\xef\xbb\xbf{\"message\":\"m\"}", false, now()),
            Ok(Report::One(_))
        ));
        assert!(matches!(parse_now(b" [] ", false, now()), Ok(Report::Many(items)) if items.is_empty()));
        let Ok(Report::Many(items)) = parse_now(br#"[{"message":"m"},{},3]"#, false, now()) else {
            panic!("many")
        };
        assert_eq!(
            items.iter().map(Result::is_ok).collect::<Vec<_>>(),
            [true, false, false]
        );
    }

    #[test]
    fn a_malformed_line_is_its_own_error() {
        let body = b"\xef\xbb\xbf{\"message\":\"a\"}\n{\"message\":\n\n{\"message\":\"b\"}";
        let Ok(Report::Many(items)) = parse_now(body, true, now()) else {
            panic!("many")
        };
        assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    }

    #[test]
    fn a_line_that_is_not_utf_8_is_its_own_error() {
        let body = b"{\"message\":\"a\"}\r\n \xff{\"message\":\"b\"}\n{\"message\":\"c\"}";
        let Ok(Report::Many(items)) = parse_now(body, true, now()) else {
            panic!("many")
        };
        assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
        let flaws = items[1].as_ref().unwrap_err();
        assert_eq!(flaws[0].detail, "must be UTF-8; byte 0 of the line is not");
    }

    #[test]
    fn whole_bodies_are_refused_with_their_code() {
        assert_eq!(refused(b"", false).code, Code::InvalidRequest);
        assert_eq!(refused(b"{\"message\":", false).code, Code::InvalidRequest);
        assert_eq!(refused(b"[{}", false).code, Code::InvalidRequest);
        assert_eq!(refused(b"\xff", false).code, Code::InvalidRequest);
        assert_eq!(
            refused("{}\n".repeat(MAX_ITEMS + 1).as_bytes(), true).code,
            Code::PayloadTooLarge
        );
        let invalid = refused(b"{}", false);
        assert_eq!(
            (invalid.code, invalid.errors[0].pointer.as_str()),
            (Code::ValidationFailed, "/message")
        );
    }

    #[test]
    fn media_types_of_lines_are_known() {
        assert!(is_ndjson(Some(&ContentType::new("application", "x-ndjson"))));
        assert!(!is_ndjson(Some(&ContentType::JSON)) && !is_ndjson(None));
    }

    #[rocket::async_test]
    async fn large_bodies_give_the_same_as_small_ones() {
        let line = format!("{{\"message\":\"{}\"}}\n", "x".repeat(1000));
        let Ok(Report::Many(items)) = parse(line.repeat(300).into_bytes(), true, now()).await else {
            panic!("many")
        };
        assert!(items.len() == 300 && items.iter().all(Result::is_ok));
    }
}
