//! The dashboard in a real Chromium, against the real binary: what a person sees, and that event text stays text.
//!
//! Needs Chromium (found on the PATH, or named by CHROME); `tests/run` runs it, or
//! `cargo test --test browser -- --ignored`. Only loopback is talked to.
//! Longer than most: a scene and its helpers are told in one place.

mod chromium;
mod common;

use chromium::Tab;
use common::{SHORT, Server, eventually, mainstay};
use serde_json::{Value, json};

const HEALTHY: &str = "document.getElementById('status').dataset.status === 'healthy'";
const LIVE: &str = "document.getElementById('freshness').dataset.link === 'live'";

#[test]
#[ignore = "needs Chromium"]
fn a_healthy_service_is_shown_as_healthy_and_live() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("healthy", HEALTHY);
    tab.until("live", LIVE);
    assert_eq!(tab.text("#status-word"), "Healthy");
    tab.until(
        "four breakers",
        "document.querySelectorAll('.breaker[data-state=CLOSED]').length === 4",
    );
    for name in ["db-app", "db-events"] {
        let healthy = format!("document.querySelector('#{name} .verdict').dataset.tone === 'ok'");
        tab.until(name, &healthy);
    }
    tab.until(
        "nothing refused",
        "document.querySelector('#refused .line').dataset.tone === 'ok'",
    );
    tab.picture("healthy-light");
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn the_page_fits_every_screen_in_both_schemes() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    for (width, height) in [(320, 640), (375, 812), (768, 1024), (1280, 900), (1920, 1080)] {
        for scheme in ["light", "dark"] {
            tab.screen(width, height, scheme);
            let wide = tab.value("document.documentElement.scrollWidth");
            assert!(wide.as_i64() <= Some(width), "{wide} wide on a screen of {width}");
            tab.picture(&format!("{width}-{scheme}"));
        }
    }
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn a_posted_event_appears_live_as_text_and_never_as_an_element() {
    const MESSAGE: &str = "<img src=x onerror=\"document.body.dataset.owned='yes'\">";
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    tab.value("(window.stayed = true)");
    let event =
        json!({"message": MESSAGE, "severity": "high", "type": "api", "path": MESSAGE, "details": {MESSAGE: MESSAGE}});
    server.client().post("/api/monitoring/errors", &event).expect(201);
    let row = format!(
        "[...document.querySelectorAll('.message-text')].find((node) => node.textContent === {})",
        json!(MESSAGE)
    );
    tab.until("the event is listed", &format!("{row} !== undefined"));
    tab.value(&format!("{row}.closest('tr').querySelector('button').click()"));
    tab.until(
        "its details are open",
        "[...document.querySelectorAll('.error-detail pre')].some((node) => node.textContent.includes('onerror'))",
    );
    assert_eq!(tab.value("document.querySelectorAll('#errors img').length"), json!(0));
    assert_eq!(tab.value("document.body.dataset.owned ?? null"), Value::Null);
    assert_eq!(tab.value("window.stayed"), json!(true), "without a reload");
    tab.picture("event");
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn a_locked_database_is_shown_with_the_breaker_that_it_opened_and_recovers() {
    let server = Server::start(SHORT);
    let api = server.client();
    api.put("/api/data/notes", &json!({})).expect(201);
    let tab = Tab::open(&server.url("/"));
    tab.until("healthy", HEALTHY);

    let lock = server.hold_write_lock("app.db");
    let write = || drop(api.post("/api/data/notes", &json!({"n": 2})));
    tab.until_after("the status is no longer healthy", &format!("!({HEALTHY})"), write);
    let open = "['OPEN', 'HALF_OPEN'].includes(document.querySelector('[data-name=\"app.write\"]').dataset.state)";
    tab.until_after("the breaker is shown open", open, write);
    let named = "document.getElementById('status-because').textContent.includes('app.write')";
    tab.until_after("the breaker is named as the reason", named, write);
    let refused = "document.getElementById('refused').textContent.includes('Writing application data')";
    tab.until_after("the refusal is listed", refused, write);
    tab.picture("locked-light");

    lock.release();
    tab.until_after("healthy again", HEALTHY, write);
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn an_open_breaker_counts_down_and_the_button_closes_it() {
    let mut settings = SHORT.to_vec();
    // Long enough that only the button can have closed it.
    settings.retain(|(name, _)| *name != "DB_BREAKER_TIMEOUT_MS");
    settings.push(("DB_BREAKER_TIMEOUT_MS", "300000"));
    let server = Server::start(&settings);
    let api = server.client();
    api.put("/api/data/notes", &json!({})).expect(201);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);

    let lock = server.hold_write_lock("app.db");
    let state =
        |state: &str| format!("document.querySelector('[data-name=\"app.write\"]').dataset.state === '{state}'");
    let write = || drop(api.post("/api/data/notes", &json!({"n": 2})));
    tab.until_after("the breaker is shown open", &state("OPEN"), write);
    let retry = "document.querySelector('[data-name=\"app.write\"] .breaker-retry').textContent";
    let first = tab.value(retry);
    tab.until(
        "the countdown goes on",
        &format!("{retry} !== {first} && /\\d/.test({retry})"),
    );
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (375, "light"), (375, "dark")] {
        tab.screen(width, 812, scheme);
        tab.picture(&format!("open-{width}-{scheme}"));
    }
    tab.screen(1280, 900, "light");

    lock.release();
    tab.click("#reset");
    tab.until(
        "the question names it",
        "document.getElementById('reset-text').textContent.includes('app.write')",
    );
    tab.picture("reset");
    tab.click("#reset-confirm");
    tab.until("the breaker is shown closed", &state("CLOSED"));
    tab.until("the dialog has gone", "!document.getElementById('reset-dialog').open");
    api.post("/api/data/notes", &json!({"n": 3})).expect(201);
    tab.until("healthy again", HEALTHY);
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn a_token_opens_the_dashboard_and_its_scope_is_kept() {
    let server = Server::start(&[]);
    let made = mainstay(server.folder())
        .args(["token", "create", "--scope", "monitor:read"])
        .output();
    let token = String::from_utf8(made.expect("it runs").stdout)
        .expect("text")
        .trim()
        .to_owned();
    let anonymous = server.client();
    eventually("the token is in force", || {
        (anonymous.get("/api/monitoring/stats").status == 401).then_some(())
    });

    let tab = Tab::open(&server.url("/"));
    tab.until(
        "it asks for a token",
        "document.getElementById('signin').checkVisibility()",
    );
    assert_eq!(
        tab.value("document.getElementById('dashboard').checkVisibility()"),
        json!(false)
    );
    tab.until("the public health is shown", HEALTHY);
    tab.picture("sign-in");

    tab.type_text("mst_wrong");
    tab.press_enter();
    tab.until(
        "the refusal is told",
        "document.getElementById('signin-error').textContent !== ''",
    );
    tab.picture("sign-in-refused");
    tab.type_text(&token);
    tab.press_enter();
    tab.until("live", LIVE);
    tab.until(
        "the dashboard is shown",
        "document.getElementById('dashboard').checkVisibility()",
    );
    assert_eq!(tab.value("document.cookie"), json!(""), "no script can read the cookie");
    assert_eq!(
        tab.value("document.getElementById('token').value"),
        json!(""),
        "the field keeps nothing"
    );

    tab.click("#reset");
    tab.click("#reset-confirm");
    let told = "document.getElementById('reset-error').textContent.includes('monitor:write')";
    tab.until("the missing scope is told", told);
    tab.picture("reset-refused");
    tab.value("document.getElementById('reset-dialog').close()");

    tab.go(&server.url("/"));
    tab.until("still signed in when it is loaded again", LIVE);
    tab.click("#sign-out");
    tab.until("it asks again", "document.getElementById('signin').checkVisibility()");
    assert_eq!(
        tab.value("fetch('/api/monitoring/stats').then((answer) => answer.status)"),
        json!(401)
    );
    tab.close();
}

/// What a shop's own program might report.
fn shop_errors() -> Vec<Value> {
    let shop = |severity: &str, kind: &str, message: &str, path: &str, user: u64| {
        json!({"severity": severity, "type": kind, "message": message, "path": path, "userId": user,
            "source": "shop", "release": "1.4.2", "environment": "production"})
    };
    vec![
        shop("low", "system", "Price list reloaded: 1204 articles", "/jobs/prices", 1),
        shop("medium", "api", "Coupon SPRING24 has expired", "/cart/coupon", 1187),
        shop(
            "medium",
            "socket",
            "Client 3f9a went away while its order was being sent",
            "/live/orders",
            1042,
        ),
        shop(
            "high",
            "api",
            "Payment provider did not answer within 5000 ms",
            "/checkout/pay",
            1187,
        ),
        shop("medium", "api", "Coupon SPRING24 has expired", "/cart/coupon", 1204),
    ]
}

#[test]
#[ignore = "needs Chromium"]
fn a_shop_with_traffic_and_a_bad_moment_is_shown_as_in_the_readme() {
    let mut settings = SHORT.to_vec();
    settings.retain(|(name, _)| *name != "DB_BREAKER_TIMEOUT_MS");
    settings.push(("DB_BREAKER_TIMEOUT_MS", "8000"));
    let server = Server::start(&settings);
    let api = server.client();
    api.put("/api/data/orders", &json!({})).expect(201);
    let tab = Tab::open(&server.url("/"));
    tab.screen(1280, 1385, "light");
    tab.until("live", LIVE);
    let mut reports = shop_errors().into_iter();
    let mut number = 0;
    let mut trade = || {
        number += 1;
        drop(api.post(
            "/api/data/orders",
            &json!({"number": number, "total": 19.9, "state": "paid"}),
        ));
        (0..4).for_each(|_| drop(api.get("/api/data/orders?limit=10")));
        if number % 40 == 0 {
            reports
                .next()
                .map(|report| api.post("/api/monitoring/errors", &report).expect(201));
        }
    };
    let listed = "document.querySelectorAll('#errors-body tr').length >= 5";
    tab.until_after("the reports are listed", listed, &mut trade);
    let lock = server.hold_write_lock("app.db");
    let open = "document.querySelector('[data-name=\"app.write\"]').dataset.state === 'OPEN'";
    tab.until_after("the breaker is shown open", open, &mut trade);
    let refused = "/[1-9]\\d* calls? refused/.test(document.getElementById('refused').textContent)";
    tab.until_after("refusals are counted", refused, &mut trade);
    tab.view("readme");
    lock.release();
    tab.until_after("healthy again", HEALTHY, &mut trade);
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn a_fault_of_the_page_would_be_seen() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    assert_eq!(tab.faults(), Vec::<String>::new());
    tab.value("void document.body.append(Object.assign(document.createElement('script'), { text: 'owned = true' }))");
    tab.value("void setTimeout(() => { throw new Error('seen-1') })");
    tab.value("void console.error('seen-2')");
    for sign in ["Content Security Policy", "seen-1", "seen-2"] {
        eventually(sign, || {
            tab.faults().iter().any(|fault| fault.contains(sign)).then_some(())
        });
    }
}

#[test]
#[ignore = "needs Chromium"]
fn a_service_that_has_gone_is_not_called_healthy() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    drop(server);
    tab.until(
        "no contact",
        "document.getElementById('freshness').dataset.link === 'unreachable'",
    );
    tab.until(
        "the status is unknown",
        "document.getElementById('status').dataset.status === 'unknown'",
    );
    tab.until(
        "the data's age is told",
        "/data \\d+ s old/.test(document.getElementById('freshness-text').textContent)",
    );
    assert_eq!(tab.text("#refused"), "Not known.");
    assert!(!tab.text("#alerts").contains("Nothing needs you"));
    tab.picture("gone");
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn numbers_are_written_for_people_and_gaps_stay_gaps() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    for (call, expected) in [
        ("f.bytes(0)", "0 B"),
        ("f.bytes(1023)", "1,023 B"),
        ("f.bytes(1536 * 1024)", "1.5 MiB"),
        ("f.bytes(undefined)", "–"),
        ("f.bytes(-1)", "–"),
        ("f.millis(0.42)", "0.42 ms"),
        ("f.millis(1234)", "1.2 s"),
        ("f.millis(125000)", "2 min 5 s"),
        ("f.millis(NaN)", "–"),
        ("f.span(0.9)", "0 s"),
        ("f.span(12000)", "3 h 20 min"),
        ("f.span(1e6)", "11 d 13 h"),
        ("f.percent(0.00001)", "< 0.01 %"),
        ("f.percent(0.123)", "12 %"),
        ("f.percent(null)", "–"),
        ("f.count(1234567)", "1,234,567"),
        ("f.plural(1, 'call')", "1 call"),
        ("f.words('rateLimited')", "rate limited"),
        (
            "f.exactTime(f.instant('2023-11-14T22:13:20.005Z'))",
            "2023-11-14T22:13:20.005Z",
        ),
        ("String(f.instant('yesterday'))", "null"),
    ] {
        let call = format!("await import('/js/format.js').then((f) => {call})");
        assert_eq!(tab.value(&call), json!(expected), "{call}");
    }
    let series = "(await import('/js/series.js').then(({ Series }) => {
        const series = new Series();
        for (const [at, value] of [[0, 1], [2000, 3], [4000, null], [60000, 5], [62000, NaN], [64000, 7]]) series.add(at, value);
        return [series.runs(64000), series.gaps(64000), series.nearest(30000), series.nearest(61000).value, series.windowMs(64000)];
    }))";
    let expected = json!([
        [[{"at": 0, "value": 1}, {"at": 2000, "value": 3}], [{"at": 60000, "value": 5}, {"at": 64000, "value": 7}]],
        [{"from": 2000, "to": 60000}],
        null,
        5,
        120_000
    ]);
    assert_eq!(tab.value(series), expected);
    tab.close();
}

