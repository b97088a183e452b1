//! Somebody at a browser, as far as a test needs one: cookies, redirects, and the fields that a
//! page hides.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::{
    client::{Answer, Client},
    world::{PASSWORD, World, encode},
};

pub struct Person {
    address: SocketAddr,
    issuer: String,
    pub cookies: BTreeMap<String, String>,
    /// The page that they see.
    pub page: String,
    pub status: u16,
    /// Where the page is, or the redirect that leads away.
    pub at: String,
    pub headers: Vec<(String, String)>,
}

impl Person {
    pub fn new(world: &World) -> Self {
        Self {
            address: world.address,
            issuer: world.issuer.clone(),
            cookies: BTreeMap::new(),
            page: String::new(),
            status: 0,
            at: String::new(),
            headers: Vec::new(),
        }
    }

    /// Somebody who is logged in.
    pub async fn logged_in(world: &World, login: &str) -> Self {
        let mut person = Self::new(world);
        person.log_in("/auth/login", login).await;
        assert_eq!(person.at, "/auth/account", "{}", person.page);
        person
    }

    /// Opens `path` and logs in where it leads.
    pub async fn log_in(&mut self, path: &str, login: &str) {
        self.open(path).await;
        assert!(
            self.at.starts_with("/auth/login"),
            "{}: {}",
            self.at,
            self.page
        );
        self.send("/auth/login", &[("login", login), ("password", PASSWORD)])
            .await;
    }

    pub async fn open(&mut self, path: &str) {
        self.request("GET", path, &[], "").await;
    }

    /// Sends a form of the page that is open, with what it hides.
    pub async fn send(&mut self, action: &str, fields: &[(&str, &str)]) {
        let hidden = self.hidden(action);
        let mut all: Vec<(&str, &str)> = hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        all.extend(fields);
        self.post(action, &all, &[]).await;
    }

    /// Sends a form with exactly these fields.
    pub async fn post(&mut self, action: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) {
        self.request("POST", action, headers, &encode(fields)).await;
    }

    async fn request(&mut self, method: &str, path: &str, more: &[(&str, &str)], body: &str) {
        let answer = self.once(method, path, more, body).await;
        self.take(path, answer);
        for _ in 0..8 {
            if self.status != 303 {
                return;
            }
            let to = self.header("location").unwrap().to_owned();
            let to = to.strip_prefix(&self.issuer).unwrap_or(&to).to_owned();
            if !to.starts_with('/') {
                self.at = to;
                return;
            }
            let answer = self.once("GET", &to, &[], "").await;
            self.take(&to, answer);
        }
        panic!("redirects without end: {}", self.at);
    }

    async fn once(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("Cookie", cookies.as_str())];
        if method == "POST" {
            headers.push(("Content-Type", "application/x-www-form-urlencoded"));
        }
        headers.extend(more);
        let mut http = Client::connect(self.address).await;
        http.send(method, path, &headers, body.as_bytes()).await
    }

    fn take(&mut self, path: &str, answer: Answer) {
        for (name, value) in &answer.headers {
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            assert!(value.contains("; HttpOnly; SameSite=Lax"), "{value}");
            let (name, rest) = value.split_once('=').unwrap();
            let (value, attributes) = rest.split_once(';').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self.at = path.to_owned();
        self.status = answer.status;
        self.page = answer.text();
        self.headers = answer.headers;
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The hidden fields of the form with this action.
    fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let forms = self.page.split("<form ").skip(1);
        let form = forms
            .filter_map(|form| form.split_once("</form>").map(|(form, _)| form))
            .find(|form| form.contains(&format!("action=\"{action}\"")))
            .unwrap_or_else(|| panic!("no form {action} at {}: {}", self.at, self.page));
        form.split("<input ")
            .filter(|input| input.starts_with("type=\"hidden\""))
            .map(|input| (attribute(input, "name"), attribute(input, "value")))
            .collect()
    }

    /// The values of the boxes of a name.
    pub fn boxes(&self, name: &str) -> Vec<String> {
        let inputs = self.page.split("<input ").skip(1);
        inputs
            .filter(|input| input.contains("type=\"checkbox\""))
            .filter(|input| attribute(input, "name") == name)
            .map(|input| attribute(input, "value"))
            .collect()
    }

    #[track_caller]
    pub fn sees(&self, text: &str) {
        assert!(
            self.page.contains(text),
            "no '{text}' at {}: {}",
            self.at,
            self.page
        );
    }
}

fn attribute(tag: &str, name: &str) -> String {
    let start = tag.find(&format!("{name}=\"")).unwrap() + name.len() + 2;
    let value = tag[start..].split('"').next().unwrap();
    value
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&quot;", "\"")
}
