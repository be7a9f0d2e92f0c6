//! A headless Chromium, told what to do over the DevTools protocol.
//!
//! *Assumes* the program `chromium` (scripts/setup --test). *Guarantees* a profile of its own; that each
//! answer has a deadline; and that the browser ends with this value or with the test's process, however
//! that ends: it is told over a pipe (`--remote-debugging-pipe`), whose end of file is its end. No port
//! is opened.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// Far above what any answer takes, on a machine that is busy with other tests too.
const PATIENCE: Duration = Duration::from_secs(60);

/// The browser, and one page in it.
pub(super) struct Browser {
    process: Child,
    /// None once it is told to end.
    orders: Option<ChildStdin>,
    answers: Receiver<Value>,
    last_id: u64,
    session: Option<String>,
    /// What the page complained of.
    complaints: Vec<String>,
    folder: tempfile::TempDir,
}

impl Browser {
    /// Starts one, with an empty page of that size.
    pub(super) fn start(width: u32, height: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let said = std::fs::File::create(folder.path().join("stderr")).unwrap();
        // It reads orders from descriptor 3 and writes answers to 4.
        let mut process = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null"])
            .args(["sh", "--headless=new", "--remote-debugging-pipe"])
            // Its sandbox wants privileges that neither root nor a container gives it; it sees our page only.
            .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args([
                "--disable-sync",
                "--disable-extensions",
                "--hide-scrollbars",
            ])
            .args([
                "--force-device-scale-factor=1",
                "--force-color-profile=srgb",
            ])
            .arg(format!("--window-size={width},{height}"))
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .arg("about:blank")
            .env("HOME", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .spawn()
            .unwrap();
        let (sender, answers) = channel();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|n| n > 0) {
                message.pop();
                if let Ok(value) = serde_json::from_slice(&message)
                    && sender.send(value).is_err()
                {
                    break;
                }
                message.clear();
            }
        });
        let mut browser = Self {
            orders: process.stdin.take(),
            process,
            answers,
            last_id: 0,
            session: None,
            complaints: Vec::new(),
            folder,
        };
        let target = browser.tell("Target.createTarget", json!({ "url": "about:blank" }));
        let target = &target["targetId"];
        let order = json!({ "targetId": target, "flatten": true });
        let attached = browser.tell("Target.attachToTarget", order);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.tell(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(width, height);
        browser
    }

    /// Gives an order, and waits for its answer.
    pub(super) fn tell(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut order = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut octets = serde_json::to_vec(&order).unwrap();
        octets.push(0);
        let told = self.orders.as_mut().unwrap().write_all(&octets);
        if told.is_err() {
            self.fail(method);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left) {
                Ok(answer) if answer["id"] == id => {
                    assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                    return answer["result"].clone();
                }
                Ok(event) => self.note(&event),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    self.fail(method)
                }
            }
        }
    }

    fn fail(&mut self, method: &str) -> ! {
        let said = std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        let ended = self.process.try_wait();
        panic!(
            "chromium did not answer `{method}` ({ended:?}): is it installed (scripts/setup --test)? It said:\n{said}"
        );
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params.to_string()),
            Some("Runtime.consoleAPICalled") => self.complaints.push(params["args"].to_string()),
            Some("Log.entryAdded") => self.complaints.push(params["entry"].to_string()),
            _ => {}
        }
    }

    /// What the page has complained of so far: exceptions, and everything written to its console.
    pub(super) fn complaints(&mut self) -> Vec<String> {
        // An answer comes after the events before it.
        self.evaluate("0");
        self.complaints.clone()
    }

    pub(super) fn resize(&mut self, width: u32, height: u32) {
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Makes the system's colours `light` or `dark`, or the medium `print`.
    pub(super) fn emulate(&mut self, medium: &str, scheme: &str) {
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell(
            "Emulation.setEmulatedMedia",
            json!({ "media": medium, "features": scheme }),
        );
    }

    /// Opens a file, and waits until it is loaded.
    pub(super) fn open(&mut self, file: &Path) {
        let url = format!("file://{}", file.display());
        self.tell("Page.navigate", json!({ "url": url }));
        self.wait(&format!(
            "location.href.startsWith({url:?}) && document.readyState === 'complete'"
        ));
    }

    /// The value of an expression in the page.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let answer = self.tell(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true }),
        );
        let thrown = &answer["exceptionDetails"];
        assert!(thrown.is_null(), "{expression}: {thrown}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page.
    pub(super) fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        let next_frame = "new Promise((done) => setTimeout(done, 20))";
        while self.evaluate(expression) != json!(true) {
            assert!(Instant::now() < deadline, "never came true: {expression}");
            self.evaluate(next_frame);
        }
    }

    /// Presses a key, as if by hand.
    pub(super) fn press(&mut self, key: &str) {
        let text = if key == " " { " " } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let code = if key == " " { "Space" } else { key };
            self.tell(
                "Input.dispatchKeyEvent",
                json!({ "type": kind, "key": key, "code": code, "text": if kind == "keyDown" { text } else { "" } }),
            );
        }
    }

    /// Drags the mouse from one place to another; of equal places, clicks.
    pub(super) fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        for (kind, (x, y), buttons) in [
            ("mouseMoved", from, 0),
            ("mousePressed", from, 1),
            ("mouseMoved", to, 1),
            ("mouseReleased", to, 0),
        ] {
            let button = if kind == "mouseMoved" && buttons == 0 {
                "none"
            } else {
                "left"
            };
            self.tell(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1 }),
            );
        }
    }

    /// Waits until the page has drawn what it was told, and what follows from that.
    fn draw(&mut self) {
        self.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))",
        );
    }

    /// Where an element is in the window: left, top, width, height. It is scrolled to first.
    pub(super) fn place(&mut self, selector: &str) -> (f64, f64, f64, f64) {
        self.draw();
        self.evaluate(&format!(
            "document.querySelector({selector:?}).scrollIntoView({{ block: 'center' }})"
        ));
        self.draw();
        let found = self.evaluate(&format!(
            "(() => {{ const b = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [b.x, b.y, b.width, b.height]; }})()"
        ));
        let at = |i: usize| found[i].as_f64().unwrap();
        (at(0), at(1), at(2), at(3))
    }

    /// A picture of an element.
    pub(super) fn picture(&mut self, selector: &str) -> Picture {
        let (x, y, width, height) = self.place(selector);
        // Clips are counted from the top of the document.
        let scrolled = self.evaluate("[scrollX, scrollY]");
        let from = |i: usize, at: f64| scrolled[i].as_f64().unwrap() + at;
        let (x, y) = (from(0, x), from(1, y));
        let clip = json!({ "x": x, "y": y, "width": width, "height": height, "scale": 1 });
        let order = json!({ "format": "png", "clip": clip, "captureBeyondViewport": false });
        let answer = self.tell("Page.captureScreenshot", order);
        Picture::decode(
            &BASE64_STANDARD
                .decode(answer["data"].as_str().unwrap())
                .unwrap(),
        )
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.orders.take();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            match self.process.try_wait() {
                Ok(None) => std::thread::yield_now(),
                _ => return,
            }
            // Its answers end when it does.
            let _ = self.answers.recv_timeout(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Pixels.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Red, green and blue of each, row by row.
    pub(super) pixels: Vec<[u8; 3]>,
}

impl Picture {
    pub(super) fn decode(file: &[u8]) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut octets = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut octets).unwrap();
        let each = info.color_type.samples();
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        assert!(each >= 3, "a picture in colours: {:?}", info.color_type);
        let pixels = octets[..info.buffer_size()].chunks_exact(each);
        Self {
            width: info.width as usize,
            height: info.height as usize,
            pixels: pixels.map(|p| [p[0], p[1], p[2]]).collect(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(self.pixels.as_flattened()).unwrap();
        writer.finish().unwrap();
        file
    }

    /// The colour at a place given as shares of width and height.
    pub(super) fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let index = |share: f64, n: usize| ((share * n as f64) as usize).min(n - 1);
        self.pixels[index(y, self.height) * self.width + index(x, self.width)]
    }

    /// The share of pixels that differ visibly from another picture's of the same size.
    pub(super) fn difference(&self, other: &Self) -> f64 {
        assert_eq!((self.width, self.height), (other.width, other.height));
        let differs =
            |(a, b): &(&[u8; 3], &[u8; 3])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 48);
        let n = self
            .pixels
            .iter()
            .zip(&other.pixels)
            .filter(differs)
            .count();
        n as f64 / self.pixels.len() as f64
    }
}