/// What a shop's program would report of an exception, with all that surrounds it.
fn thrown() -> Value {
    let lines =
        |text: &str| json!({"before": ["def total(cart):", "    sum = 0"], "line": text, "after": ["    return sum"]});
    let frame = |function: &str, file: &str, line: u32| json!({"function": function, "file": file, "line": line});
    let mut own = frame("total", "shop/cart.py", 42);
    own["context"] = lines("    sum += prices[article] * <b>1</b>");
    let crumb = |category: &str, level: &str, message: &str, data: Value| json!({"timestamp": "2025-06-15T15:06:40.120Z", "category": category, "level": level, "message": message, "data": data});
    json!({
        "message": "Checkout failed", "severity": "high", "type": "api", "path": "/checkout/pay", "userId": 1187,
        "source": "shop", "release": "shop@1.4.2", "environment": "production", "tags": {"region": "eu-west"},
        "exception": {"type": "KeyError", "value": "'tea'", "frames": [
            frame("run", "/usr/lib/python3.12/threading.py", 1012),
            frame("__call__", "/srv/venv/lib/python3.12/site-packages/flask/app.py", 1498),
            own,
            frame("get", "/srv/venv/lib/python3.12/site-packages/requests/api.py", 73),
            frame("send", "/srv/venv/lib/python3.12/site-packages/requests/sessions.py", 703),
        ]},
        "causes": [{"type": "TimeoutError", "value": "prices did not answer", "frames": [frame("load", "shop/prices.py", 7)]}],
        "request": {"method": "POST", "url": "https://shop.example/checkout/pay", "headers": {"User-Agent": "Firefox"}},
        "user": {"id": 1187, "email": "ann@example.com", "username": "ann"},
        "breadcrumbs": [
            crumb("navigation", "info", "opened /cart", json!(null)),
            crumb("http", "warning", "GET /prices", json!({"status": 504, "ms": 5000})),
            crumb("shop.cart", "error", "no price for tea", json!(null)),
        ],
        "details": {"cart": {"tea": 2}},
    })
}

