//! Cases as text files: requests, and what is expected of their answers.
//!
//! ```text
//! # A remark.
//! ! update_create = false             (a setting of the server, before the first request)
//! > POST /fhir/Patient                (a request: its first line and its headers)
//! > Prefer: return=minimal
//! {"resourceType":"Patient"}          (its body, up to the next line with `<`)
//! < 201                               (the answer: status and headers)
//! < ETag: W/"1"                       (`*`: any value; `-`: must not be there)
//! < Location: ${base}/Patient/${id}/_history/1
//! ~ text that the body has            (`!~`: text that it does not have)
//! {"id":"${id}"}                      (JSON that the body has in it; `(empty)` for no body)
//! ```
//!
//! A body that begins with `{` is sent as `application/fhir+json` unless a header says otherwise.

use std::path::Path;

use crate::{
    client::{Answer, Client},
    json,
    pattern::{Names, fill, fits},
    server::{Database, Options, Server},
};

#[derive(Default)]
struct Step {
    line: usize,
    request: Vec<String>,
    request_body: String,
    expect: Vec<String>,
    has: Vec<String>,
    has_not: Vec<String>,
    body: String,
}

/// What a file says.
pub struct Case {
    name: String,
    options: Options,
    steps: Vec<Step>,
}

impl Case {
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let mut case = Self {
            name: path.display().to_string(),
            options: Options::default(),
            steps: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            case.take_line(number + 1, line);
        }
        case
    }

    fn take_line(&mut self, number: usize, line: &str) {
        if let Some(setting) = line.strip_prefix("! ") {
            let (key, value) = setting.split_once('=').expect("key = value");
            return self.options.set(key.trim(), value.trim());
        }
        if line.starts_with('#') || (line.trim().is_empty()) {
            return;
        }
        if let Some(head) = line.strip_prefix("> ") {
            let new = self.steps.last().is_none_or(|step| !step.expect.is_empty());
            if new {
                self.steps.push(Step {
                    line: number,
                    ..Step::default()
                });
            }
            self.step().request.push(head.to_owned());
        } else if let Some(head) = line.strip_prefix("< ") {
            self.step().expect.push(head.to_owned());
        } else if let Some(text) = line.strip_prefix("~ ") {
            self.step().has.push(text.to_owned());
        } else if let Some(text) = line.strip_prefix("!~ ") {
            self.step().has_not.push(text.to_owned());
        } else {
            let step = self.step();
            let body = if step.expect.is_empty() {
                &mut step.request_body
            } else {
                &mut step.body
            };
            body.push_str(line);
            body.push('\n');
        }
    }

    fn step(&mut self) -> &mut Step {
        self.steps.last_mut().expect("a request comes first")
    }

    /// Runs the case against a server of its own; what was not as expected.
    pub async fn run(&self, database: Database) -> Vec<String> {
        let server = Server::start(database, self.options.clone()).await;
        let mut names = Names::from([("base".to_owned(), server.base.clone())]);
        let mut wrong = Vec::new();
        for step in &self.steps {
            let answer = step.send(&server, &names).await;
            if let Err(reason) = step.check(&answer, &mut names) {
                let body: String = answer.text().chars().take(1_500).collect();
                wrong.push(format!(
                    "{}:{}: {}\n  {reason}\n  got {} {body}",
                    self.name, step.line, step.request[0], answer.status
                ));
                // What follows builds on this.
                break;
            }
        }
        server.stop().await;
        wrong
    }
}

impl Step {
    async fn send(&self, server: &Server, names: &Names) -> Answer {
        let line = fill(&self.request[0], names);
        let (method, path) = line.split_once(' ').expect("method and path");
        // Links are absolute.
        let path = path.strip_prefix(&server.origin()).unwrap_or(path);
        let mut headers: Vec<(String, String)> = self.request[1..]
            .iter()
            .map(|line| {
                let filled = fill(line, names);
                let (name, value) = filled.split_once(':').expect("name: value");
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        let body = fill(self.request_body.trim(), names);
        let typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if body.starts_with('{') && !typed {
            headers.push((
                "Content-Type".to_owned(),
                "application/fhir+json".to_owned(),
            ));
        }
        // `Content-Type: -` sends none.
        headers.retain(|(_, value)| value != "-");
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let mut client = Client::connect(server.address).await;
        client.send(method, path, &headers, body.as_bytes()).await
    }

    fn check(&self, answer: &Answer, names: &mut Names) -> Result<(), String> {
        let Some((status, headers)) = self.expect.split_first() else {
            return Err("the case expects nothing".to_owned());
        };
        if *status != answer.status.to_string() {
            return Err(format!("expected status {status}"));
        }
        for line in headers {
            let (name, wanted) = line.split_once(':').expect("name: value");
            let wanted = wanted.trim();
            let fine = match answer.header(name) {
                None => wanted == "-",
                Some(got) => wanted == "*" || (wanted != "-" && fits(wanted, got, names)),
            };
            if !fine {
                return Err(format!(
                    "header {name}: expected {wanted}, got {:?}",
                    answer.header(name)
                ));
            }
        }
        let text = answer.text();
        for wanted in &self.has {
            if !text.contains(&fill(wanted, names)) {
                return Err(format!("the body does not have: {wanted}"));
            }
        }
        for unwanted in &self.has_not {
            if text.contains(&fill(unwanted, names)) {
                return Err(format!("the body has: {unwanted}"));
            }
        }
        match self.body.trim() {
            "" => Ok(()),
            "(empty)" if text.is_empty() => Ok(()),
            "(empty)" => Err("expected no body".to_owned()),
            expected => json::part_of(expected, &text, names),
        }
    }
}
