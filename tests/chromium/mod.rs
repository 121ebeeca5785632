//! One Chromium with one page, for the tests of the dashboard: open, look, wait, close.
//!
//! Waiting is always for something, with a deadline. Pictures go to Cargo's folder for tests.

mod devtools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use devtools::DevTools;

/// How long something may take to appear before the test fails; the page itself is told within about two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// One page in its own browser.
pub struct Tab {
    devtools: DevTools,
}

impl Tab {
    /// Opens a page of 1280 × 900 in the light scheme.
    pub fn open(url: &str) -> Tab {
        let tab = Tab {
            devtools: DevTools::start(),
        };
        tab.screen(1280, 900, "light");
        tab.go(url);
        tab
    }

    /// Loads an address, also the one that is already shown.
    #[track_caller]
    pub fn go(&self, url: &str) {
        let gone = self.devtools.call("Page.navigate", json!({"url": url}));
        assert_eq!(gone.get("errorText"), None, "{url}");
        self.until("the page is loaded", "document.readyState === 'complete'");
    }

    /// The value of a JavaScript expression; promises are awaited.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Value {
        let awaited = format!("(async () => ({expression}))()");
        let params = json!({"expression": awaited, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let mut answer = self.devtools.call("Runtime.evaluate", params);
        assert_eq!(answer.get("exceptionDetails"), None, "{expression}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn until(&self, what: &str, expression: &str) {
        self.until_after(what, expression, || ());
    }

    /// Waits until an expression is true, and does something before each look.
    #[track_caller]
    pub fn until_after(&self, what: &str, expression: &str, mut before: impl FnMut()) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            before();
            if self.value(expression) == Value::Bool(true) {
                return;
            }
            if Instant::now() > deadline {
                let picture = self.picture(&format!("failed-{what}"));
                let page = self.value("document.body.innerText");
                panic!(
                    "{what}: not within {PATIENCE:?}: {expression}; see {}; the page says: {page}; faults: {:?}",
                    picture.display(),
                    self.devtools.faults()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The text of the first element that a selector finds.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        let found = self.value(&format!("document.querySelector({selector:?})?.textContent ?? ''"));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Clicks the first element that a selector finds, which must be visible and enabled.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let ready = format!(
            "document.querySelector({selector:?})?.checkVisibility() && !document.querySelector({selector:?}).disabled"
        );
        self.until(&format!("{selector} can be clicked"), &ready);
        self.value(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Types into the element that has the focus, as a keyboard would.
    pub fn type_text(&self, text: &str) {
        self.devtools.call("Input.insertText", json!({"text": text}));
    }

    /// Presses Enter, which sends a form.
    pub fn press_enter(&self) {
        let key = |kind: &str| json!({"type": kind, "key": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"});
        self.devtools.call("Input.dispatchKeyEvent", key("keyDown"));
        self.devtools.call("Input.dispatchKeyEvent", key("keyUp"));
    }

    /// Lays the page out for a screen of this size, in this colour scheme.
    pub fn screen(&self, width: i64, height: i64, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools.call("Emulation.setEmulatedMedia", features);
    }

    /// Writes what the screen shows as a PNG into Cargo's folder for tests, and says where.
    pub fn view(&self, name: &str) -> PathBuf {
        self.shoot(name, json!({"format": "png"}))
    }

    /// The same of the whole page.
    pub fn picture(&self, name: &str) -> PathBuf {
        let size = self.devtools.call("Page.getLayoutMetrics", json!({}))["cssContentSize"].take();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        self.shoot(
            name,
            json!({"format": "png", "captureBeyondViewport": true, "clip": clip}),
        )
    }

    fn shoot(&self, name: &str, params: Value) -> PathBuf {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("dashboard-{name}.png"));
        let shot = self.devtools.call("Page.captureScreenshot", params);
        let png = STANDARD
            .decode(shot["data"].as_str().expect("a picture"))
            .expect("base64");
        std::fs::write(&file, png).expect("written");
        file
    }

    /// What went wrong in the page so far: uncaught errors, console errors, breaches of its policy.
    pub fn faults(&self) -> Vec<String> {
        self.devtools.faults()
    }

    /// Ends the browser; fails when the page had a fault.
    #[track_caller]
    pub fn close(self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "the page had faults: {faults:#?}");
    }
}
