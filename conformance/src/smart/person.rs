//! Who logs in and agrees: a robot that fills in the forms of pages, or somebody with a browser.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use super::{
    page::{Control, Form, forms},
    web::{Answer, Call, Web},
};

/// How long somebody with a browser may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// Pages between an app and its answer.
const MOST_PAGES: usize = 20;
const YES: [&str; 8] = [
    "allow",
    "approve",
    "authorize",
    "accept",
    "agree",
    "continue",
    "log in",
    "sign in",
];
const NO: [&str; 6] = ["deny", "not ", "cancel", "refuse", "reject", "log out"];

/// What is said of a page from which the app is not reached.
pub const DEAD_END: &str = "has no form that leads on";

/// What came back to the app, by name.
pub type Back = BTreeMap<String, String>;

/// A user.
pub struct Person {
    web: Web,
    way: Way,
    cookies: BTreeMap<(String, String), String>,
    /// On consent pages, what names this is not ticked.
    pub unticked: Option<String>,
    /// Whether there was something to untick.
    pub has_unticked: bool,
}

/// How the user gets at pages.
#[derive(Debug, Clone)]
pub enum Way {
    /// By log-in name, password and, where it is asked for, this patient.
    Robot {
        /// Log-in name.
        login: String,
        /// Password.
        password: String,
        /// The patient's id.
        patient: Option<String>,
    },
    /// With a browser: addresses are printed, and the app's redirect is listened at.
    Browser,
}

impl Person {
    /// Somebody without cookies.
    pub fn new(web: &Web, way: Way) -> Self {
        Self {
            web: web.clone(),
            way,
            cookies: BTreeMap::new(),
            unticked: None,
            has_unticked: false,
        }
    }

    /// Opens an address of the server and goes on until the app at `redirect` is called.
    ///
    /// # Errors
    /// The app is not called.
    pub async fn visit(&mut self, call: Call, redirect: &str) -> Result<Back, String> {
        match self.way {
            Way::Robot { .. } => self.walk(call, redirect).await,
            Way::Browser => {
                let back = tokio::time::timeout(PATIENCE, wait(&call, redirect)).await;
                back.unwrap_or_else(|_| Err("nobody came back to the app".to_owned()))
            }
        }
    }

    async fn walk(&mut self, first: Call, redirect: &str) -> Result<Back, String> {
        let (mut call, mut pages) = (first, 0);
        while pages < MOST_PAGES {
            let at = Url::parse(call.url()).map_err(|error| error.to_string())?;
            let host = at.host_str().unwrap_or_default().to_owned();
            let own = self.cookies.iter().filter(|((of, _), _)| *of == host);
            let cookies: Vec<String> = own
                .map(|((_, name), value)| format!("{name}={value}"))
                .collect();
            if !cookies.is_empty() {
                call = call.header("cookie", &cookies.join("; "));
            }
            let answer = self.web.send(&call).await?;
            self.keep(&host, &answer);
            pages += 1;
            let to = match (answer.status, answer.header("location")) {
                (300..=399, Some(to)) => at.join(to).map_err(|error| format!("{to}: {error}"))?,
                _ => {
                    call = self.answer(&at, &answer)?;
                    continue;
                }
            };
            if to.as_str().split('?').next() == Some(redirect) {
                return Ok(to.query_pairs().into_owned().collect());
            }
            call = Call::get(to.as_str());
        }
        Err("the pages have no end".to_owned())
    }

    fn keep(&mut self, host: &str, answer: &Answer) {
        let set = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie");
        for (_, text) in set {
            let pair = text.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = (host.to_owned(), name.trim().to_owned());
            let is_over = value.is_empty() || text.to_ascii_lowercase().contains("max-age=0");
            match is_over {
                true => self.cookies.remove(&key),
                false => self.cookies.insert(key, value.to_owned()),
            };
        }
    }

