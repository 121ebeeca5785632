//! A body that is one JSON object with a few known members (floor 5): read, and all that is wrong with it told at once.
//!
//! What must stay true: a member that isn't known is refused, and so is one that is named twice: what acts on data or on
//! the service must not depend on which of two values a reader takes. Used by handlers that take such a body.

use std::fmt;

use rocket::data::Data;
use rocket::http::ContentType;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::body::{expect_media_type, not_json, read_body};
use super::problem::{ApiResult, FieldError, Problem};

const MOST_BODY_BYTES: u64 = 64 << 10;
/// Longest reason that somebody gives, in bytes.
pub const LONGEST_REASON: usize = 200;

/// An object's members, and what is wrong with those that were looked at.
#[derive(Debug, Default)]
pub struct Members {
    given: Map<String, Value>,
    refusals: Vec<FieldError>,
}

impl Members {
    /// A JSON object of these members alone; no body is one without members.
    ///
    /// # Errors
    /// 400, 413, 415; 422 when it isn't an object, or names a member twice.
    pub async fn read(media: Option<&ContentType>, data: Data<'_>, allowed: &[&str]) -> ApiResult<Self> {
        expect_media_type(media, &["application/json"])?;
        Self::parse(&read_body(data, MOST_BODY_BYTES).await?, allowed)
    }

    fn parse(sent: &[u8], allowed: &[&str]) -> ApiResult<Self> {
        if sent.is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice::<Unrepeated>(sent) {
            Ok(sent) => Self::of(sent.0, allowed),
            Err(error) if error.is_data() => Err(Problem::validation(vec![FieldError::new("", error.to_string())])),
            Err(error) => Err(not_json(&error)),
        }
    }

    /// Those of a value.
    ///
    /// # Errors
    /// 422 when it isn't an object.
    pub fn of(sent: Value, allowed: &[&str]) -> ApiResult<Self> {
        let Value::Object(given) = sent else {
            return Err(Problem::validation(vec![FieldError::new("", "must be an object")]));
        };
        let unknown = given.keys().filter(|name| !allowed.contains(&name.as_str()));
        let refusals = unknown
            .map(|name| FieldError::member(name, format!("is not known; allowed: {}", allowed.join(", "))))
            .collect();
        Ok(Self { given, refusals })
    }

    /// A member, taken out.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.given.remove(name)
    }

    /// Whether there is such a member.
    pub fn has(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Notes what is wrong, with the member's pointer.
    pub fn refuse(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.refusals.push(FieldError::new(pointer, detail));
    }

    /// That nothing was wrong.
    ///
    /// # Errors
    /// 422 with all that was.
    pub fn sound(self) -> ApiResult<()> {
        if self.refusals.is_empty() {
            Ok(())
        } else {
            Err(Problem::validation(self.refusals))
        }
    }

    /// Why somebody does it; an empty one is none.
    pub fn reason(&mut self) -> Option<String> {
        self.text("reason", 0, LONGEST_REASON).filter(|text| !text.is_empty())
    }

    /// A string of so many bytes.
    pub fn text(&mut self, name: &str, shortest: usize, longest: usize) -> Option<String> {
        let detail = || format!("must be a string of {shortest} to {longest} bytes");
        self.known(name, detail, |value| match value {
            Value::String(text) if (shortest..=longest).contains(&text.len()) => Some(text),
            _ => None,
        })
    }

    /// A whole number from 1.
    pub fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        let detail = || format!("must be a whole number from 1 to {most}");
        self.known(name, detail, |value| {
            value.as_u64().filter(|number| (1..=most).contains(number))
        })
    }

    /// True or false.
    pub fn truth(&mut self, name: &str) -> Option<bool> {
        self.known(name, || "must be true or false".to_owned(), |value| value.as_bool())
    }

    /// A member as `read` takes it; what it doesn't take is refused.
    pub fn known<T>(
        &mut self,
        name: &str,
        detail: impl FnOnce() -> String,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Option<T> {
        let read = read(self.take(name)?);
        if read.is_none() {
            self.refusals.push(FieldError::member(name, detail()));
        }
        read
    }
}

/// A JSON value in which no object names a member twice.
struct Unrepeated(Value);

impl<'de> Deserialize<'de> for Unrepeated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element::<Unrepeated>()? {
            all.push(item.0);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if all.contains_key(&name) {
                return Err(A::Error::custom(format_args!("names the member {name:?} twice")));
            }
            all.insert(name, members.next_value::<Unrepeated>()?.0);
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Code;

    fn pointers(problem: &Problem) -> Vec<&str> {
        problem.errors.iter().map(|error| error.pointer.as_str()).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told() {
        let sent = br#"{"a/b~": 1, "reason": 7, "n": 0, "t": "", "yes": 1, "fine": [null, -1, 1.5, {"x": true}]}"#;
        let mut members = Members::parse(sent, &["reason", "n", "t", "yes", "fine"]).unwrap();
        assert_eq!((members.reason(), members.number("n", 5)), (None, None));
        assert_eq!((members.text("t", 1, 5), members.truth("yes")), (None, None));
        assert_eq!(
            members.take("fine"),
            Some(serde_json::json!([null, -1, 1.5, { "x": true }]))
        );
        let problem = members.sound().unwrap_err();
        assert_eq!(pointers(&problem), ["/a~1b~0", "/reason", "/n", "/t", "/yes"]);
    }

    #[test]
    fn a_member_that_is_named_twice_is_refused_wherever_it_is() {
        for sent in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":{"b":1,"\u0062":2}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
        ] {
            let problem = Members::parse(sent.as_bytes(), &["a"]).unwrap_err();
            assert_eq!(problem.code, Code::ValidationFailed, "{sent}");
            assert!(problem.detail.contains("twice"), "{}", problem.detail);
        }
        assert!(Members::parse(br#"{"a":{"b":1},"c":{"b":1}}"#, &["a", "c"]).is_ok());
    }

    #[test]
    fn no_body_is_an_object_without_members_and_other_values_are_refused() {
        assert!(!Members::parse(b"", &[]).unwrap().has("a"));
        assert_eq!(Members::parse(b"[]", &[]).unwrap_err().code, Code::ValidationFailed);
        assert_eq!(Members::parse(b"{", &[]).unwrap_err().code, Code::InvalidRequest);
        assert_eq!(Members::parse(b" ", &[]).unwrap_err().code, Code::InvalidRequest);
    }
}
