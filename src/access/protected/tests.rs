//! Tests of open local use: what comes from this machine's own person, and every trick that doesn't.

use super::*;

const LOCAL: Approach<'static> = Approach {
    hosts: &["localhost:3000"],
    origins: &[],
    fetch_site: None,
    forwarded_by: None,
    remote: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
};

fn host(host: &str) -> Result<(), Reason> {
    judge(&Approach {
        hosts: &[host],
        ..LOCAL
    })
}

fn origin(origin: &str) -> Result<(), Reason> {
    judge(&Approach {
        origins: &[origin],
        ..LOCAL
    })
}

#[test]
fn loopback_names_are_allowed_with_and_without_a_port() {
    for name in [
        "localhost",
        "LocalHost:3000",
        "127.0.0.1",
        "127.0.0.1:1",
        "127.255.0.9:65535",
        "[::1]",
        "[::1]:80",
    ] {
        assert_eq!(host(name), Ok(()), "{name}");
        for scheme in ["http", "https"] {
            let approach = Approach {
                hosts: &[name],
                origins: &[&format!("{scheme}://{name}")],
                ..LOCAL
            };
            assert_eq!(judge(&approach), Ok(()), "{name}");
        }
    }
}

#[test]
fn what_is_not_clearly_loopback_is_refused_as_host_and_as_origin() {
    let tricks = [
        "",
        ":3000",
        "example.com",
        "127.0.0.1.evil.com",
        "localhost.evil.com",
        "evil.com:127.0.0.1",
        "localhost.",
        "127.0.0.1.",
        "user@localhost",
        "localhost@evil.com",
        "user:pw@127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:70000",
        "127.0.0.1:+80",
        "127.0.0.1:80:80",
        "localhost:3000/x",
        "localhost/",
        "localhost#",
        "localhost?",
        "localhost\\",
        " localhost",
        "localhost ",
        "local host",
        "localhost,evil.com",
        "::1",
        "[::1",
        "[::1%lo]",
        "[::1%25lo]:80",
        "[::ffff:127.0.0.1]",
        "[::2]",
        "[::1]x",
        "[::1].evil.com",
        "[127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "128.0.0.1",
        "app.localhost",
        "localhost.localdomain",
        "ⓛocalhost",
        "１27.0.0.1",
        "localhost\0",
        "192.168.0.1:3000",
    ];
    for name in tricks {
        assert_eq!(host(name), Err(Reason::ForeignHost), "{name:?}");
        assert_eq!(
            origin(&format!("http://{name}")),
            Err(Reason::ForeignOrigin),
            "{name:?}"
        );
    }
}

#[test]
fn an_origin_must_be_a_page_of_this_machine() {
    for foreign in [
        "null",
        "",
        "localhost",
        "file://",
        "ftp://localhost",
        "http:/localhost",
        "HTTP://localhost",
        "chrome-extension://localhost",
        "http://",
    ] {
        assert_eq!(origin(foreign), Err(Reason::ForeignOrigin), "{foreign:?}");
    }
    let twice = ["http://localhost", "http://localhost"];
    assert_eq!(
        judge(&Approach {
            origins: &twice,
            ..LOCAL
        }),
        Err(Reason::ForeignOrigin)
    );
}

#[test]
fn exactly_one_host_is_needed() {
    assert_eq!(judge(&Approach { hosts: &[], ..LOCAL }), Err(Reason::NoHost));
    assert_eq!(
        judge(&Approach {
            hosts: &["localhost", "localhost"],
            ..LOCAL
        }),
        Err(Reason::NoHost)
    );
}

#[test]
fn a_forwarded_request_is_refused_by_its_header() {
    for header in FORWARDING_HEADERS {
        let error = judge(&Approach {
            forwarded_by: Some(header),
            ..LOCAL
        })
        .unwrap_err();
        assert!(error.to_string().contains(header), "{error}");
        assert!(error.to_string().contains("mainstay token create"), "{error}");
    }
}

#[test]
fn the_socket_must_end_on_this_machine() {
    for remote in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(
            judge(&Approach {
                remote: remote.parse().ok(),
                ..LOCAL
            }),
            Ok(()),
            "{remote}"
        );
    }
    for remote in ["10.0.0.1", "::2", "0.0.0.0"] {
        assert_eq!(
            judge(&Approach {
                remote: remote.parse().ok(),
                ..LOCAL
            }),
            Err(Reason::NotLocal),
            "{remote}"
        );
    }
    assert_eq!(judge(&Approach { remote: None, ..LOCAL }), Err(Reason::NotLocal));
}
