//! Stacks as the languages' SDKs and hand-made reports tell them: whatever the language, the developer's own frame is named.

mod common;

use common::Server;
use common::source::{found, key, with_source};
use serde_json::{Value, json};

/// A stack with the outermost frame first: `(module, function, file, absolute path, in_app)`; `""` is left out.
type Frame = (&'static str, &'static str, &'static str, &'static str, Option<bool>);

struct Sample {
    language: &'static str,
    exception: (&'static str, &'static str),
    frames: &'static [Frame],
    culprit: &'static str,
    own: &'static [bool],
}

/// Frames as the SDK of each language sends them, without the flag where a hand-made report would not have it.
const SAMPLES: [Sample; 9] = [
    Sample {
        language: "python",
        exception: ("KeyError", "'price'"),
        frames: &[
            (
                "threading",
                "run",
                "threading.py",
                "/usr/lib/python3.12/threading.py",
                None,
            ),
            ("shop.cart", "total", "shop/cart.py", "/srv/shop/shop/cart.py", None),
            (
                "requests.api",
                "get",
                "requests/api.py",
                "/srv/venv/lib/python3.12/site-packages/requests/api.py",
                None,
            ),
        ],
        culprit: "total (shop/cart.py:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "node",
        exception: ("TypeError", "x is undefined"),
        frames: &[
            (
                "",
                "process.processTicksAndRejections",
                "node:internal/process/task_queues",
                "",
                None,
            ),
            ("", "pay", "/srv/shop/src/pay.js", "", None),
            (
                "",
                "Layer.handle",
                "/srv/shop/node_modules/express/lib/router/layer.js",
                "",
                None,
            ),
        ],
        culprit: "pay (/srv/shop/src/pay.js:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "browser",
        exception: ("ReferenceError", "a is not defined"),
        frames: &[
            (
                "",
                "HTMLButtonElement.onclick",
                "https://shop.example/static/main.8f3c2a1b.js",
                "",
                None,
            ),
            ("", "inject", "chrome-extension://abcdef/content.js", "", None),
        ],
        culprit: "HTMLButtonElement.onclick (https://shop.example/static/main.8f3c2a1b.js:17)",
        own: &[true, false],
    },
    Sample {
        language: "rust",
        exception: ("panic", "index out of bounds"),
        frames: &[
            (
                "",
                "std::rt::lang_start",
                "rt.rs",
                "/rustc/90b35a6/library/std/src/rt.rs",
                None,
            ),
            ("", "shop::cart::total", "src/cart.rs", "/srv/shop/src/cart.rs", None),
            (
                "",
                "core::panicking::panic_fmt",
                "panicking.rs",
                "/rustc/90b35a6/library/core/src/panicking.rs",
                None,
            ),
        ],
        culprit: "shop::cart::total (src/cart.rs:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "java",
        exception: ("NullPointerException", "cart"),
        frames: &[
            ("java.lang.Thread", "run", "Thread.java", "", None),
            ("com.example.shop.Cart", "total", "Cart.java", "", None),
            (
                "org.springframework.web.servlet.FrameworkServlet",
                "service",
                "FrameworkServlet.java",
                "",
                None,
            ),
            ("java.util.Objects", "requireNonNull", "Objects.java", "", None),
        ],
        culprit: "total (Cart.java:17)",
        own: &[false, true, false, false],
    },
    Sample {
        language: "go",
        exception: ("*errors.errorString", "no price"),
        frames: &[
            (
                "net/http",
                "HandlerFunc.ServeHTTP",
                "server.go",
                "/usr/local/go/src/net/http/server.go",
                None,
            ),
            ("main", "total", "cart.go", "/srv/shop/cart.go", None),
            (
                "runtime",
                "gopanic",
                "panic.go",
                "/usr/lib/go/src/runtime/panic.go",
                None,
            ),
        ],
        culprit: "total (cart.go:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "ruby",
        exception: ("NoMethodError", "undefined method `price'"),
        frames: &[
            (
                "",
                "call",
                "rack.rb",
                "/usr/lib/ruby/gems/3.2.0/gems/rack-3.0/lib/rack.rb",
                None,
            ),
            ("", "total", "app/models/cart.rb", "/srv/shop/app/models/cart.rb", None),
            ("", "fetch", "/usr/local/bundle/gems/redis-5.0/lib/redis.rb", "", None),
        ],
        culprit: "total (app/models/cart.rb:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "php",
        exception: ("RuntimeException", "no price"),
        frames: &[
            (
                "",
                "Illuminate\\Routing\\Router::dispatch",
                "/vendor/laravel/framework/src/Router.php",
                "",
                None,
            ),
            ("", "App\\Cart::total", "/app/Cart.php", "/srv/shop/app/Cart.php", None),
            ("", "array_map", "[internal]", "", None),
        ],
        culprit: "App\\Cart::total (/app/Cart.php:17)",
        own: &[false, true, false],
    },
    Sample {
        language: "told by its sender",
        exception: ("Error", "the flag decides"),
        frames: &[
            ("java.util.List", "own", "List.java", "", Some(true)),
            ("shop", "foreign", "shop.rs", "", Some(false)),
        ],
        culprit: "own (List.java:17)",
        own: &[true, false],
    },
];

