//! A headless Chromium, driven over the WebDriver protocol of its own driver.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

/// Names of the program in Debian and elsewhere.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser window, closed when the value is dropped.
pub struct Browser {
    driver: Child,
    /// The port of the driver on loopback.
    port: u16,
    /// The path of the session, once there is one.
    session: String,
}

impl Browser {
    /// Opens a window; `None`, with a message, if Chromium or its driver is not installed.
    pub fn open() -> Option<Self> {
        let (browser, driver) = (BROWSERS.iter().find_map(|name| find(name)), find("chromedriver"));
        let (Some(browser), Some(driver)) = (browser, driver) else {
            eprintln!("skipped: there is no Chromium with its chromedriver (Debian: chromium, chromium-driver)");
            return None;
        };
        let (driver, port) = (0..3).find_map(|_| start(&driver)).expect("chromedriver names its port");
        let mut window = Self { driver, port, session: "/session".into() };
        // Root needs --no-sandbox; the last ones keep the browser from using the network.
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ];
        let options = json!({"binary": browser, "args": arguments});
        let wanted = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let session = window.post("", json!({"capabilities": {"alwaysMatch": wanted}}));
        window.session += &format!("/{}", session["sessionId"].as_str().unwrap());
        Some(window)
    }

    /// Opens the file.
    pub fn show(&self, page: &Path) {
        self.post("/url", json!({"url": format!("file://{}", page.display())}));
    }

    /// The value that `script` returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []}))
    }

    /// The complaints of the browser as soon as there are some, or none after ten seconds.
    pub fn first_complaints(&self) -> Vec<String> {
        let wait = || {
            sleep(Duration::from_millis(100));
            self.complaints()
        };
        (0..100).map(|_| wait()).find(|complaints| !complaints.is_empty()).unwrap_or_default()
    }

    /// The complaints of the browser since the last call.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"}));
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].as_str().unwrap().into()).collect()
    }

    /// Types `keys` into the first element that `selector` finds.
    pub fn type_into(&self, selector: &str, keys: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/value"), json!({"text": keys}));
    }

    /// Moves the pointer onto the first element that `selector` finds.
    pub fn point_at(&self, selector: &str) {
        let element = json!({ELEMENT: self.element(selector)});
        let step = json!({"type": "pointerMove", "duration": 0, "origin": element, "x": 0, "y": 0});
        let pointer = json!({"type": "pointer", "id": "mouse", "actions": [step]});
        self.post("/actions", json!({"actions": [pointer]}));
    }

    /// A screenshot of the first element that `selector` finds, as base64.
    pub fn picture_of(&self, selector: &str) -> String {
        let path = format!("/element/{}/screenshot", self.element(selector));
        self.call("GET", &path, None).as_str().unwrap().into()
    }

    /// Emulates a screen of `width` pixels with these media features.
    pub fn emulate(&self, width: u32, media: &str, features: &[(&str, &str)]) {
        let features: Vec<_> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let metrics = json!({"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 600});
        for (command, parameters) in [
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", json!({"media": media, "features": features})),
        ] {
            self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters}));
        }
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap().into()
    }

    fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, text) = self.request(method, path, &body.map_or(String::new(), |body| body.to_string())).unwrap();
        let mut answer: Value = serde_json::from_str(&text).unwrap();
        assert!(status.contains(" 200 "), "{method} {path}: {text}");
        answer["value"].take()
    }

    /// The status line and the body of the driver's answer.
    fn request(&self, method: &str, path: &str, body: &str) -> std::io::Result<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        let length = body.len();
        let headers = format!("Host: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n");
        write!(stream, "{method} {}{path} HTTP/1.1\r\n{headers}\r\n{body}", self.session)?;
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head)? > 0 {}
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap_or("0");
        let mut text = vec![0; length.trim().parse().unwrap()];
        stream.read_exact(&mut text)?;
        Ok((head.lines().next().unwrap_or_default().into(), String::from_utf8(text).unwrap()))
    }
}

/// The key of an element's id in the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Drop for Browser {
    fn drop(&mut self) {
        // Otherwise the driver would leave the browser running.
        let _ = self.request("DELETE", "", "");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The program `name` in the search path.
fn find(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Starts the driver on a port that it chooses; `None` if it ends instead, as it does when another process was given that
/// port in the same instant.
fn start(driver: &Path) -> Option<(Child, u16)> {
    let mut driver = Command::new(driver).arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("successfully on port ")?.1.trim_end_matches('.').to_owned())
    });
    let Some(port) = port else {
        let _ = driver.wait();
        return None;
    };
    Some((driver, port.parse().unwrap()))
}
