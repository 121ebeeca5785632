//! The dashboard's session (floor 6): a token kept in a same-site HttpOnly cookie.
//!
//! What must stay true: the cookie is never readable by a script and never sent by another site's page; signing in
//! with a wrong token counts as a failed try, and another site's page can't sign in.

use rocket::data::Data;
use rocket::http::{Cookie, CookieJar, SameSite, Status};
use rocket::request::{FromRequest, Outcome};
use rocket::serde::json::Json;
use rocket::{Request, Route, State, delete, get, post, routes};
use serde_json::{Value, json};

use crate::http::body::{expect_media_type, parse_json, read_body};
use crate::http::{ApiResult, Door, FieldError, Problem, SESSION_COOKIE, refuse_foreign_page};

const MOST_BODY_BYTES: u64 = 4096;

/// The request itself, for the door's count of failed tries.
struct Knock<'r>(&'r Request<'r>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Knock<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        Outcome::Success(Self(request))
    }
}

fn cookie(value: String, secure: bool) -> Cookie<'static> {
    Cookie::build((SESSION_COOKIE, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .build()
}

/// `GET /api/session`: whether a token is needed and whether this browser has one that works.
#[get("/api/session")]
fn show(may: crate::http::guards::MayMonitor, door: &State<Door>) -> Json<Value> {
    Json(json!({ "open": door.is_open(), "authorized": may.0 }))
}

/// `POST /api/session` `{"token": "…"}`: signs in.
#[post("/api/session", data = "<body>")]
async fn sign_in(knock: Knock<'_>, door: &State<Door>, jar: &CookieJar<'_>, body: Data<'_>) -> ApiResult<Status> {
    refuse_foreign_page(knock.0)?;
    door.refuse_while_open(knock.0)?;
    expect_media_type(knock.0.content_type(), &["application/json"])?;
    let given = parse_json(&read_body(body, MOST_BODY_BYTES).await?)?;
    let Some(token) = given.get("token").and_then(Value::as_str).map(str::trim) else {
        return Err(Problem::validation(vec![FieldError::new(
            "/token",
            "is required and must be a string",
        )]));
    };
    door.verify(token, knock.0)?;
    jar.add(cookie(token.to_owned(), knock.0.rocket().config().tls_enabled()));
    Ok(Status::NoContent)
}

/// `DELETE /api/session`: signs out.
#[delete("/api/session")]
fn sign_out(jar: &CookieJar<'_>) -> Status {
    jar.remove(cookie(String::new(), false));
    Status::NoContent
}

pub(super) fn routes() -> Vec<Route> {
    routes![show, sign_in, sign_out]
}
