//! Query strings (floor 5): every parameter is known and given once, or the request is refused with what is allowed.

use rocket::request::{FromRequest, Outcome, Request};

use super::code::Code;
use super::problem::{FieldError, Problem};
use super::trace::refuse;

/// The query's parameters, decoded, in order.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Names and values.
    pub pairs: Vec<(String, String)>,
}

impl Query {
    /// Refuses what isn't known.
    ///
    /// # Errors
    /// 400 naming the unknown parameter and the allowed ones, or a parameter that was given twice.
    pub fn only(&self, allowed: &[&str]) -> Result<(), Problem> {
        let known = if allowed.is_empty() {
            "none".to_owned()
        } else {
            allowed.join(", ")
        };
        for (index, (name, _)) in self.pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(Problem::invalid(
                    name,
                    format!("is not a parameter here; allowed: {known}"),
                ));
            }
            if self.pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::invalid(name, "may be given once only"));
            }
        }
        Ok(())
    }

    /// A parameter's value.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A whole number between `min` and `max`.
    ///
    /// # Errors
    /// 400 naming the range.
    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(Problem::invalid(
                name,
                format!("must be a whole number from {min} to {max}"),
            )),
        }
    }
}

fn decoded(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let bytes = rocket::http::RawStr::new(&spaced).percent_decode();
    bytes.map(std::borrow::Cow::into_owned).map_err(|_| {
        let mut problem = Problem::new(
            Code::InvalidRequest,
            "The query string is not valid UTF-8 when decoded.",
        );
        problem
            .errors
            .push(FieldError::new(text, "is not valid UTF-8 when decoded"));
        problem
    })
}

fn parse(query: &str) -> Result<Query, Problem> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    let pairs = parts.map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decoded(name)?, decoded(value)?))
    });
    Ok(Query {
        pairs: pairs.collect::<Result<_, Problem>>()?,
    })
}

/// The request has no parameters, for handlers that know none: a mistyped or misplaced one must not be ignored.
pub struct NoParameters;

#[rocket::async_trait]
impl<'r> FromRequest<'r> for NoParameters {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let query = parse(request.uri().query().map_or("", |q| q.as_str()));
        match query.and_then(|query| query.only(&[])) {
            Ok(()) => Outcome::Success(Self),
            Err(problem) => refuse(request, problem),
        }
    }
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Query {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        match parse(request.uri().query().map_or("", |q| q.as_str())) {
            Ok(query) => Outcome::Success(query),
            Err(problem) => refuse(request, problem),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = parse("a=1&b=x%20y+z&c").expect("parses");
        assert_eq!(query.text("b"), Some("x y z"));
        assert_eq!(query.text("c"), Some(""));
        assert!(parse("a=%ff").is_err());
    }

    #[test]
    fn unknown_doubled_and_wrong_ones_are_refused_with_what_is_allowed() {
        let query = parse("limit=0&colour=red").expect("parses");
        let problem = query.only(&["limit", "cursor"]).expect_err("unknown");
        assert!(problem.detail.contains("colour") && problem.detail.contains("limit, cursor"));
        assert!(parse("a=1&a=2").expect("parses").only(&["a"]).is_err());
        let range = query.number("limit", 1, 500).expect_err("out of range");
        assert!(range.detail.contains("from 1 to 500"));
        assert_eq!(query.number("absent", 1, 5).expect("fine"), None);
    }
}
