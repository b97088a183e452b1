//! One unit of work: parse, prepare, submit; on failure find out which resource is to blame.

use std::{fmt::Display, sync::Arc, time::Duration};

use resources::{Doc, doc::Bounds, model::ResourceType};

use super::{
    bundle::{self, Parts},
    identity::{Seed, Seeds},
    reader::{Content, Line, Unit},
    record::{Part, Place},
    request::Request,
};
use crate::{
    access::Access,
    engine::{Engine, Error, ErrorKind, Operation, Target},
};

pub static ACCESS: Access = Access::system("an operator imports files");
/// How often something is tried again that failed for a passing reason.
const TRIES: u32 = 6;

/// What a unit is worked on with.
pub struct Work {
    pub engine: Arc<Engine>,
    pub bounds: Bounds,
    /// Every Bundle of the file is a resource to store.
    pub stores_bundles: bool,
    /// The file may be tried again when the others are in.
    pub may_defer: bool,
}

/// What came of a unit.
#[derive(Default)]
pub struct Outcome {
    pub file: usize,
    pub number: u64,
    /// With the unit the file is done up to this line.
    pub up_to: u64,
    /// The lines that were tried.
    pub tried: Vec<u64>,
    pub accepted: u64,
    pub rejected: Vec<Rejected>,
    /// What refers to what may come later: nothing of it is stored.
    pub deferred: Vec<Place>,
    /// The rest of the file cannot be read, and why.
    pub unreadable: Option<String>,
}

/// What is not stored, and why.
pub struct Rejected {
    /// One for each resource.
    pub places: Vec<Place>,
    pub line: Option<usize>,
    pub reason: String,
}

/// A resource on its way, and where it stands.
struct Piece {
    place: Place,
    line: Option<usize>,
    kind: ResourceType,
    id: String,
    doc: Doc,
}

impl Outcome {
    pub fn reject(&mut self, place: Place, line: Option<usize>, reason: impl Display) {
        self.rejected.push(Rejected {
            places: vec![place],
            line,
            reason: reason.to_string(),
        });
    }
}

impl Work {
    /// Imports a unit.
    ///
    /// # Errors
    /// What no resource is to blame for.
    pub async fn import(&self, unit: Unit) -> Result<Outcome, Error> {
        let mut outcome = Outcome {
            file: unit.file,
            number: unit.number,
            up_to: unit.up_to,
            ..Outcome::default()
        };
        match unit.content {
            Content::Unreadable(reason) => outcome.unreadable = Some(reason),
            Content::Json(text, part) => {
                outcome.tried.push(1);
                self.json(text, &part, &mut outcome).await?;
            }
            Content::Lines(lines) => {
                outcome.tried.extend(lines.iter().map(|line| line.number));
                self.lines(lines, &mut outcome).await?;
            }
        }
        Ok(outcome)
    }

    async fn json(&self, text: Vec<u8>, part: &Part, outcome: &mut Outcome) -> Result<(), Error> {
        let whole = Place {
            line: 1,
            entry: None,
        };
        let doc = match Doc::parse_bytes(&text, &self.bounds) {
            Ok(doc) => doc,
            Err(error) => {
                outcome.reject(whole, Some(error.line), &error);
                return Ok(());
            }
        };
        let parts = match doc.resource_type() {
            Some("Bundle") => bundle::take_apart(&doc, Seed::of(doc.text())),
            _ => Parts::Resource,
        };
        match parts {
            Parts::Resource => {
                let seed = Seed::of(doc.text());
                match self.piece(doc, whole, Some(1), seed) {
                    Ok(piece) => self.submit(vec![piece], outcome).await?,
                    Err(reason) => outcome.reject(whole, Some(1), reason),
                }
            }
            Parts::Bundle(entries) => {
                // A Bundle may be large: what is not needed any more does not stay.
                drop(doc);
                let lines = bundle::entry_lines(&text);
                drop(text);
                let request = Request {
                    entries: &entries,
                    part,
                    line: 1,
                    line_of: &|entry| lines.get(entry).copied(),
                };
                self.request(&request, outcome).await?;
            }
            Parts::Collection(resources) => {
                drop(doc);
                let lines = bundle::entry_lines(&text);
                drop(text);
                self.collection(resources, part, &lines, outcome).await?;
            }
        }
        Ok(())
    }

    async fn collection(
        &self,
        resources: Vec<(usize, String)>,
        part: &Part,
        lines: &[usize],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let mut seeds = Seeds::default();
        let mut pieces = Vec::with_capacity(resources.len());
        for (entry, text) in resources {
            let seed = seeds.next(text.as_bytes());
            if !part.has(entry) {
                continue;
            }
            let place = Place {
                line: 1,
                entry: Some(entry),
            };
            let line = lines.get(entry).copied();
            let piece = Doc::parse_within(text, &self.bounds)
                .map_err(|error| error.to_string())
                .and_then(|doc| self.piece(doc, place, line, seed));
            match piece {
                Ok(piece) => pieces.push(piece),
                Err(reason) => outcome.reject(place, line, reason),
            }
        }
        self.submit(pieces, outcome).await
    }

