//! The checks of what surrounded an error (floor 2, pure): causes, breadcrumbs, request, user.
//!
//! What must stay true: as for every member, what is wrong is named and nothing is repaired; a header that carries a
//! credential is refused, because it must not be stored and its sender should know.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::super::context::{Breadcrumb, MAX_BREADCRUMBS, MAX_CAUSES, RequestInfo, User, is_secret_header};
use super::super::model::Exception;
use super::members::{address, any_text, integer_or_text, text, time};
use super::nested::{each, exception, object, unknown};
use super::shape::escape_pointer;
use super::{Flaw, compact};
use crate::clock::rfc3339_ms;

const MAX_HEADERS: usize = 64;

/// What caused the exception, the nearest cause first.
pub(super) fn causes(value: &RawValue) -> Result<Vec<Exception>, Vec<Flaw>> {
    each("/causes", value, MAX_CAUSES, exception)
}

/// What happened before, oldest first.
pub(super) fn breadcrumbs(value: &RawValue) -> Result<Vec<Breadcrumb>, Vec<Flaw>> {
    each("/breadcrumbs", value, MAX_BREADCRUMBS, breadcrumb)
}

fn breadcrumb(pointer: &str, value: &RawValue) -> Result<Breadcrumb, Vec<Flaw>> {
    let mut crumb = Breadcrumb::default();
    for (name, value) in object(pointer, value)? {
        if value.get() == "null" {
            continue;
        }
        let at = format!("{pointer}/{}", escape_pointer(&name));
        match name.as_ref() {
            "timestamp" => crumb.timestamp = Some(rfc3339_ms(time(&at, value)?)),
            "type" => crumb.kind = Some(text(&at, value, 64)?),
            "category" => crumb.category = Some(text(&at, value, 256)?),
            "level" => crumb.level = Some(text(&at, value, 32)?),
            "message" => crumb.message = Some(text(&at, value, super::MAX_MESSAGE_BYTES)?),
            "data" => crumb.data = Some(compact::compact(value).map_err(|d| vec![Flaw::new(at, d)])?),
            _ => {
                return Err(unknown(
                    pointer,
                    &name,
                    "timestamp, type, category, level, message, data",
                ));
            }
        }
    }
    Ok(crumb)
}

/// The request during which it happened.
pub(super) fn request(value: &RawValue) -> Result<RequestInfo, Vec<Flaw>> {
    let mut request = RequestInfo::default();
    for (name, value) in object("/request", value)? {
        if value.get() == "null" {
            continue;
        }
        match name.as_ref() {
            "method" => request.method = Some(text("/request/method", value, 32)?),
            "url" => request.url = Some(text("/request/url", value, 4096)?),
            "headers" => request.headers = headers(value)?,
            _ => return Err(unknown("/request", &name, "method, url, headers")),
        }
    }
    Ok(request)
}

fn headers(value: &RawValue) -> Result<BTreeMap<String, String>, Vec<Flaw>> {
    let pairs = object("/request/headers", value)?;
    if pairs.len() > MAX_HEADERS {
        let detail = format!("must have at most {MAX_HEADERS} members, has {}", pairs.len());
        return Err(vec![Flaw::new("/request/headers", detail)]);
    }
    let mut headers = BTreeMap::new();
    for (name, value) in pairs {
        let at = format!("/request/headers/{}", escape_pointer(&name));
        if is_secret_header(&name) {
            return Err(vec![Flaw::new(at, "carries a credential and must be left out")]);
        }
        if name.is_empty() || name.len() > 200 {
            return Err(vec![Flaw::new(at, "must have a name of 1 to 200 bytes")]);
        }
        headers.insert(name.into_owned(), any_text(&at, value, 4096)?);
    }
    Ok(headers)
}

/// The person it happened to.
pub(super) fn user(value: &RawValue) -> Result<User, Vec<Flaw>> {
    let mut user = User::default();
    for (name, value) in object("/user", value)? {
        if value.get() == "null" {
            continue;
        }
        match name.as_ref() {
            "id" => user.id = Some(integer_or_text("/user/id", value, 256)?),
            "email" => user.email = Some(text("/user/email", value, 256)?),
            "username" => user.username = Some(text("/user/username", value, 256)?),
            "ip" => user.ip = Some(address("/user/ip", value)?),
            _ => return Err(unknown("/user", &name, "id, email, username, ip")),
        }
    }
    Ok(user)
}
