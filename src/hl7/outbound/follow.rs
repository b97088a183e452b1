//! From the log to the queue: each new version is looked at once, and what is to be sent because
//! of it is queued in the commit that says that it was looked at.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws_lc_rs::digest;
use bytes::Bytes;
use resources::model::ResourceType;
use serde_json::Value as Json;

use super::{
    destination::Destination,
    event::{self, relative},
    write::{Scribe, Told, Written},
};
use crate::engine::{
    Advanced, Engine, Error, ErrorKind, MessageChange, NewDelivery, Step, VersionRef,
};

/// Versions that are looked at together.
const CHUNK: usize = 100;
/// Resources that a message may name.
const MENTIONED: usize = 200;
/// How much may have been looked at without being kept, if nothing in it was to be sent.
const UNKEPT: i64 = 10_000;

/// What a message in the queue begins with that could not be written: the reason follows.
pub const UNWRITTEN: &[u8] = b"cannot be written: ";

/// Follows the log for one destination.
pub struct Follower {
    engine: Arc<Engine>,
    destination: Arc<Destination>,
    scribe: Arc<dyn Scribe>,
    kinds: Vec<ResourceType>,
    name: String,
    /// Where it is, as it is kept, and how far it has looked since.
    place: Option<(i64, i64)>,
}

impl Follower {
    /// For a destination. If it is new, the log is followed from now on.
    pub fn new(
        engine: Arc<Engine>,
        destination: Arc<Destination>,
        scribe: Arc<dyn Scribe>,
    ) -> Self {
        Self {
            kinds: event::kinds(&destination),
            name: format!("hl7:{}", destination.name),
            engine,
            destination,
            scribe,
            place: None,
        }
    }

    /// Finds out where it is; a destination that is new begins here.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn begin(&mut self) -> Result<(), Error> {
        if self.place.is_none() {
            let kept = self.engine.follower(&self.name, &self.kinds).await?;
            self.place = Some((kept, kept));
        }
        Ok(())
    }

    /// Looks at what is new, and queues what is to be sent; how many messages, and whether there
    /// may be more to look at.
    ///
    /// # Errors
    /// The store does not answer; then nothing counts as looked at.
    pub async fn look(&mut self) -> Result<(usize, bool), Error> {
        self.begin().await?;
        let Some((kept, seen)) = self.place else {
            return Ok((0, false));
        };
        let found = self.engine.follow_log(&self.kinds, seen, CHUNK).await?;
        let mut changes = Vec::new();
        for step in &found.steps {
            if let Some(delivery) = self.told(step).await? {
                changes.push(MessageChange::Queue(Box::new(delivery)));
            }
        }
        let queued = changes.len();
        let more = found.steps.len() >= CHUNK;
        if queued == 0 && found.reached - kept < UNKEPT {
            self.place = Some((kept, found.reached));
            return Ok((0, more));
        }
        changes.push(MessageChange::Advance(Advanced {
            follower: self.name.clone(),
            from: kept,
            to: found.reached,
        }));
        match self.engine.record_messages(changes).await {
            Ok(()) => {
                self.place = Some((found.reached, found.reached));
                Ok((queued, more))
            }
            // Another node was here.
            Err(error) if error.kind == ErrorKind::Conflict => {
                self.place = None;
                Ok((0, true))
            }
            Err(error) => {
                // It is not known whether it happened.
                self.place = None;
                Err(error)
            }
        }
    }

    /// Somebody else may have gone on.
    pub fn forget(&mut self) {
        self.place = None;
    }

    async fn told(&self, step: &Step) -> Result<Option<NewDelivery>, Error> {
        let versions = (step.before.as_ref(), step.after.as_ref());
        let channel = self.destination.channel.as_deref();
        if event::is_echo(versions.0, versions.1, channel) {
            return Ok(None);
        }
        let Some(resource) = step.after.as_ref().or(step.before.as_ref()) else {
            return Ok(None);
        };
        let mentioned = self.mentioned(resource).await?;
        let now = self.engine.now();
        let control = control_id(now);
        let written = self.scribe.write(&Told {
            kind: step.kind,
            before: versions.0,
            after: versions.1,
            mentioned: &mentioned,
            destination: &self.destination,
            control: &control,
            now,
        });
        let written = match written {
            Ok(None) => return Ok(None),
            Ok(Some(written)) => written,
            // It stands among the dead letters, where somebody sees it.
            Err(reason) => Written {
                kind: step.kind.to_string(),
                raw: Bytes::from([UNWRITTEN, reason.as_bytes()].concat()),
            },
        };
        Ok(Some(NewDelivery {
            destination: self.destination.name.clone(),
            line: number(&event::line(step.kind, &step.id, resource)),
            control,
            kind: written.kind,
            raw: written.raw,
            created: now,
            source: Some(VersionRef {
                kind: step.kind,
                id: step.id.clone(),
                version: step.version,
            }),
        }))
    }

    /// What a resource names, and what roles and schedules among that name.
    async fn mentioned(&self, resource: &Json) -> Result<BTreeMap<String, Json>, Error> {
        let mut found = BTreeMap::new();
        let mut open = Vec::new();
        references(resource, &mut open);
        while let Some(reference) = open.pop() {
            let reference = relative(&reference);
            if found.len() >= MENTIONED || found.contains_key(&reference) {
                continue;
            }
            let Some((kind, id)) = reference.split_once('/') else {
                continue;
            };
            let Some(kind) = ResourceType::from_name(kind) else {
                continue;
            };
            let Some(text) = self.engine.mentioned(kind, id).await? else {
                continue;
            };
            if leads_on(kind) {
                references(&text, &mut open);
            }
            found.insert(reference, text);
        }
        Ok(found)
    }
}

/// Types that say who is meant by naming others.
fn leads_on(kind: ResourceType) -> bool {
    matches!(
        kind.name(),
        "PractitionerRole" | "Schedule" | "Encounter" | "ServiceRequest"
    )
}

fn references(value: &Json, found: &mut Vec<String>) {
    match value {
        Json::Object(members) => {
            if let Some(reference) = members.get("reference").and_then(Json::as_str)
                && !reference.starts_with(['#', 'u'])
            {
                found.push(reference.to_owned());
            }
            for member in members.values() {
                references(member, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// The number of a line.
pub fn number(line: &str) -> i64 {
    let full = digest::digest(&digest::SHA256, line.as_bytes());
    let mut number = [0; 8];
    number.copy_from_slice(&full.as_ref()[..8]);
    i64::from_be_bytes(number)
}

/// An MSH-10 that nobody else has: 20 characters.
fn control_id(now: i64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let now = now.max(0).unsigned_abs();
    let nanos = (now % 1_000) as u32 * 1_000_000;
    let time = uuid::Timestamp::from_unix(uuid::NoContext, now / 1_000, nanos);
    let bits = uuid::Uuid::new_v7(time).as_u128() >> 28;
    let digit = |at: u32| char::from(DIGITS[(bits >> (5 * (19 - at))) as usize & 31]);
    (0..20).map(digit).collect()
}

/// How long to wait for news.
pub const EVERY: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_ids_are_short_and_different() {
        let ids: Vec<String> = (0..1_000).map(|_| control_id(1_700_000_000_000)).collect();
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 20));
    }
}