    async fn lines(&self, lines: Vec<Line>, outcome: &mut Outcome) -> Result<(), Error> {
        let mut pieces = Vec::with_capacity(lines.len());
        for line in lines {
            if line.text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let place = Place {
                line: line.number,
                entry: None,
            };
            let number = usize::try_from(line.number).ok();
            let doc = match Doc::parse_bytes(&line.text, &self.bounds) {
                Ok(doc) => doc,
                Err(error) => {
                    let reason = format!("{} at column {}", error.kind, error.column);
                    outcome.reject(place, number, reason);
                    continue;
                }
            };
            let seed = line.seed.unwrap_or_else(|| Seed::of(doc.text()));
            if !self.stores_bundles && bundle::is_request(&doc) {
                self.line_of_request(&doc, &line, seed, outcome).await?;
                continue;
            }
            match self.piece(doc, place, number, seed) {
                Ok(piece) => pieces.push(piece),
                Err(reason) => outcome.reject(place, number, reason),
            }
        }
        self.submit(pieces, outcome).await
    }

    async fn line_of_request(
        &self,
        doc: &Doc,
        line: &Line,
        seed: Seed,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let Parts::Bundle(entries) = bundle::take_apart(doc, seed) else {
            return Ok(());
        };
        let number = usize::try_from(line.number).ok();
        let request = Request {
            entries: &entries,
            part: &line.part,
            line: line.number,
            line_of: &|_| number,
        };
        self.request(&request, outcome).await
    }

    /// A resource ready to be submitted, with an id made from `seed` if it has none.
    fn piece(
        &self,
        doc: Doc,
        place: Place,
        line: Option<usize>,
        seed: Seed,
    ) -> Result<Piece, String> {
        let root = doc.root();
        let name = root
            .get("resourceType")
            .ok_or("it has no resourceType, so it is not a resource")?;
        let kind = name
            .plain_str()
            .and_then(ResourceType::from_name)
            .ok_or_else(|| format!("{} is not an R4 resource type", name.raw()))?;
        let id = root.get("id").map(|id| id.plain_str().map(str::to_owned));
        let (id, doc) = match id {
            Some(Some(id)) => (id, doc),
            Some(None) => return Err("its id is not a string".to_owned()),
            None => {
                let id = seed.id(0);
                let end = name.span().end;
                let text = doc.splice(&[(end..end, format!(",\"id\":\"{id}\""))]);
                let doc = Doc::parse_within(text, &self.bounds).map_err(|e| e.to_string())?;
                (id, doc)
            }
        };
        Ok(Piece {
            place,
            line,
            kind,
            id,
            doc,
        })
    }

    /// Submits all pieces together; when that fails, halves, until the one to blame is alone.
    async fn submit(&self, pieces: Vec<Piece>, outcome: &mut Outcome) -> Result<(), Error> {
        let mut groups = vec![&pieces[..]];
        while let Some(group) = groups.pop() {
            if group.is_empty() {
                continue;
            }
            let operations = || {
                group
                    .iter()
                    .map(|piece| Operation::Update {
                        kind: piece.kind,
                        target: Target::Id(piece.id.clone()),
                        body: piece.doc.clone(),
                        if_match: None,
                        if_none_match_any: false,
                    })
                    .collect()
            };
            match patiently(|| self.engine.submit_as_is(operations(), &ACCESS)).await {
                Ok(_) => outcome.accepted += group.len() as u64,
                Err(error) if is_passing(&error) => return Err(error),
                Err(error) => match group {
                    [piece] => outcome.reject(
                        piece.place,
                        piece.line,
                        format!("{}/{}: {}", piece.kind, piece.id, reasons(&error)),
                    ),
                    _ => {
                        let (first, second) = group.split_at(group.len() / 2);
                        groups.extend([second, first]);
                    }
                },
            }
        }
        Ok(())
    }
}

/// Tries again, with growing pauses, what failed for a passing reason.
pub async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut pause = Duration::from_millis(50);
    for _ in 1..TRIES {
        match attempt().await {
            Err(error) if is_passing(&error) => tokio::time::sleep(pause).await,
            result => return result,
        }
        pause *= 3;
    }
    attempt().await
}

pub fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Timeout
    ) || (error.kind == ErrorKind::Conflict && error.retry_after.is_some())
}

pub fn reasons(error: &Error) -> String {
    let parts: Vec<String> = error
        .issues
        .iter()
        .take(5)
        .map(|issue| match &issue.expression {
            Some(path) => format!("{path}: {}", issue.diagnostics),
            None => issue.diagnostics.clone(),
        })
        .collect();
    parts.join("; ")
}
