//! Open local use (floor 2): while no token exists and the server listens on loopback only, who comes from here?
//!
//! What must stay true: a web page in the operator's browser (foreign Origin, rebound Host) and a proxy in front of
//! the server (forwarding header) never get in by accident; what isn't clearly loopback is refused. A pure rule; only
//! `http` asks it, and only when it may be open at all: loopback listener and no token.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Headers, besides every `X-Forwarded-…`, that say "somebody else sent this and I pass it on".
const FORWARDING_HEADERS: [&str; 9] = [
    "Forwarded",
    "X-Real-IP",
    "Via",
    "CF-Connecting-IP",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-Host",
    "X-Original-Forwarded-For",
];

/// Whether a header of this name says that a proxy passed the request on.
pub fn is_forwarding_header(name: &str) -> bool {
    const PREFIX: &str = "x-forwarded";
    let prefixed = name
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
    prefixed || FORWARDING_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What a request shows of where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Approach<'r> {
    /// Every `Host` header (or the authority of an HTTP/2 request).
    pub hosts: &'r [&'r str],
    /// Every `Origin` header.
    pub origins: &'r [&'r str],
    /// `Sec-Fetch-Site`, by which a browser says whose page sends the request.
    pub fetch_site: Option<&'r str>,
    /// The first header present for which [`is_forwarding_header`] holds.
    pub forwarded_by: Option<&'r str>,
    /// The other end of the socket, never a header's claim.
    pub remote: Option<IpAddr>,
}

/// Why open local use was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The socket's other end is not this machine, or not known.
    #[error("the request does not come from this machine; {REMEDY}")]
    NotLocal,
    /// A proxy passed it on.
    #[error("the request has a {0} header, so a proxy passed it on; {REMEDY}")]
    Forwarded(String),
    /// No Host header, or several.
    #[error("the request must have exactly one Host header; {REMEDY}")]
    NoHost,
    /// The Host is not a loopback name.
    #[error("the Host header is not localhost, 127.0.0.1 or [::1]; {REMEDY}")]
    ForeignHost,
    /// Another site's page sent it.
    #[error("a page of another origin sent the request; {REMEDY}")]
    ForeignOrigin,
}

const REMEDY: &str = "open local use was refused; make a token with `mainstay token create` and send it";

/// Whether this request may use the open server.
///
/// # Errors
/// The first reason against it.
pub fn judge(approach: &Approach<'_>) -> Result<(), Reason> {
    if !approach
        .remote
        .is_some_and(|remote| remote.to_canonical().is_loopback())
    {
        return Err(Reason::NotLocal);
    }
    if let Some(header) = approach.forwarded_by {
        return Err(Reason::Forwarded(header.into()));
    }
    let host = match approach.hosts {
        [host] if is_loopback_authority(host) => host,
        [_] => return Err(Reason::ForeignHost),
        _ => return Err(Reason::NoHost),
    };
    // "none" is a person's own doing: typed, bookmarked.
    let own_site = approach
        .fetch_site
        .is_none_or(|site| matches!(site, "same-origin" | "none"));
    match approach.origins {
        [] if own_site => Ok(()),
        [origin] if own_site && is_page_of(host, origin) => Ok(()),
        _ => Err(Reason::ForeignOrigin),
    }
}

/// `http://` or `https://` and exactly this host: another port of this machine is another program's page.
fn is_page_of(host: &str, origin: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// `localhost`, an address of 127.0.0.0/8 in four plain parts, or `[::1]`, with or without a port. Everything else
/// is refused, also what some resolver would take for loopback: `localhost.`, `127.1`, `2130706433`, `user@localhost`.
fn is_loopback_authority(authority: &str) -> bool {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((address, port)) = bracketed.split_once(']') else {
            return false;
        };
        let address: Result<Ipv6Addr, _> = address.parse();
        return address.is_ok_and(|address| address.is_loopback()) && is_port_or_nothing(port);
    }
    let (name, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    let address: Result<Ipv4Addr, _> = name.parse();
    let is_loopback = name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback());
    is_loopback && is_port_or_nothing(port)
}

fn is_port_or_nothing(text: &str) -> bool {
    let Some(digits) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests;
