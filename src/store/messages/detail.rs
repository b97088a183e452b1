//! What is known of a message, as one packed text.

use mllp::Note;
use resources::model::ResourceType;
use serde_json::{Value, json};

use super::{MessageOutcome, VersionRef};
use crate::store::{error::StoreError, text};

/// All but the answer; empty if there is nothing to say.
pub(in crate::store) fn packed(outcome: &MessageOutcome) -> Vec<u8> {
    let MessageOutcome {
        ack: _,
        notes,
        made,
        patients,
        error,
    } = outcome;
    if notes.is_empty() && made.is_empty() && patients.is_empty() && error.is_none() {
        return Vec::new();
    }
    let notes: Vec<[&str; 2]> = notes
        .iter()
        .map(|note| [note.place.as_str(), note.text.as_str()])
        .collect();
    let made: Vec<String> = made.iter().map(VersionRef::path).collect();
    let told = json!({"notes": notes, "made": made, "patients": patients, "error": error});
    text::pack(&told.to_string())
}

/// What [`packed`] was made of.
pub(in crate::store) fn unpacked(stored: Vec<u8>) -> Result<MessageOutcome, StoreError> {
    if stored.is_empty() {
        return Ok(MessageOutcome::default());
    }
    let damaged = |reason: String| {
        StoreError::Damaged(format!(
            "what is known of a message cannot be read: {reason}"
        ))
    };
    let told = text::unpack(stored).map_err(|error| damaged(error.to_string()))?;
    let told: Value = serde_json::from_str(&told).map_err(|error| damaged(error.to_string()))?;
    let list = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let made = list("made").into_iter().map(|path| {
        let path = text(&path);
        VersionRef::parse(&path).ok_or_else(|| damaged(format!("'{path}' is no version")))
    });
    Ok(MessageOutcome {
        ack: None,
        notes: list("notes")
            .iter()
            .map(|note| Note {
                place: text(&note[0]),
                text: text(&note[1]),
            })
            .collect(),
        made: made.collect::<Result<_, _>>()?,
        patients: list("patients").iter().map(text).collect(),
        error: told["error"].as_str().map(str::to_owned),
    })
}

impl VersionRef {
    /// `Patient/1/_history/2`
    pub fn path(&self) -> String {
        format!("{}/{}/_history/{}", self.kind, self.id, self.version)
    }

    /// The version of a [`path`](Self::path).
    pub fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/');
        let kind = ResourceType::from_name(parts.next()?)?;
        let id = parts.next()?.to_owned();
        let version = (parts.next()? == "_history").then(|| parts.next()?.parse().ok())??;
        Some(Self { kind, id, version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_comes_back() {
        let all = MessageOutcome {
            ack: None,
            notes: vec![Note {
                place: "PID-5[1].1".to_owned(),
                text: "\"odd\"".to_owned(),
            }],
            made: vec![VersionRef {
                kind: ResourceType::from_name("Patient").unwrap(),
                id: "a-1".to_owned(),
                version: 7,
            }],
            patients: vec!["a-1".to_owned()],
            error: Some("none".to_owned()),
        };
        for outcome in [all, MessageOutcome::default()] {
            assert_eq!(unpacked(packed(&outcome)).unwrap(), outcome);
        }
        assert!(packed(&MessageOutcome::default()).is_empty());
    }
}
