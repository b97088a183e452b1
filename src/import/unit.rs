//! One unit of work: parse, prepare, submit; on failure find out which resource is to blame.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use resources::{Doc, doc::Bounds, model::ResourceType};

use super::{
    bundle::{self, Entries, Parts},
    files::derived_id,
    reader::{Content, Unit},
};
use crate::{
    access::Access,
    engine::{BundleOptions, Engine, Error, ErrorKind, Operation, Return, Target},
};

static ACCESS: Access = Access::system("an operator imports files");
/// How often something is tried again that failed for a passing reason.
const TRIES: u32 = 6;

/// What a unit is worked on with.
pub struct Work {
    pub engine: Arc<Engine>,
    pub bounds: Bounds,
    pub fingerprint: String,
    /// The file may be tried again when the others are in.
    pub may_defer: bool,
}

/// What came of a unit.
pub struct Outcome {
    pub file: usize,
    pub number: u64,
    pub lines: u64,
    pub accepted: u64,
    /// Line, reason, and how many resources it is about.
    pub rejected: Vec<(Option<usize>, String, u64)>,
    /// Nothing was imported: it refers to what may come later.
    pub deferred: bool,
}

/// A resource on its way, and where it stands.
struct Piece {
    line: Option<usize>,
    kind: ResourceType,
    id: String,
    doc: Doc,
}