    /// Fills in what a page asks.
    fn answer(&mut self, at: &Url, answer: &Answer) -> Result<Call, String> {
        let title = answer.body.split("<title>").nth(1).unwrap_or_default();
        let title = title.split('<').next().unwrap_or_default();
        let forms = forms(&answer.body);
        let (form, button) = self
            .choice(&forms)
            .ok_or_else(|| format!("{} '{title}' at {} {DEAD_END}", answer.status, at.path()))?;
        let mut fields: Vec<(String, String)> = Vec::new();
        for control in &form.controls {
            let value = match (control.kind.as_str(), &self.way) {
                ("submit" | "button" | "image" | "reset", _) => continue,
                ("password", Way::Robot { password, .. }) => password.clone(),
                ("text" | "email" | "username", Way::Robot { login, .. })
                    if control.value.is_empty() =>
                {
                    login.clone()
                }
                ("checkbox" | "radio", _) if !control.checked && !is(control, button) => continue,
                ("checkbox", _)
                    if self
                        .unticked
                        .as_ref()
                        .is_some_and(|word| control.value.contains(word)) =>
                {
                    self.has_unticked = true;
                    continue;
                }
                _ => control.value.clone(),
            };
            fields.push((control.name.clone(), value));
        }
        if let Some(button) = button.filter(|button| button.kind != "radio") {
            fields.push((button.name.clone(), button.value.clone()));
        }
        let fields: Vec<(&str, &str)> = (fields.iter())
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let mut to = at
            .join(&form.action)
            .map_err(|error| format!("{}: {error}", form.action))?;
        if form.method == "post" {
            let origin = at.origin().ascii_serialization();
            return Ok(Call::form(to.as_str(), &fields).header("origin", &origin));
        }
        to.query_pairs_mut().clear().extend_pairs(fields);
        Ok(Call::get(to.as_str()))
    }

    /// The form that leads on, and what is pressed: a log-in first, then the patient, then a yes.
    fn choice<'f>(&self, forms: &'f [Form]) -> Option<(&'f Form, Option<&'f Control>)> {
        let Way::Robot { patient, .. } = &self.way else {
            return None;
        };
        let says = |control: &Control, words: &[&str]| {
            words
                .iter()
                .any(|word| control.text.contains(word) || control.value.to_lowercase() == *word)
        };
        let pressed = |form: &'f Form, words: &[&str]| {
            let mut all = form
                .controls
                .iter()
                .filter(|one| one.kind == "submit" && !says(one, &NO));
            all.find(|one| words.is_empty() || says(one, words))
        };
        let log_in = forms
            .iter()
            .find(|form| form.controls.iter().any(|one| one.kind == "password"));
        if let Some(form) = log_in {
            return Some((form, pressed(form, &[])));
        }
        for form in forms.iter().filter(|_| patient.is_some()) {
            let is_it = |one: &&Control| {
                patient.as_deref() == Some(one.value.as_str()) && one.kind != "hidden"
            };
            if let Some(button) = form.controls.iter().find(is_it) {
                return Some((form, Some(button)));
            }
        }
        forms
            .iter()
            .find_map(|form| Some((form, Some(pressed(form, &YES)?))))
    }
}

fn is(control: &Control, other: Option<&Control>) -> bool {
    other.is_some_and(|other| other == control)
}

/// Prints the address, and waits for the browser to come to the redirect.
async fn wait(call: &Call, redirect: &str) -> Result<Back, String> {
    if call.is_post() {
        return Err("a form cannot be opened in a browser by its address".to_owned());
    }
    let url = Url::parse(redirect).map_err(|error| error.to_string())?;
    let address = (
        url.host_str().unwrap_or("127.0.0.1"),
        url.port_or_known_default().unwrap_or(80),
    );
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("cannot listen at {redirect}: {error}"))?;
    println!("\nOpen this address, log in and agree:\n{}\n", call.url());
    loop {
        let (mut stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let mut head = vec![0; 16 * 1024];
        let read = stream
            .read(&mut head)
            .await
            .map_err(|error| error.to_string())?;
        let head = String::from_utf8_lossy(&head[..read]).into_owned();
        let said = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nGo back to the checker.\n";
        let _ = stream.write_all(said.as_bytes()).await;
        let path = head.split(' ').nth(1).unwrap_or_default();
        let to = url.join(path).map_err(|error| error.to_string())?;
        if to.path() == url.path() {
            return Ok(to.query_pairs().into_owned().collect());
        }
    }
}
