//! The baseline: a Rocket server whose routes do nothing but answer with bodies of given sizes, in a process of its
//! own (this benchmark's binary, started again with [`SIZES`] in its environment).
//!
//! What must stay true: same workers and same release build as the real server; it ends when its standard input does,
//! so that it can't outlive the benchmark.

use std::io::Read;

use rocket::data::{Data, ToByteUnit};
use rocket::fairing::AdHoc;
use rocket::http::{ContentType, Status};
use rocket::{State, get, post, routes};

/// Three sizes in bytes: of a document read, of a reported event, of a created document.
pub const SIZES: &str = "MAINSTAY_BENCHMARK_BASELINE";

struct Bodies([String; 3]);

type Answer<'r> = (Status, (ContentType, &'r str));

#[get("/document")]
fn document(bodies: &State<Bodies>) -> Answer<'_> {
    (Status::Ok, (ContentType::JSON, &bodies.0[0]))
}

#[post("/event", data = "<data>")]
async fn event<'r>(bodies: &'r State<Bodies>, data: Data<'r>) -> Answer<'r> {
    taken(data, &bodies.0[1]).await
}

#[post("/document", data = "<data>")]
async fn create<'r>(bodies: &'r State<Bodies>, data: Data<'r>) -> Answer<'r> {
    taken(data, &bodies.0[2]).await
}

async fn taken<'r>(data: Data<'r>, body: &'r str) -> Answer<'r> {
    let read = data.open(1.mebibytes()).into_bytes().await;
    let status = if read.is_ok() {
        Status::Created
    } else {
        Status::BadRequest
    };
    (status, (ContentType::JSON, body))
}

/// Whether this process is to be the baseline.
pub fn was_asked_for() -> bool {
    std::env::var_os(SIZES).is_some()
}

/// Serves until standard input ends.
pub fn serve() {
    let sizes = std::env::var(SIZES).expect("three sizes");
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.parse().expect("a size")).collect();
    let body = |index: usize| format!("{{\"filler\":\"{}\"}}", "x".repeat(sizes[index].saturating_sub(13)));
    let config = rocket::Config {
        port: 0,
        log_level: rocket::config::LogLevel::Off,
        ..rocket::Config::release_default()
    };
    let announce = AdHoc::on_liftoff("announce", |rocket| {
        Box::pin(async move { println!("the baseline listens on http://127.0.0.1:{}", rocket.config().port) })
    });
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let rocket = rocket::custom(config)
        .manage(Bodies([body(0), body(1), body(2)]))
        .attach(announce)
        .mount("/", routes![document, event, create]);
    rocket::execute(rocket.launch()).expect("served");
}
