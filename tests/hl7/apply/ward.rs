//! An engine with an applier, and short ways to send it messages and to look at what they did.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mllp::{Message, header::Header, message::Reading};
use rotunda::{
    engine::{MessageChange, MessageHead, MessageId, MessageOutcome, MessageState, NewMessage},
    hl7::{Applied, Applier, Channel, Context, Failure},
};
use serde_json::Value as Json;

use crate::fixture::{ALL, Database, Fixture, START, kind};

pub struct Ward {
    pub fixture: Fixture,
    pub applier: Arc<Applier>,
    pub channel: Channel,
    count: AtomicU64,
}

/// A patient's PID with a record number.
pub fn pid(number: &str) -> String {
    format!("PID|1||{number}^^^HOSP_A^MR||Testperson^Tilda||19700412|F")
}

/// PV1 of an inpatient in a bed, with a visit number.
pub fn pv1(bed: &str, visit: &str) -> String {
    format!(
        "PV1|1|I|{bed}||||5678^Attending^Ada||||||||||||{visit}^^^HOSP_A^VN\
         |||||||||||||||||||||||||20240131100000+0100"
    )
}

impl Ward {
    pub async fn new(database: Database) -> Self {
        let fixture = Fixture::new(database).await;
        Self {
            applier: Arc::new(Applier::new(Arc::clone(&fixture.engine))),
            fixture,
            channel: Channel {
                name: "ward".to_owned(),
                ..Channel::default()
            },
            count: AtomicU64::new(0),
        }
    }

    /// Sends segments behind an MSH of this type; the time is that of MSH-7 and EVN-2.
    pub async fn tell(&self, what: &str, time: &str, segments: &[&str]) -> Applied {
        self.ask(what, time, segments).await.unwrap()
    }

    pub async fn ask(&self, what: &str, time: &str, segments: &[&str]) -> Result<Applied, Failure> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let event = what.split('^').nth(1).unwrap_or_default();
        let mut text = format!(
            "MSH|^~\\&|ADTSYS|HOSP_A|HUB|HUB|{time}||{what}|M{number}|P|2.5.1\rEVN|{event}|{time}\r"
        );
        for segment in segments {
            text.push_str(segment);
            text.push('\r');
        }
        self.hear(text.into_bytes()).await
    }

    /// Applies a message as it came.
    pub async fn hear(&self, raw: Vec<u8>) -> Result<Applied, Failure> {
        let message = Message::parse(raw.into(), &Reading::default()).unwrap();
        let header = Header::of(&message);
        let id = MessageId(*uuid::Uuid::now_v7().as_bytes());
        let context = Context {
            channel: &self.channel,
            header: &header,
            id,
            received: START,
        };
        let record = |applied: &Applied| {
            MessageChange::Receive(Box::new(NewMessage {
                head: MessageHead {
                    id,
                    channel: self.channel.name.clone(),
                    sender: format!("{}|{}", header.sending.application, header.sending.facility),
                    control: header.control_id.clone(),
                    kind: header.kind(),
                    hash: [0; 16],
                    lines: Vec::new(),
                },
                raw: message.raw().clone(),
                state: MessageState::Done,
                attempts: 1,
                unless_since: None,
                outcome: MessageOutcome {
                    made: applied.made.clone(),
                    patients: applied.patients.clone(),
                    ..MessageOutcome::default()
                },
            }))
        };
        let applied = self.applier.apply(&message, &context, &record).await;
        let stored = self.fixture.engine.message(id).await.unwrap();
        assert_eq!(
            stored.is_some(),
            applied.is_ok(),
            "effect and record go together"
        );
        applied
    }

    /// What a search finds.
    pub async fn find(&self, name: &str, query: &[(&str, &str)]) -> Vec<Json> {
        let params: Vec<(String, String)> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = self
            .fixture
            .engine
            .matching(kind(name), &params, 100, &ALL)
            .await;
        let found = found.unwrap();
        found
            .iter()
            .map(|one| serde_json::from_slice(&one.body).unwrap())
            .collect()
    }

    /// The one that a search finds.
    pub async fn one(&self, name: &str, query: &[(&str, &str)]) -> Json {
        let mut found = self.find(name, query).await;
        assert_eq!(found.len(), 1, "{name} {query:?}: {found:#?}");
        found.remove(0)
    }

    /// The patient with a record number.
    pub async fn patient(&self, number: &str) -> Json {
        let token = format!("urn:rotunda:authority:HOSP_A|{number}");
        let found = self.find("Patient", &[("identifier", &token)]).await;
        // One that was replaced has its number still.
        let mut found: Vec<Json> = found
            .into_iter()
            .filter(|one| one["active"] != Json::Bool(false))
            .collect();
        assert_eq!(found.len(), 1, "{number}: {found:#?}");
        found.remove(0)
    }

    /// The visit with a number.
    pub async fn visit(&self, number: &str) -> Json {
        self.one("Encounter", &[("identifier", number)]).await
    }

    /// The name of the bed in which a visit is now, and how many places it has had.
    pub async fn bed(&self, visit: &Json) -> (Option<String>, usize) {
        let places = visit["location"].as_array().cloned().unwrap_or_default();
        let active = places.iter().find(|place| place["status"] == "active");
        let Some(active) = active else {
            return (None, places.len());
        };
        let id = active["location"]["reference"].as_str().unwrap();
        let place = self.read(id).await;
        let name = place["identifier"][0]["value"].as_str().unwrap().to_owned();
        (Some(name), places.len())
    }

    /// The newest version of `Type/id`.
    pub async fn read(&self, reference: &str) -> Json {
        let (name, id) = reference.split_once('/').unwrap();
        let found = self
            .fixture
            .engine
            .read(kind(name), id, &ALL)
            .await
            .unwrap();
        serde_json::from_slice(&found.body).unwrap()
    }
}

/// The codes of the problems of a refusal.
pub fn codes(refused: Result<Applied, Failure>) -> Vec<(String, &'static str)> {
    match refused.unwrap_err() {
        Failure::Content(problems) | Failure::Refused(problems) => problems
            .into_iter()
            .map(|problem| (problem.place, problem.code))
            .collect(),
        Failure::Later(why) => panic!("later: {why}"),
    }
}
