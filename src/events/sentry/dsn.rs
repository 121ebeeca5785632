//! A DSN and the key that a request shows (floor 2, pure): `https://KEY@host[:port][/prefix]/PROJECT`.

/// What a DSN says of who sends; where to is the sender's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsn {
    /// The public key.
    pub key: String,
    /// The project's number.
    pub project: u32,
}

impl Dsn {
    /// Reads a DSN, also one with a secret (`KEY:SECRET@`), as SDKs before 2018 have it.
    pub fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("://")?;
        let (user, place) = rest.split_once('@')?;
        let (_, project) = place.rsplit_once('/')?;
        let key = user.split_once(':').map_or(user, |(key, _)| key);
        Some(Self {
            key: key.to_owned(),
            project: project.parse().ok()?,
        })
    }
}

/// `sentry_key` of an `X-Sentry-Auth` (or `Authorization`) header: `Sentry sentry_key=…, sentry_version=7, …`.
pub fn key_of_header(header: &str) -> Option<&str> {
    let (scheme, members) = header.trim().split_once(char::is_whitespace)?;
    if !scheme.eq_ignore_ascii_case("sentry") {
        return None;
    }
    let mut members = members.split(',').filter_map(|member| member.trim().split_once('='));
    members
        .find(|(name, _)| *name == "sentry_key")
        .map(|(_, key)| key.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_has_a_key_and_a_project() {
        let of = |text: &str| Dsn::parse(text).map(|dsn| (dsn.key, dsn.project));
        assert_eq!(of("http://abc@127.0.0.1:3000/7"), Some(("abc".into(), 7)));
        assert_eq!(of("https://abc:secret@host/errors/here/12"), Some(("abc".into(), 12)));
        for wrong in [
            "",
            "abc@host/1",
            "http://host/1",
            "http://abc@host",
            "http://abc@host/",
            "http://abc@host/x",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_key_stands_in_the_header() {
        let header = "Sentry sentry_key=abc, sentry_version=7, sentry_client=sentry.python/2.75.0";
        assert_eq!(key_of_header(header), Some("abc"));
        assert_eq!(
            key_of_header("Sentry sentry_version=6,sentry_secret=s,sentry_key=abc"),
            Some("abc")
        );
        for wrong in ["", "Sentry", "Bearer abc", "Sentry sentry_version=7"] {
            assert_eq!(key_of_header(wrong), None, "{wrong}");
        }
    }
}