fn frames(sample: &Sample, names: [&str; 6]) -> Vec<Value> {
    let frame = |(module, function, file, path, in_app): &Frame| {
        let mut made = json!({ (names[5]): 17 });
        for (name, value) in [
            (names[0], module),
            (names[1], function),
            (names[2], file),
            (names[3], path),
        ] {
            if !value.is_empty() {
                made[name] = json!(value);
            }
        }
        if let Some(in_app) = in_app {
            made[names[4]] = json!(in_app);
        }
        made
    };
    sample.frames.iter().map(frame).collect()
}

#[track_caller]
fn assert_shown(event: &Value, sample: &Sample, way: &str) {
    let language = sample.language;
    assert_eq!(event["culprit"], sample.culprit, "{language} {way}");
    assert_eq!(event["exception"]["type"], sample.exception.0, "{language} {way}");
    assert_eq!(event["exception"]["value"], sample.exception.1, "{language} {way}");
    let frames = event["exception"]["frames"].as_array().expect("frames");
    let own: Vec<bool> = frames
        .iter()
        .map(|frame| frame["inApp"].as_bool().expect("told"))
        .collect();
    assert_eq!(own, sample.own, "{language} {way}: {frames:#?}");
}

#[test]
fn the_own_frame_is_found_in_every_language() {
    let server = Server::start(&[]);
    let client = server.client();
    for sample in &SAMPLES {
        let names = ["module", "function", "file", "absPath", "inApp", "line"];
        let (kind, value) = sample.exception;
        let exception = json!({ "type": kind, "value": value, "frames": frames(sample, names) });
        let report = json!({ "message": sample.language, "exception": exception });
        let made = client.post("/api/monitoring/errors", &report).expect(201).json();
        let id = made["id"].as_str().expect("an id");
        let event = client.get(&format!("/api/monitoring/errors/{id}")).expect(200).json();
        assert_shown(&event, sample, "by the API");
    }
}

#[test]
fn the_same_through_an_sdks_envelope() {
    let (_server, client, dsn) = with_source(&[]);
    let path = format!("/api/1/envelope/?sentry_key={}", key(&dsn));
    for (number, sample) in SAMPLES.iter().enumerate() {
        let names = ["module", "function", "filename", "abs_path", "in_app", "lineno"];
        let (kind, value) = sample.exception;
        let stack = json!({ "frames": frames(sample, names) });
        let exception = json!({ "values": [{ "type": kind, "value": value, "stacktrace": stack }] });
        let id = format!("{number:032x}");
        let event = json!({ "event_id": id, "tags": { "language": sample.language }, "exception": exception });
        let envelope = format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\"}}\n{event}\n");
        client
            .send("POST", &path, Some(("text/plain", envelope.as_bytes())))
            .expect(200);
        let listed = found(&client, sample.language, |event| {
            event["tags"]["language"] == sample.language
        });
        let id = listed[0]["id"].as_str().expect("an id");
        let event = client.get(&format!("/api/monitoring/errors/{id}")).expect(200).json();
        assert_shown(&event, sample, "by the envelope");
    }
}
