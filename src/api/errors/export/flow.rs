//! An export on its way to the client (floor 6): page after page, and how it ends.
//!
//! What must stay true: the next page is read when the client has taken the one before; the right to read is looked at
//! before each; whatever ends it, one line of the log says how much went out and why it ended.

use std::sync::Arc;
use std::time::Duration;

use rocket::futures::Stream;
use rocket::response::stream::stream;
use rocket::tokio;
use serde_json::json;

use super::{Format, Stands, csv};
use crate::access::Scope;
use crate::db::{Database, Origin};
use crate::events::query::{self, Filter, Position, Stretch};
use crate::events::{EventContext, NewEvent};
use crate::http::{Code, Problem};

/// What was written gets as long to be handed to the system before the connection is cut.
const TO_THE_WIRE: Duration = Duration::from_millis(500);

/// An export that was begun.
pub struct Flow<'r> {
    database: Database,
    filter: Filter,
    /// When it was begun: groups stand as they did then.
    now_ms: i64,
    format: Format,
    first: Stretch,
    stands: Stands<'r>,
    told: Told,
}

impl<'r> Flow<'r> {
    /// After its first page was read.
    pub fn begin(
        (database, filter, now_ms): (Database, Filter, i64),
        format: Format,
        first: Stretch,
        stands: Stands<'r>,
    ) -> Self {
        Self {
            told: Told::new(Arc::clone(&stands.context.0)),
            database,
            filter,
            now_ms,
            format,
            first,
            stands,
        }
    }

    /// The bytes, in pieces of about a page.
    pub fn run(mut self) -> impl Stream<Item = Vec<u8>> + Send + 'r {
        stream! {
            self.told.finish("the client left");
            if self.format == Format::Csv {
                yield csv::heading();
            }
            let first = Stretch { bytes: Vec::new(), events: 0, next: None };
            let mut stretch = std::mem::replace(&mut self.first, first);
            loop {
                self.told.events += stretch.events;
                if !stretch.bytes.is_empty() {
                    yield stretch.bytes;
                } else if !self.stands.connection.is_there().await {
                    // Who reads nothing because there is nothing yet can only be missed this way.
                    return;
                }
                let Some(after) = stretch.next else {
                    self.told.finish("complete");
                    return;
                };
                match self.next(after).await {
                    Ok(more) => stretch = more,
                    Err(problem) => {
                        self.told.finish(problem.code.row().0);
                        if self.format == Format::Ndjson {
                            yield last_line(&problem, self.told.events);
                        }
                        tokio::time::sleep(TO_THE_WIRE).await;
                        self.stands.connection.cut().await;
                        return;
                    }
                }
            }
        }
    }

    async fn next(&mut self, after: Position) -> Result<Stretch, Problem> {
        if !self.stands.standing.holds(self.stands.door, Scope::MonitorRead) {
            return Err(Problem::new(
                Code::Unauthorized,
                "The token is no longer good for this.",
            ));
        }
        let read = query::stretch(
            &self.database,
            self.filter.clone(),
            (Some(after), self.now_ms),
            self.format.write(),
        );
        let read = tokio::select! {
            read = read => read,
            () = &mut self.stands.end => {
                return Err(Problem::new(Code::ShuttingDown, "The service is ending."));
            }
        };
        read.map_err(|error| {
            let context = EventContext::from(self.stands.origin());
            self.stands
                .door
                .capture
                .capture(NewEvent::from_db_error(&error, context));
            Problem::from(error)
        })
    }
}

/// What NDJSON ends with when it is not all.
fn last_line(problem: &Problem, events: u64) -> Vec<u8> {
    let said = json!({ "code": problem.code.row().0, "detail": problem.detail, "events": events });
    format!("{}\n", json!({ "exportEndedEarly": said })).into_bytes()
}

/// Tells the log how an export ended, whenever it is dropped.
struct Told {
    context: Arc<Origin>,
    events: u64,
    how: &'static str,
}

impl Told {
    fn new(context: Arc<Origin>) -> Self {
        Self {
            context,
            events: 0,
            how: "not begun",
        }
    }

    /// What ended it, unless something else does.
    fn finish(&mut self, how: &'static str) {
        self.how = how;
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let (request_id, events, how) = (&self.context.request_id, self.events, self.how);
        tracing::info!(target: "mainstay::access", request_id, events, ended = how, "export");
    }
}
