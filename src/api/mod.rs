//! The resources (floor 6): one file each; handlers parse, call, shape.
//!
//! What must stay true: a handler gets authority and databases from guards only, and answers with its shape or one
//! problem. `app` mounts [`routes`] at `/`.

mod active;
mod alerts;
mod breakers;
pub mod dashboard;
mod data;
mod databases;
mod errors;
mod grouping;
mod groups;
mod health;
mod pool;
mod problems;
mod purges;
mod queries;
mod retention;
mod sentry;
mod session;
mod stats;
mod stream;
mod tail;

use rocket::Route;
use rocket::http::Method;

pub use health::Draining;

/// Whose requests are many. Rocket compares a request with the routes of its method one after the other, in the order of
/// their ranks; behind these there are some thirty.
const OFTEN: [(Method, &str); 3] = [
    (Method::Get, "/api/data/<collection>/<id>"),
    (Method::Post, "/api/data/<collection>"),
    (Method::Post, "/api/monitoring/errors"),
];
/// Before all that Rocket gives by itself, which is -12 to -1.
const FIRST: isize = -13;

/// Every route.
pub fn routes() -> Vec<Route> {
    let all = [
        health::routes(),
        stats::routes(),
        retention::routes(),
        breakers::routes(),
        active::routes(),
        pool::routes(),
        queries::routes(),
        alerts::routes(),
        stream::routes(),
        errors::routes(),
        tail::routes(),
        groups::routes(),
        grouping::routes(),
        purges::routes(),
        sentry::routes(),
        data::routes(),
        databases::routes(),
        session::routes(),
        problems::routes(),
        dashboard::routes(),
    ];
    let mut all: Vec<Route> = all.into_iter().flatten().collect();
    let is_often = |route: &Route| OFTEN.contains(&(route.method, route.uri.path()));
    for route in all.iter_mut().filter(|route| is_often(route)) {
        route.rank = FIRST;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first_takes_no_other_routes_requests() {
        let all = routes();
        let (first, others): (Vec<_>, Vec<_>) = all.iter().partition(|route| route.rank == FIRST);
        assert_eq!(first.len(), OFTEN.len(), "each of them is a route");
        let is_any = |segment: &str| segment.starts_with('<');
        let overlap = |one: &Route, other: &Route| {
            let (one_path, other_path) = (one.uri.path(), other.uri.path());
            let mut pairs = one_path.split('/').zip(other_path.split('/'));
            one.method == other.method
                && one_path.split('/').count() == other_path.split('/').count()
                && pairs.all(|(one, other)| one == other || is_any(one) || is_any(other))
        };
        // One that takes whatever is left comes last anyway.
        for other in others.into_iter().filter(|other| !other.uri.path().contains("..>")) {
            let taker = first.iter().find(|one| overlap(one, other));
            assert!(taker.is_none(), "{other} would not get its requests");
        }
    }
}
