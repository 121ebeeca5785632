//! Tests of the stacks: what a release changes doesn't change the parts, what is somebody else's code isn't among them.

use super::*;

fn frame(module: &str, function: &str, file: &str) -> Frame {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Frame {
        module: some(module),
        function: some(function),
        file: some(file),
        ..Frame::default()
    }
}

#[test]
fn code_of_others_is_known_by_its_place() {
    for (module, function, file) in [
        ("", "get", "/srv/app/venv/lib/python3.12/site-packages/requests/api.py"),
        ("", "run", "/usr/lib/python3.12/threading.py"),
        ("", "next", "/srv/app/node_modules/express/lib/router/index.js"),
        ("", "processTicks", "node:internal/process/task_queues"),
        ("java.util.ArrayList", "get", "ArrayList.java"),
        ("org.springframework.web.servlet.FrameworkServlet", "service", ""),
        ("", "ServeHTTP", "/usr/local/go/src/net/http/server.go"),
        ("", "Do", "/root/go/pkg/mod/github.com/x/y@v1.2.3/z.go"),
        (
            "",
            "core::panicking::panic",
            "/rustc/90b35a6/library/core/src/panicking.rs",
        ),
        ("", "poll", "/home/x/.cargo/registry/src/index/tokio-1.4/src/task.rs"),
        ("System.Linq.Enumerable", "First", ""),
        ("", "send", "/app/vendor/guzzlehttp/guzzle/src/Client.php"),
        ("", "call", "/usr/share/gems/gems/rack-3.0/lib/rack.rb"),
        ("", "f", "C:\\app\\node_modules\\x\\index.js"),
    ] {
        let own = frame("shop.cart", "add", "shop/cart.py");
        assert_eq!(
            frame_parts(&[frame(module, function, file), own]),
            ["shop.cart:add"],
            "{module} {function} {file}"
        );
    }
    let library = frame("java.util.ArrayList", "get", "");
    assert_eq!(
        frame_parts(std::slice::from_ref(&library)),
        ["java.util.ArrayList:get"],
        "better than nothing"
    );
    let told = Frame {
        in_app: Some(true),
        ..library
    };
    assert_eq!(
        frame_parts(&[told, frame("a", "main", "")]).len(),
        2,
        "the sender knows better"
    );
}

#[test]
fn what_a_build_numbers_stays_out() {
    for [one, two] in [
        [
            frame("", "load", "/opt/v1/app/static/main.8f3c2a1b.js"),
            frame("", "load", "/srv/app/static/main.0badc0de12.js?v=3"),
        ],
        [
            frame("shop.Cart$$Lambda$17/0x0000", "run", ""),
            frame("shop.Cart$$Lambda$99/0xffff", "run", ""),
        ],
        [frame("shop.Cart$1", "run", ""), frame("shop.Cart$2", "run", "")],
        [
            frame("shop", "work::h0123456789abcdef", ""),
            frame("shop", "work::hfedcba9876543210", ""),
        ],
        [
            frame("main", "main.handle.func1", ""),
            frame("main", "main.handle.func2", ""),
        ],
        [frame("app", "lambda$start$3", ""), frame("app", "lambda$start$4", "")],
        [frame("app", "t", ""), frame("app", "Qe", "")],
        [frame("app", "<anonymous>", ""), frame("app", "", "")],
        [
            frame("shop", "pay::{closure#0}", ""),
            frame("shop", "pay::{closure#3}", ""),
        ],
    ] {
        let parts = frame_parts(std::slice::from_ref(&one));
        let same = frame_parts(std::slice::from_ref(&two));
        let unnamed = two.function.is_none();
        assert!(
            parts == same || unnamed && parts[0].starts_with("app:"),
            "{parts:?} {same:?}"
        );
    }
}

#[test]
fn recursion_of_any_depth_is_the_same() {
    let stack = |depth: usize| {
        let mut frames = vec![frame("m", "main", "")];
        for _ in 0..depth {
            frames.extend([frame("m", "visit", ""), frame("m", "walk", "")]);
        }
        frames.push(frame("m", "fail", ""));
        frame_parts(&frames)
    };
    assert_eq!(stack(2), stack(60));
    assert_eq!(stack(3), ["m:main", "m:visit", "m:walk", "m:fail"]);
    let deep: Vec<Frame> = (0..200)
        .map(|i| {
            frame(
                &format!("m{}", char::from(b'a' + i % 26)),
                &format!("name{}", "x".repeat(usize::from(i))),
                "",
            )
        })
        .collect();
    assert_eq!(frame_parts(&deep).len(), MOST_FRAMES);
}
