//! Requests that are sent again: `Idempotency-Key`. The key is kept with the commit that it came
//! with, and the same request again gets the same answer. A refused request keeps no key.

use aws_lc_rs::digest;
use resources::{Doc, model::ResourceType};

use super::{Engine, Error, ErrorKind};
use crate::{
    access::{Access, Rights},
    engine::operation::{Done, DoneStatus},
    store::NewReceipt,
};

/// Milliseconds for which a key is kept.
const KEPT: i64 = 24 * 3_600_000;
/// Characters of a key.
const LONGEST_KEY: usize = 255;

/// A key, for one caller, and what was asked with it.
#[derive(Debug, Clone)]
pub struct Once {
    key: [u8; 32],
    request: [u8; 32],
    /// How many of the first writes are the answer.
    answers: usize,
}

impl Once {
    /// Of a key and all that the request says.
    ///
    /// # Errors
    /// The key is empty or too long.
    pub fn new(key: &str, parts: &[&str], access: &Access) -> Result<Self, Error> {
        if key.is_empty() || key.len() > LONGEST_KEY || !key.is_ascii() {
            return Err(Error::invalid(format!(
                "Idempotency-Key must have 1 to {LONGEST_KEY} ASCII characters"
            )));
        }
        let caller = access.caller().map(|caller| {
            let identity = &caller.identity;
            let roles: &[String] = match &identity.user {
                Some(_) => &[],
                None => &identity.roles,
            };
            format!(
                "{:?}",
                (&identity.client, &identity.user, &identity.patient, roles)
            )
        });
        Ok(Self {
            key: hash(&[&caller.unwrap_or_default(), key]),
            request: hash(parts),
            answers: usize::MAX,
        })
    }

    /// The same, of a request whose answer is the first writes only: the others are none of the
    /// caller's business.
    #[must_use]
    pub fn answering(self, answers: usize) -> Self {
        Self { answers, ..self }
    }

    /// What is committed with `done`.
    pub fn receipt(&self, done: &[Done], now: i64) -> NewReceipt {
        let mut answer = String::new();
        for one in done.iter().take(self.answers) {
            let status = match one.status {
                DoneStatus::Created => 'c',
                DoneStatus::Updated => 'u',
                DoneStatus::Unchanged => 's',
                DoneStatus::Deleted => 'd',
                DoneStatus::NothingToDelete => 'n',
            };
            match &one.resource {
                Some(resource) => answer.push_str(&format!(
                    "{status} {} {} {}\n",
                    resource.kind, resource.id, resource.version
                )),
                None => answer.push_str(&format!("{status}\n")),
            }
        }
        NewReceipt {
            key: self.key,
            request: self.request,
            expires: now + KEPT,
            answer: answer.into_bytes(),
        }
    }
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

impl Engine {
    /// What came of the request the first time, if it has come before.
    ///
    /// # Errors
    /// The key was used for another request ([`ErrorKind::Unprocessable`]); what came of it may
    /// no longer be seen ([`ErrorKind::NotFound`]).
    pub(in crate::engine) async fn replayed(
        &self,
        once: &Once,
        access: &Access,
    ) -> Result<Option<Vec<Done>>, Error> {
        let Some(receipt) = self.store.receipt(&once.key).await? else {
            return Ok(None);
        };
        if receipt.expires <= self.clock.now() {
            return Ok(None);
        }
        if receipt.request != once.request {
            return Err(Error::new(
                ErrorKind::Unprocessable,
                "duplicate",
                "this Idempotency-Key was used for another request; use a new one",
            ));
        }
        let all = Access::system("the caller made these versions");
        let mut done = Vec::new();
        for line in String::from_utf8_lossy(&receipt.answer).lines() {
            let mut words = line.split(' ');
            let status = match words.next() {
                Some("c") => DoneStatus::Created,
                Some("u") => DoneStatus::Updated,
                Some("s") => DoneStatus::Unchanged,
                Some("d") => DoneStatus::Deleted,
                _ => DoneStatus::NothingToDelete,
            };
            let named = (|| {
                let kind = ResourceType::from_name(words.next()?)?;
                Some((kind, words.next()?, words.next()?.parse::<i64>().ok()?))
            })();
            let mut resource = None;
            if let Some((kind, id, version)) = named {
                let found = self.store.version(kind, id, version, &all).await?;
                if let Some(entry) = found {
                    // Rights may have ended since; whoever may only write is told what was
                    // written.
                    if !self
                        .covers(&entry.stored, &access.to_any(Rights::ALL))
                        .await?
                    {
                        return Err(Error::not_found(kind, id));
                    }
                    resource = Some(crate::engine::submit::resource(&entry.stored));
                }
            }
            done.push(Done {
                status,
                resource,
                changed: 1,
            });
        }
        Ok(Some(done))
    }

    /// The key of a call, and the answer of the first time, if there was one.
    pub(super) async fn once(
        &self,
        call: &super::BookingCall,
        name: &str,
        access: &Access,
    ) -> Result<(Option<Once>, Option<Vec<Done>>), Error> {
        let Some(key) = &call.key else {
            return Ok((None, None));
        };
        let pairs: String = call
            .pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}&"))
            .collect();
        let id = call.id.as_deref().unwrap_or_default();
        let body = call.body.as_ref().map_or("", Doc::text);
        let once = Once::new(key, &[name, id, &pairs, body], access)?;
        let done = self.replayed(&once, access).await?;
        Ok((Some(once), done))
    }
}