#[test]
#[ignore = "needs Chromium"]
fn the_first_screen_of_an_event_has_what_a_developer_needs() {
    let server = Server::start(&[]);
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    server.client().post("/api/monitoring/errors", &thrown()).expect(201);
    tab.until("listed", "document.querySelectorAll('.error-row').length === 1");
    tab.click(".error-row button");
    tab.until("the rest has come", "document.querySelector('.event .crumb') !== null");
    for (selector, text) in [
        (".event-title", "KeyError: 'tea'"),
        (".event-message", "Checkout failed"),
        (".event-culprit", "in total (shop/cart.py:42)"),
        (".event-facts", "POST https://shop.example/checkout/pay"),
        (".event-facts", "1187 · ann · ann@example.com"),
        (".event-facts", "shop@1.4.2 · production"),
        (".event-facts", "E-1"),
    ] {
        assert!(tab.text(selector).contains(text), "{selector}: {}", tab.text(selector));
    }
    let stack = "[...document.querySelectorAll('.stack-frames')[0].children].map((one) => one.className + ('own' in one.dataset ? ' own' : ''))";
    assert_eq!(
        tab.value(stack),
        json!(["fold", "frame own", "fold"]),
        "libraries are folded"
    );
    let line = "document.querySelector('.source-line[data-here]').textContent.trim()";
    assert_eq!(tab.value(line), json!("42    sum += prices[article] * <b>1</b>"));
    let seen = "document.querySelector('.source-line[data-here]').checkVisibility()";
    assert_eq!(tab.value(seen), json!(true), "the own frame's source is open");
    let crumbs = "[...document.querySelectorAll('.crumb')].map((one) => one.querySelector('.crumb-text').textContent)";
    let expected = ["opened /cart", "GET /prices status=504 ms=5000", "no price for tea"];
    assert_eq!(tab.value(crumbs), json!(expected));
    assert!(
        tab.text(".event")
            .contains("Caused by TimeoutError: prices did not answer")
    );
    for (width, height) in [(320, 640), (375, 812), (1280, 900)] {
        for scheme in ["light", "dark"] {
            tab.screen(width, height, scheme);
            let wide = tab.value("document.documentElement.scrollWidth");
            assert!(wide.as_i64() <= Some(width), "{wide} wide on a screen of {width}");
            tab.picture(&format!("first-screen-{width}-{scheme}"));
        }
    }
    tab.close();
}

#[test]
#[ignore = "needs Chromium"]
fn the_list_goes_on_over_a_restart_without_a_gap() {
    let mut server = Server::start(&[("ROCKET_PORT", "0")]);
    let port = server.url("").rsplit_once(':').expect("a port").1.to_owned();
    let report = |server: &Server, number: u32| {
        let event = json!({"message": format!("event {number}"), "fingerprint": [number.to_string()]});
        server.client().post("/api/monitoring/errors", &event).expect(201);
    };
    let tab = Tab::open(&server.url("/"));
    tab.until("live", LIVE);
    let tailing = "document.getElementById('errors-body').dataset.live === 'tail'";
    tab.until("the tail is followed", tailing);
    report(&server, 0);
    let listed = |count: u32| format!("document.querySelectorAll('.error-row').length === {count}");
    tab.until("the first is listed", &listed(1));
    server.kill();
    server.set("ROCKET_PORT", &port);
    server.restart();
    (1..60).for_each(|number| report(&server, number));
    tab.until("all are listed, more than a page", &listed(60));
    // Its own connections break while the server is away; nothing else may be wrong.
    let faults = tab.faults();
    assert!(faults.iter().all(|fault| fault.contains("ERR_")), "{faults:?}");
}
