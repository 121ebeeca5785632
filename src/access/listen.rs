//! The rule about listening (floor 2): elsewhere than on loopback only with a token. `app` and `cli check` ask it.

use std::net::IpAddr;

/// Why the server must not listen on `address`, with what to do; `None` when it may.
pub fn refuse_open_listen(address: IpAddr, tokens_exist: bool) -> Option<String> {
    if tokens_exist || address.to_canonical().is_loopback() {
        return None;
    }
    Some(format!(
        "refusing to listen on {address} while no token exists: everybody who reaches this address could read and \
         change everything. Make a token first, for example `mainstay token create --scope admin --name me`, or \
         listen on this machine alone with address = \"127.0.0.1\" in Rocket.toml or ROCKET_ADDRESS=127.0.0.1"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_listen_without_a_token() {
        for open in ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(refuse_open_listen(open.parse().unwrap(), false), None, "{open}");
        }
        for closed in ["0.0.0.0", "::", "192.168.1.4", "10.0.0.1", "fe80::1", "::ffff:10.0.0.1"] {
            let reason = refuse_open_listen(closed.parse().unwrap(), false).unwrap();
            assert!(reason.contains("mainstay token create"), "{reason}");
            assert_eq!(refuse_open_listen(closed.parse().unwrap(), true), None, "{closed}");
        }
    }
}
