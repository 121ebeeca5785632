//! `GET /docs/problems/{code}` (floor 6): what a problem's `type` leads to.

use rocket::{Route, get, routes};

use crate::http::{ApiResult, Code, Problem};

/// The meaning of a problem code, in plain text.
#[get("/docs/problems/<code>")]
fn explain(code: &str) -> ApiResult<String> {
    let wanted = code.replace('-', "_");
    let Some(found) = Code::ALL.iter().find(|known| known.row().0 == wanted) else {
        let known: Vec<_> = Code::ALL.iter().map(|known| known.row().0).collect();
        return Err(Problem::new(
            Code::NotFound,
            format!("There is no problem {wanted}; there are {}.", known.join(", ")),
        ));
    };
    let (name, status, title) = found.row();
    Ok(format!("{name} ({status})\n{title}\n\n{}\n", found.meaning()))
}

pub(super) fn routes() -> Vec<Route> {
    routes![explain]
}
