//! What the commands for users, clients, keys, roles and tokens share: they work on the store
//! itself, beside a running server or without one, and print words or JSON.

use std::{
    io::{IsTerminal as _, Read as _},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Failure, Settings};
use crate::{
    access::{Caller, Identity},
    audit::{Code, Event, Outcome, Recorder},
    auth::{
        AuthError,
        manage::{self, Made, Managed, Management, When, duration},
        password::Passwords,
        records::{Found, Records},
        upkeep::latest_time,
    },
    clock::SystemClock,
    engine::MessageDesk,
    server::{self, Purpose},
    store::Store,
};

/// What each of these commands takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Print JSON, for scripts
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub settings: Settings,
}

/// The open store, and what administrators do on it.
pub struct Office {
    pub desk: Management,
    store: Arc<Store>,
    json: bool,
}

impl Common {
    /// Opens the store beside whoever has it.
    pub async fn open(&self) -> Result<Office, Failure> {
        let config = self.settings.begin()?;
        let store = Arc::new(server::open_store(&config, Purpose::Manage).await?);
        let records = Records::new(Arc::clone(&store));
        // No less than the server shows, whose tokens these are.
        let latest = latest_time(&store).await?;
        let clock = Arc::new(SystemClock::not_before(latest));
        Ok(Office {
            desk: Management::new(records, Passwords::default(), clock),
            store,
            json: self.json,
        })
    }
}

impl Office {
    /// Notes in the audit what was changed, if it was, and closes the store.
    pub async fn close(
        self,
        done: Result<(), Failure>,
        change: Option<String>,
    ) -> Result<ExitCode, Failure> {
        let Self { desk, store, .. } = self;
        let noted = match change.filter(|_| done.is_ok()) {
            Some(change) => note(&store, desk.now(), change).await,
            None => Ok(()),
        };
        drop(desk);
        server::close(store).await;
        done.and(noted).map(|()| ExitCode::SUCCESS)
    }

    /// The messages of the store.
    pub fn messages(&self) -> MessageDesk {
        MessageDesk::new(Arc::clone(&self.store))
    }

    /// Whether scripts read what is printed.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Prints a list: as JSON, or a line for each in the words of `line`.
    pub fn print_all(&self, all: &[Value], line: impl Fn(&Value) -> String) {
        if self.json {
            return println!("{}", pretty(&json!(all)));
        }
        for one in all {
            println!("{}", line(one));
        }
    }

    /// Prints one: as JSON, or a line for each element.
    pub fn print(&self, one: &Value) {
        if self.json {
            return println!("{}", pretty(one));
        }
        let elements = one.as_object().into_iter().flatten();
        for (name, value) in elements.filter(|(_, value)| !is_empty(value)) {
            println!("{name}: {}", plain(value));
        }
    }

    /// Prints what was made; its secrets with the sentence that they are shown this once.
    pub fn print_made<T: Managed>(&self, made: &Made<T>) {
        let mut one = manage::shown(&made.found);
        if self.json {
            for (name, secret) in &made.secrets {
                one[*name] = json!(secret);
            }
            return self.print(&one);
        }
        self.print(&one);
        for (name, secret) in &made.secrets {
            println!("{name}: {secret}");
            println!("  (shown this once: only a hash is kept)");
        }
    }

    /// Prints what was done, unless scripts read.
    pub fn say(&self, sentence: &str) {
        if !self.json {
            println!("{sentence}");
        }
    }

    /// All of a kind.
    pub async fn all<T: Managed>(&self) -> Result<Vec<Found<T>>, Failure> {
        const PAGE: usize = 500;
        let mut all: Vec<Found<T>> = Vec::new();
        loop {
            let after = all.last().map_or(String::new(), |last| last.id.clone());
            let page = T::list(&self.desk, &after, PAGE).await?;
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Changes one as `change` says; again if somebody else was faster.
    pub async fn change<T: Managed>(
        &self,
        id: &str,
        change: impl Fn(&mut T::Draft),
    ) -> Result<Found<T>, Failure> {
        loop {
            let old = T::get(&self.desk, id).await?;
            let mut draft = old.value.draft();
            change(&mut draft);
            match T::replace(&self.desk, old, draft).await {
                Err(AuthError::Conflict) => {}
                other => return Ok(other?),
            }
        }
    }
}

async fn note(store: &Arc<Store>, now: i64, change: String) -> Result<(), Failure> {
    let caller = Caller {
        identity: Arc::new(Identity {
            client: Some("command-line".to_owned()),
            ..Identity::default()
        }),
        address: None,
        request: String::new(),
    };
    let event = Event::plain(&caller, now, Code::AdminChange, Outcome::Success);
    let recorder = Recorder::start(Arc::clone(store));
    recorder.record(&event.saying(change)).await?;
    Ok(recorder.flush().await?)
}

/// A secret from standard input: in no argument, and in no list of processes.
pub fn secret_from_stdin() -> Result<String, Failure> {
    const LONGEST: u64 = 4_096;
    let mut input = std::io::stdin();
    if input.is_terminal() {
        eprintln!("type the password, then Enter and Ctrl-D:");
    }
    let mut text = String::new();
    input.by_ref().take(LONGEST).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// A moment from an argument: a date, or a length of time from now.
pub fn moment(text: &str, now: i64) -> Result<When, Failure> {
    match (duration(text), text.parse::<When>()) {
        (Ok(length), _) => Ok(When(now.saturating_add(length))),
        (Err(_), Ok(when)) => Ok(when),
        (Err(_), Err(reason)) => Err(Failure(format!("{reason}, or a length of time as in 30d"))),
    }
}

/// Scopes from arguments, each of which may hold several.
pub fn scopes(arguments: &[String]) -> Vec<String> {
    let words = arguments.iter().flat_map(|text| text.split_whitespace());
    words.map(str::to_owned).collect()
}

/// Takes the value of an argument, if it was given; an empty one is none.
pub fn set(target: &mut Option<String>, given: Option<&String>) {
    if let Some(text) = given {
        *target = Some(text.clone()).filter(|text| !text.is_empty());
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Object(members) => members.values().all(is_empty),
        _ => false,
    }
}

/// A value in a line of words.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(members) => of_members(members),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn of_members(members: &Map<String, Value>) -> String {
    let shown = members.iter().filter(|(_, value)| !is_empty(value));
    let parts = shown.map(|(name, value)| format!("{name}={}", plain(value)));
    parts.collect::<Vec<_>>().join(",")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|error| error.to_string())
}
