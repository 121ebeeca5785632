//! Where the service listens, told once it does (floor 7).

use rocket::fairing::{AdHoc, Fairing};

use super::instance::Instance;

/// Says where the service listens, on standard output and beside the lock, once it does.
pub(super) fn announce() -> impl Fairing {
    AdHoc::on_liftoff("announce", |rocket| {
        Box::pin(async move {
            let config = rocket.config();
            let scheme = if config.tls_enabled() { "https" } else { "http" };
            let address = std::net::SocketAddr::new(config.address, config.port);
            if let Some(instance) = rocket.state::<Instance>() {
                instance.listens_on(&format!("{scheme}://{address}"));
            }
            println!("Mainstay {} listens on {scheme}://{address}", env!("CARGO_PKG_VERSION"));
            tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        })
    })
}
