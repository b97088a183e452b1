//! A client of WebDriver (W3C), as far as a test of pages needs one: Chromium, driven by
//! chromedriver, with JavaScript turned off.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::client::Client;

/// The key of an element in answers of WebDriver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub struct Browser {
    address: SocketAddr,
    session: String,
    driver: Child,
}

impl Browser {
    /// A new window of a new browser.
    pub async fn start(scripts: bool) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (tests/run.sh does it)");
        let mut output = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = output
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse::<u16>().ok()
            })
            .expect("chromedriver says its port");
        // It must never wait for somebody to read what it says.
        std::thread::spawn(move || output.for_each(drop));
        let mut browser = Self {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            session: String::new(),
            driver,
        };
        let javascript = if scripts { 1 } else { 2 };
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1000,1300",
                "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                "--host-resolver-rules=MAP app.example 127.0.0.1"],
            "prefs": {
                "profile.managed_default_content_settings.javascript": javascript,
                "profile.default_content_setting_values.javascript": javascript,
                "profile.password_manager_leak_detection": false,
                "credentials_enable_service": false,
            },
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
            "timeouts": {"pageLoad": 30_000, "implicit": 0},
        }}});
        let made = browser.call("POST", "/session", &wanted).await;
        browser.session = made["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("{made}"))
            .to_owned();
        browser
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = match method {
            "POST" => body.to_string(),
            _ => String::new(),
        };
        let mut http = Client::connect(self.address).await;
        let headers = [("Host", "localhost"), ("Content-Type", "application/json")];
        let answer = http.send(method, path, &headers, body.as_bytes()).await;
        answer.json()["value"].clone()
    }

    async fn of_session(&self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/session/{}{path}", self.session);
        self.call(method, &path, body).await
    }

    pub async fn open(&self, url: &str) {
        let answer = self
            .of_session("POST", "/url", &json!({ "url": url }))
            .await;
        assert!(answer.is_null(), "{url}: {answer}");
    }

    pub async fn back(&self) {
        self.of_session("POST", "/back", &json!({})).await;
    }

    pub async fn url(&self) -> String {
        let url = self.of_session("GET", "/url", &Value::Null).await;
        url.as_str().unwrap_or_default().to_owned()
    }

    /// The text of the page as people see it.
    pub async fn text(&self) -> String {
        let body = self.element("body").await;
        let text = self
            .of_session("GET", &format!("/element/{body}/text"), &Value::Null)
            .await;
        text.as_str().unwrap_or_default().to_owned()
    }

    pub async fn source(&self) -> String {
        let source = self.of_session("GET", "/source", &Value::Null).await;
        source.as_str().unwrap_or_default().to_owned()
    }

    async fn find(&self, css: &str) -> Option<String> {
        let by = json!({ "using": "css selector", "value": css });
        let found = self.of_session("POST", "/element", &by).await;
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// The element, as soon as it is there.
    async fn element(&self, css: &str) -> String {
        for _ in 0..100 {
            if let Some(found) = self.find(css).await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {css} at {}: {}", self.url().await, self.source().await);
    }

    pub async fn has(&self, css: &str) -> bool {
        self.find(css).await.is_some()
    }

    /// Does something to an element, again if the page changed just then.
    async fn act(&self, css: &str, what: &str, body: &Value) {
        for _ in 0..20 {
            let element = self.element(css).await;
            let path = format!("/element/{element}/{what}");
            let answer = self.of_session("POST", &path, body).await;
            if answer["error"] != "stale element reference" {
                assert!(answer.is_null(), "{what} {css}: {answer}");
                return;
            }
        }
        panic!("{css} does not stay");
    }

    pub async fn click(&self, css: &str) {
        self.act(css, "click", &json!({})).await;
    }

    /// Types into a field in the place of what is there.
    pub async fn write(&self, css: &str, text: &str) {
        self.act(css, "clear", &json!({})).await;
        self.act(css, "value", &json!({ "text": text })).await;
    }

    pub async fn is_ticked(&self, css: &str) -> bool {
        let element = self.element(css).await;
        let path = format!("/element/{element}/selected");
        self.of_session("GET", &path, &Value::Null).await == true
    }

    /// Goes into the first frame of the page.
    pub async fn enter_frame(&self) {
        let first = json!({ "id": 0 });
        self.of_session("POST", "/frame", &first).await;
    }

    /// Waits until the page says `text`.
    pub async fn sees(&self, text: &str) {
        for _ in 0..200 {
            if self.text().await.contains(text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no '{text}' at {}: {}", self.url().await, self.text().await);
    }

    /// Waits until an element is there.
    pub async fn shows(&self, css: &str) {
        self.element(css).await;
    }

    /// Waits until the address holds `part`.
    pub async fn arrives(&self, part: &str) {
        for _ in 0..200 {
            if self.url().await.contains(part) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "not at {part}, but at {}: {}",
            self.url().await,
            self.text().await
        );
    }

    /// A picture of the page, for whoever wants to look: into the folder that
    /// `ROTUNDA_SCREENSHOTS` names.
    pub async fn picture(&self, name: &str) {
        use base64::Engine as _;
        let Ok(folder) = std::env::var("ROTUNDA_SCREENSHOTS") else {
            return;
        };
        let picture = self.of_session("GET", "/screenshot", &Value::Null).await;
        let picture = base64::prelude::BASE64_STANDARD.decode(picture.as_str().unwrap());
        std::fs::write(format!("{folder}/{name}.png"), picture.unwrap()).unwrap();
    }

    /// Makes the window as wide as a phone's, and pages dark.
    pub async fn on_a_dark_phone(&self) {
        let path = "/goog/cdp/execute";
        for (cmd, params) in [
            (
                "Emulation.setDeviceMetricsOverride",
                json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": true}),
            ),
            (
                "Emulation.setEmulatedMedia",
                json!({"features": [{"name": "prefers-color-scheme", "value": "dark"}]}),
            ),
        ] {
            let body = json!({ "cmd": cmd, "params": params });
            self.of_session("POST", path, &body).await;
        }
    }

    /// Pixels by which the page is wider than the window.
    pub async fn overflow(&self) -> f64 {
        let body = json!({
            "cmd": "Page.getLayoutMetrics", "params": {},
        });
        let metrics = self.of_session("POST", "/goog/cdp/execute", &body).await;
        let width = |name: &str, field: &str| metrics[name][field].as_f64().unwrap();
        width("cssContentSize", "width") - width("cssLayoutViewport", "clientWidth")
    }

    pub async fn stop(mut self) {
        self.of_session("DELETE", "", &Value::Null).await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
    }
}