impl Outcome {
    fn reject(&mut self, line: Option<usize>, reason: impl Into<String>) {
        self.rejected.push((line, reason.into(), 1));
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
            lines: 0,
            accepted: 0,
            rejected: Vec::new(),
            deferred: false,
        };
        match unit.content {
            Content::Unreadable(reason) => outcome.reject(None, reason),
            Content::Json(text) => self.json(&text, &mut outcome).await?,
            Content::Lines(lines) => {
                outcome.lines = lines.len() as u64;
                self.lines(&lines, &mut outcome).await?;
            }
        }
        Ok(outcome)
    }

    async fn json(&self, text: &[u8], outcome: &mut Outcome) -> Result<(), Error> {
        let doc = match Doc::parse_bytes(text, &self.bounds) {
            Ok(doc) => doc,
            Err(error) => {
                outcome.reject(Some(error.line), error.to_string());
                return Ok(());
            }
        };
        if doc.resource_type() != Some("Bundle") {
            return match self.piece(doc, Some(1), 0) {
                Ok(piece) => self.submit(vec![piece], outcome).await,
                Err(reason) => {
                    outcome.reject(Some(1), reason);
                    Ok(())
                }
            };
        }
        let line_of = |place| {
            let text = std::str::from_utf8(text).ok()?;
            bundle::entry_line(text, place)
        };
        let parts = bundle::take_apart(&doc, &self.fingerprint);
        drop(doc);
        match parts {
            Err(reason) => outcome.reject(Some(1), reason),
            Ok(Parts::Bundle(entries)) => self.bundle(&entries, line_of, outcome).await?,
            Ok(Parts::Collection(resources)) => {
                let mut pieces = Vec::with_capacity(resources.len());
                for (place, text) in resources {
                    let piece = Doc::parse_within(text, &self.bounds)
                        .map_err(|error| error.to_string())
                        .and_then(|doc| self.piece(doc, line_of(place), place as u64));
                    match piece {
                        Ok(piece) => pieces.push(piece),
                        Err(reason) => outcome.reject(line_of(place), reason),
                    }
                }
                self.submit(pieces, outcome).await?;
            }
        }
        Ok(())
    }

    async fn lines(&self, lines: &[(u64, Vec<u8>)], outcome: &mut Outcome) -> Result<(), Error> {
        let mut pieces = Vec::with_capacity(lines.len());
        for (number, text) in lines {
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = usize::try_from(*number).ok();
            match Doc::parse_bytes(text, &self.bounds) {
                Err(error) => {
                    outcome.reject(line, format!("{} at column {}", error.kind, error.column));
                }
                Ok(doc) if doc.resource_type() == Some("Bundle") => {
                    let fingerprint = format!("{}:{number}", self.fingerprint);
                    match bundle::take_apart(&doc, &fingerprint) {
                        Ok(Parts::Bundle(entries)) => {
                            self.bundle(&entries, |_| line, outcome).await?;
                        }
                        Ok(Parts::Collection(_)) => {
                            outcome.reject(line, "a collection inside NDJSON is not imported");
                        }
                        Err(reason) => outcome.reject(line, reason),
                    }
                }
                Ok(doc) => match self.piece(doc, line, *number) {
                    Ok(piece) => pieces.push(piece),
                    Err(reason) => outcome.reject(line, reason),
                },
            }
        }
        self.submit(pieces, outcome).await
    }

    /// A resource ready to be submitted, with an id derived from its place if it has none.
    fn piece(&self, doc: Doc, line: Option<usize>, place: u64) -> Result<Piece, String> {
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
                let id = derived_id(&self.fingerprint, place);
                let end = name.span().end;
                let text = doc.splice(&[(end..end, format!(",\"id\":\"{id}\""))]);
                let doc = Doc::parse_within(text, &self.bounds).map_err(|e| e.to_string())?;
                (id, doc)
            }
        };
        Ok(Piece {
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

    /// Sends a transaction or batch; entries that are to blame are left out and the rest is sent
    /// again.
    async fn bundle(
        &self,
        entries: &Entries,
        line_of: impl Fn(usize) -> Option<usize>,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let mut left_out = BTreeSet::new();
        loop {
            let (text, kept) = entries.without(&left_out);
            if kept.is_empty() {
                return Ok(());
            }
            let doc = match Doc::parse_within(text, &self.bounds) {
                Ok(doc) => doc,
                Err(error) => {
                    let count = kept.len() as u64;
                    outcome
                        .rejected
                        .push((line_of(0), error.kind.to_string(), count));
                    return Ok(());
                }
            };
            let options = BundleOptions {
                prefer: Return::Minimal,
                strict: true,
            };
            match patiently(|| self.engine.bundle(doc.clone(), &options, &ACCESS)).await {
                Ok(response) if entries.is_batch() => {
                    let failed = failures(&response);
                    outcome.accepted += (kept.len() - failed.len().min(kept.len())) as u64;
                    for (at, reason) in failed {
                        let place = kept.get(at).copied().unwrap_or(at);
                        outcome.reject(line_of(place), format!("Bundle.entry[{place}]: {reason}"));
                    }
                    return Ok(());
                }
                Ok(_) => {
                    outcome.accepted += kept.len() as u64;
                    return Ok(());
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(_) if self.may_defer && entries.looks_things_up() => {
                    outcome.deferred = true;
                    return Ok(());
                }
                Err(error) => {
                    if !leave_out(&error, &kept, &mut left_out, &line_of, outcome) {
                        outcome
                            .rejected
                            .push((line_of(0), reasons(&error), kept.len() as u64));
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Rejects the entries that the error names; false if it names none.
fn leave_out(
    error: &Error,
    kept: &[usize],
    left_out: &mut BTreeSet<usize>,
    line_of: &impl Fn(usize) -> Option<usize>,
    outcome: &mut Outcome,
) -> bool {
    let before = left_out.len();
    for issue in &error.issues {
        let Some(place) = issue
            .expression
            .as_deref()
            .and_then(entry_of)
            .and_then(|at| kept.get(at).copied())
        else {
            continue;
        };
        let path = issue
            .expression
            .as_deref()
            .and_then(|path| path.split_once(']'))
            .map_or("", |(_, rest)| rest);
        if left_out.insert(place) {
            outcome.reject(
                line_of(place),
                format!("Bundle.entry[{place}]{path}: {}", issue.diagnostics),
            );
        }
    }
    left_out.len() > before
}

/// The number in `Bundle.entry[number]…`.
fn entry_of(expression: &str) -> Option<usize> {
    expression
        .strip_prefix("Bundle.entry[")?
        .split_once(']')?
        .0
        .parse()
        .ok()
}

/// The entries of a batch response that failed, and why.
fn failures(response: &str) -> Vec<(usize, String)> {
    let Ok(doc) = Doc::parse(response) else {
        return Vec::new();
    };
    let Some(entries) = doc.root().get("entry") else {
        return Vec::new();
    };
    entries
        .items()
        .enumerate()
        .filter_map(|(at, entry)| {
            let response = entry.get("response")?;
            let status = response.get("status")?.plain_str()?;
            if !status.starts_with(['4', '5']) {
                return None;
            }
            let reason = response
                .get("outcome")
                .and_then(|outcome| {
                    outcome
                        .get("issue")?
                        .items()
                        .next()?
                        .get("diagnostics")?
                        .as_str()
                })
                .map_or_else(|| status.to_owned(), |reason| reason.into_owned());
            Some((at, reason))
        })
        .collect()
}

/// Tries again, with growing pauses, what failed for a passing reason.
async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, Error>
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

fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind,
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Timeout
    ) || (error.kind == ErrorKind::Conflict && error.retry_after.is_some())
}

fn reasons(error: &Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_in_expressions() {
        for (expression, entry) in [
            ("Bundle.entry[3]", Some(3)),
            ("Bundle.entry[12].resource.name[0]", Some(12)),
            ("Bundle.type", None),
            ("Patient.name[0]", None),
        ] {
            assert_eq!(entry_of(expression), entry);
        }
    }

    #[test]
    fn failed_entries_of_a_batch_are_found_with_their_reason() {
        let response = r#"{"resourceType":"Bundle","entry":[{"response":{"status":"201 Created"}},{"response":{"status":"422 Unprocessable Entity","outcome":{"issue":[{"diagnostics":"no"}]}}},{"response":{"status":"404 Not Found"}}]}"#;
        assert_eq!(
            failures(response),
            [(1, "no".to_owned()), (2, "404 Not Found".to_owned())]
        );
    }
}
