//! One writer: it alone changes what it made, so it knows what must be there.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    client::{Base, Connection, Reply, entries},
    data::Rng,
};

/// Observations of each transaction.
pub(super) const OBSERVATIONS: usize = 4;

/// A Patient that the writer made.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub id: String,
    /// The value of its identifier.
    pub name: String,
    pub version: i64,
    /// The content of that version.
    pub mark: u64,
    pub deleted: bool,
    /// A change whose answer never came.
    pub doubt: Option<Doubt>,
    /// Changed since it was last checked.
    pub fresh: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Doubt {
    Update(u64),
    Delete,
}

/// A transaction of one Patient and [`OBSERVATIONS`] Observations.
#[derive(Debug, Clone)]
pub(super) struct Bundle {
    pub name: String,
    pub acknowledged: bool,
    pub fresh: bool,
}

/// A writer and what it knows.
pub(super) struct Writer {
    number: usize,
    pub rng: Rng,
    next: u64,
    pub owned: Vec<Owned>,
    /// Names and marks of creates whose answer never came.
    pub unsure: Vec<(String, u64)>,
    pub bundles: Vec<Bundle>,
    pub acknowledged: u64,
    pub in_doubt: u64,
    pub violations: Vec<String>,
}

/// What an answer says about a write.
enum Verdict {
    Done(Reply),
    /// It was refused, and nothing happened.
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Writer {
    pub fn new(number: usize, seed: u64) -> Self {
        Self {
            number,
            rng: Rng::new(seed ^ (number as u64 + 1).wrapping_mul(0x9e37_79b9)),
            next: 0,
            owned: Vec::new(),
            unsure: Vec::new(),
            bundles: Vec::new(),
            acknowledged: 0,
            in_doubt: 0,
            violations: Vec::new(),
        }
    }

    fn name(&mut self) -> String {
        self.next += 1;
        format!("w{}-{}", self.number, self.next)
    }

    /// Writes until told to stop, or until an answer does not come.
    pub async fn write(&mut self, base: &Base, stop: &AtomicBool) {
        let mut connection = Connection::new(base, &[]);
        while !stop.load(Ordering::Relaxed) {
            let goes_on = match self.rng.below(20) {
                0..5 => self.create(&mut connection).await,
                5..12 => self.update(&mut connection).await,
                12 => self.delete(&mut connection).await,
                _ => self.transaction(&mut connection).await,
            };
            if !goes_on {
                return;
            }
        }
    }

    async fn create(&mut self, connection: &mut Connection) -> bool {
        let (name, mark) = (self.name(), self.rng.number());
        self.create_named(connection, name, mark).await
    }

    /// A conditional create: sent twice, it makes one Patient.
    pub async fn create_named(
        &mut self,
        connection: &mut Connection,
        name: String,
        mark: u64,
    ) -> bool {
        let condition = format!("identifier=urn:drill|{name}");
        let reply = connection
            .send(
                "POST",
                "/Patient",
                Some(patient(None, &name, mark)),
                &[("if-none-exist", &condition)],
            )
            .await;
        match self.verdict("create", reply) {
            Verdict::Done(reply) => match reply.id("Patient") {
                Some(id) => self.owned.push(Owned {
                    id,
                    name,
                    version: 1,
                    mark,
                    deleted: false,
                    doubt: None,
                    fresh: true,
                }),
                None => self
                    .violations
                    .push(format!("create {name}: the answer names no id")),
            },
            Verdict::Refused => {}
            Verdict::Unknown => {
                self.unsure.push((name, mark));
                return false;
            }
        }
        true
    }

    /// One that can be changed.
    fn pick(&mut self) -> Option<usize> {
        if self.owned.is_empty() {
            return None;
        }
        let at = self.rng.below(self.owned.len());
        let usable = !self.owned[at].deleted && self.owned[at].doubt.is_none();
        usable.then_some(at)
    }

    async fn update(&mut self, connection: &mut Connection) -> bool {
        let Some(at) = self.pick() else { return true };
        let mark = self.rng.number();
        let one = self.owned[at].clone();
        let expected = format!("W/\"{}\"", one.version);
        let reply = connection
            .send(
                "PUT",
                &format!("/Patient/{}", one.id),
                Some(patient(Some(&one.id), &one.name, mark)),
                &[("if-match", &expected)],
            )
            .await;
        let verdict = self.verdict("update", reply);
        let one = &mut self.owned[at];
        match verdict {
            Verdict::Done(_) => {
                one.version += 1;
                one.mark = mark;
                one.fresh = true;
            }
            Verdict::Refused => {}
            Verdict::Unknown => {
                one.doubt = Some(Doubt::Update(mark));
                return false;
            }
        }
        true
    }

    async fn delete(&mut self, connection: &mut Connection) -> bool {
        let Some(at) = self.pick() else { return true };
        let path = format!("/Patient/{}", self.owned[at].id);
        let reply = connection.send("DELETE", &path, None, &[]).await;
        let verdict = self.verdict("delete", reply);
        let one = &mut self.owned[at];
        match verdict {
            Verdict::Done(_) => {
                one.deleted = true;
                one.fresh = true;
            }
            Verdict::Refused => {}
            Verdict::Unknown => {
                one.doubt = Some(Doubt::Delete);
                return false;
            }
        }
        true
    }

    async fn transaction(&mut self, connection: &mut Connection) -> bool {
        let name = self.name();
        let body = transaction(&name, self.rng.number());
        let reply = connection.send("POST", "", Some(body), &[]).await;
        let acknowledged = match self.verdict("transaction", reply) {
            Verdict::Done(reply) => {
                if let Err(reason) = entries(&reply.body) {
                    self.violations
                        .push(format!("transaction {name}: {reason}"));
                }
                true
            }
            Verdict::Refused => return true,
            Verdict::Unknown => false,
        };
        self.bundles.push(Bundle {
            name,
            acknowledged,
            fresh: true,
        });
        acknowledged
    }

    fn verdict(&mut self, what: &str, reply: Result<Reply, String>) -> Verdict {
        let unknown = match reply {
            Ok(reply) if reply.status.is_success() => {
                self.acknowledged += 1;
                return Verdict::Done(reply);
            }
            Ok(reply) if reply.status.is_server_error() => {
                if reply.status == 503 && reply.header("retry-after").is_none() {
                    self.violations.push(format!(
                        "{what}: 503 without Retry-After: {}",
                        reply.brief()
                    ));
                }
                true
            }
            // Others won a race, or there is too much to do: nothing happened.
            Ok(reply) if reply.status == 409 || reply.status == 429 => false,
            Ok(reply) => {
                self.violations.push(format!("{what}: {}", reply.brief()));
                false
            }
            Err(_) => true,
        };
        if unknown {
            self.in_doubt += 1;
            Verdict::Unknown
        } else {
            Verdict::Refused
        }
    }
}

/// A Patient with a mark in two places: half of one would be seen.
fn patient(id: Option<&str>, name: &str, mark: u64) -> String {
    let id = id.map_or(String::new(), |id| format!("\"id\":\"{id}\","));
    let filler = "x".repeat(300);
    format!(
        "{{\"resourceType\":\"Patient\",{id}\"identifier\":[{{\"system\":\"urn:drill\",\
         \"value\":\"{name}\"}}],\"name\":[{{\"family\":\"mark-{mark}\",\"given\":[\"{filler}\"]}}],\
         \"address\":[{{\"text\":\"mark-{mark}\"}}]}}"
    )
}

fn transaction(name: &str, mark: u64) -> String {
    let identifier =
        format!("\"identifier\":[{{\"system\":\"urn:drill-t\",\"value\":\"{name}\"}}]");
    let mut body = format!(
        "{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[\
         {{\"fullUrl\":\"urn:uuid:00000000-0000-4000-8000-000000000001\",\"resource\":\
         {{\"resourceType\":\"Patient\",{identifier}}},\
         \"request\":{{\"method\":\"POST\",\"url\":\"Patient\"}}}}"
    );
    for n in 0..OBSERVATIONS {
        body.push_str(&format!(
            ",{{\"resource\":{{\"resourceType\":\"Observation\",{identifier},\"status\":\"final\",\
             \"code\":{{\"text\":\"drill {n}\"}},\"valueString\":\"mark-{mark}\",\"subject\":\
             {{\"reference\":\"urn:uuid:00000000-0000-4000-8000-000000000001\"}}}},\
             \"request\":{{\"method\":\"POST\",\"url\":\"Observation\"}}}}"
        ));
    }
    body.push_str("]}");
    body
}
