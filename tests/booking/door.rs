//! The ways in: the engine itself, or a server over HTTP, asked in the same words.

use std::sync::Arc;

use conformance::client::{Base, Connection};
use rotunda::{
    engine::{BookingCall, BookingReply, DoneStatus, Engine, Error, Operation, Target},
    search::decode,
};
use serde_json::{Value, json};

use crate::fixture::{ALL, Fixture, OPTIONS, doc, kind};

/// Somebody who asks.
pub enum Door {
    Engine(Arc<Engine>),
    Server(Connection),
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    /// It was done.
    pub fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The code of the refusal: `slot-taken`. Over HTTP `$book` puts it into a Bundle, as IHE has
    /// it.
    pub fn code(&self) -> &str {
        let code = &self.appointment()["issue"][0]["details"]["coding"][0]["code"];
        code.as_str().unwrap_or_default()
    }

    /// The Appointment that a booking operation or a write answers with, or the outcome.
    pub fn appointment(&self) -> &Value {
        match self.body["resourceType"].as_str() {
            Some("Bundle") => &self.body["entry"][0]["resource"],
            _ => &self.body,
        }
    }

    /// Its id.
    pub fn id(&self) -> String {
        let id = self.appointment()["id"].as_str();
        id.unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// The resources of a searchset.
    pub fn resources(&self) -> Vec<Value> {
        let entries = self.body["entry"].as_array().cloned().unwrap_or_default();
        let resources = entries.into_iter().map(|entry| entry["resource"].clone());
        resources
            .filter(|one| one["resourceType"] != "OperationOutcome")
            .collect()
    }
}

impl Door {
    pub fn of(f: &Fixture) -> Self {
        Self::Engine(Arc::clone(&f.engine))
    }

    pub fn to(base: &Base) -> Self {
        let headers = [("prefer".to_owned(), "return=representation".to_owned())];
        Self::Server(Connection::new(base, &headers))
    }

    /// Asks; there must be an answer.
    pub async fn ask(&mut self, method: &str, path: &str, body: Value) -> Answer {
        self.try_ask(method, path, body, None).await.unwrap()
    }

    /// With an `Idempotency-Key`.
    pub async fn ask_once(&mut self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        self.try_ask(method, path, body, Some(key)).await.unwrap()
    }

    /// Asks for what must be done.
    pub async fn must(&mut self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.ask(method, path, body).await;
        assert!(answer.is_done(), "{method} {path}: {answer:?}");
        answer
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.must("GET", path, Value::Null).await
    }

    /// Asks; a server may have ended.
    pub async fn try_ask(
        &mut self,
        method: &str,
        path: &str,
        body: Value,
        key: Option<&str>,
    ) -> Result<Answer, String> {
        let text = (!body.is_null()).then(|| body.to_string());
        match self {
            Self::Engine(engine) => Ok(match of_engine(engine, method, path, text, key).await {
                Ok((status, text)) => Answer {
                    status,
                    body: serde_json::from_str(&text).unwrap_or_default(),
                },
                Err(error) => Answer {
                    status: error.kind.status(),
                    body: serde_json::from_str(&error.outcome()).unwrap(),
                },
            }),
            Self::Server(connection) => {
                let patch = ("content-type", "application/json-patch+json");
                let mut headers: Vec<_> = key
                    .map(|key| ("idempotency-key", key))
                    .into_iter()
                    .collect();
                headers.extend((method == "PATCH").then_some(patch));
                let reply = connection.send(method, path, text, &headers).await?;
                Ok(Answer {
                    status: reply.status.as_u16(),
                    body: serde_json::from_slice(&reply.body).unwrap_or_default(),
                })
            }
        }
    }
}

async fn of_engine(
    engine: &Engine,
    method: &str,
    path: &str,
    body: Option<String>,
    key: Option<&str>,
) -> Result<(u16, String), Error> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let body = body.as_deref().map(doc);
    let target = |id: &str| Target::Id(id.to_owned());
    let operation = match (method, &parts[..]) {
        (_, ["Appointment", rest @ .., name]) if name.starts_with('$') => {
            let call = BookingCall {
                pairs: decode(query),
                body,
                id: rest.first().map(|id| (*id).to_owned()),
                key: key.map(str::to_owned),
                strict: true,
            };
            return call_of_engine(engine, name, &call).await;
        }
        ("POST", []) => {
            let text = engine.bundle(body.unwrap(), &OPTIONS, &ALL).await?;
            return Ok((200, text));
        }
        ("GET", [name, id]) => {
            let read = engine.read(kind(name), id, &ALL).await?;
            return Ok((200, String::from_utf8(read.body.to_vec()).unwrap()));
        }
        ("GET", [name]) => {
            let request = rotunda::engine::SearchRequest {
                scope: rotunda::engine::Scope::Type(kind(name)),
                params: decode(query),
                strict: true,
                explain: false,
            };
            return Ok((200, engine.search(&request, &ALL).await?));
        }
        ("POST", [name]) => Operation::Create {
            kind: kind(name),
            body: body.unwrap(),
            if_none_exist: None,
        },
        ("PUT", [name, id]) => Operation::Update {
            kind: kind(name),
            target: target(id),
            body: body.unwrap(),
            if_match: None,
            if_none_match_any: false,
        },
        ("PATCH", [name, id]) => Operation::Patch {
            kind: kind(name),
            target: target(id),
            patch: body.unwrap(),
            if_match: None,
        },
        ("DELETE", [name, id]) => Operation::Delete {
            kind: kind(name),
            target: target(id),
            if_match: None,
        },
        _ => panic!("{method} {path}"),
    };
    let mut done = match key {
        Some(key) => engine.submit_with_key(vec![operation], key, &ALL).await?,
        None => engine.submit(vec![operation], &ALL).await?,
    };
    let done = done.remove(0);
    let status = if done.status == DoneStatus::Created {
        201
    } else {
        200
    };
    let body = done
        .resource
        .map(|one| one.body.to_vec())
        .unwrap_or_default();
    Ok((status, String::from_utf8(body).unwrap()))
}

async fn call_of_engine(
    engine: &Engine,
    name: &str,
    call: &BookingCall,
) -> Result<(u16, String), Error> {
    let reply: BookingReply = match name {
        "$find" => return Ok((200, engine.find_appointments(call, &ALL).await?)),
        "$hold" => engine.hold_appointment(call, &ALL).await?,
        "$book" => engine.book_appointment(call, &ALL).await?,
        "$release" => engine.release_appointment(call, &ALL).await?,
        "$confirm" => engine.confirm_appointment(call, &ALL).await?,
        "$cancel" => engine.cancel_appointment(call, &ALL).await?,
        "$reschedule" => engine.reschedule_appointment(call, &ALL).await?,
        "$no-show" => engine.miss_appointment(call, &ALL).await?,
        "$waitlist" => engine.join_waitlist(call, &ALL).await?,
        "$accept-offer" => engine.accept_offer(call, &ALL).await?,
        "$decline-offer" => engine.decline_offer(call, &ALL).await?,
        _ => panic!("{name}"),
    };
    let status = if reply.is_created { 201 } else { 200 };
    let of = |body: &[u8]| json!({ "resource": serde_json::from_slice::<Value>(body).unwrap() });
    let entries: Vec<Value> = reply.appointments.iter().map(|one| of(&one.body)).collect();
    let bundle = json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries });
    Ok((status, bundle.to_string()))
}
