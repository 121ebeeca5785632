//! Who acts on groups, and with what (floor 6).

use rocket::outcome::try_outcome;
use rocket::request::{FromRequest, Outcome, Request};
use rocket::serde::json::Json;
use serde_json::{Value, json};

use super::body::Body;
use super::{missing, number};
use crate::clock::epoch_ms;
use crate::events::group::Refused;
use crate::events::life::{self, Act, By, Change, GroupView, Undone};
use crate::events::{EventLog, group_name};
use crate::http::body::Media;
use crate::http::guards::{Actor, EventsWrite};
use crate::http::{ApiResult, Code, Problem};

/// What an act needs of its request, besides the right to it.
pub(super) struct Hand<'r> {
    pub events: EventsWrite,
    pub media: Media<'r>,
    pub log: &'r EventLog,
    actor: Actor,
}

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Hand<'r> {
    type Error = Problem;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Problem> {
        let Some(log) = request.rocket().state::<EventLog>() else {
            return crate::http::refuse(request, Problem::new(Code::Internal, "The event log is not set up."));
        };
        Outcome::Success(Self {
            events: try_outcome!(request.guard().await),
            media: try_outcome!(request.guard().await),
            actor: try_outcome!(request.guard().await),
            log,
        })
    }
}

impl Hand<'_> {
    /// Who acts, why and when.
    pub fn by(&self, body: &mut Body) -> By {
        By {
            actor: self.actor.0.clone(),
            reason: body.reason(),
            at_ms: epoch_ms(self.log.now()),
        }
    }

    /// Acts on the group of an id in the path; how it is then.
    ///
    /// # Errors
    /// 400 for an id, 422 for the body, 404, 409, and those of the database.
    pub async fn act(self, id: &str, mut body: Body, act: Act) -> ApiResult<Json<GroupView>> {
        let (group, by) = (number(id)?, self.by(&mut body));
        body.sound()?;
        let done = life::act(&self.events.0, group, act, by).await?;
        done.map(Json).map_err(|why| match why {
            Undone::NoGroup(_) => missing(id),
            why => Problem::new(Code::Conflict, told(&why)),
        })
    }

    /// Changes which groups there are; the change's number, for undoing it, and the group that is left or was made.
    ///
    /// # Errors
    /// 422 for the body, 404, 409, and those of the database.
    pub async fn change(self, mut body: Body, wanted: Change) -> ApiResult<Json<Value>> {
        let by = self.by(&mut body);
        body.sound()?;
        let done = life::change(&self.events.0, wanted, by).await?;
        let done = done.map_err(|refused| {
            let code = match refused {
                Refused::NoGroup(_) | Refused::NoChange(_) => Code::NotFound,
                _ => Code::Conflict,
            };
            let mut detail = refused.to_string();
            if let Some(first) = detail.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            Problem::new(code, format!("{detail}."))
        })?;
        let moved = done.events;
        Ok(Json(
            json!({ "id": group_name(done.group), "change": done.change, "movedEvents": moved }),
        ))
    }
}

/// Why an act was not done, for people.
pub(super) fn told(why: &Undone) -> String {
    match why {
        Undone::NoGroup(group) => format!("There is no group {}.", group_name(*group)),
        Undone::NoRelease { group, source } => {
            let of = if source.is_empty() {
                "without a source".to_owned()
            } else {
                format!("of {source}")
            };
            let name = group_name(*group);
            format!("No event {of} has named a release yet, so there is no current one for {name}; name the release.")
        }
    }
}
