//! Transactions and batches: sent, and sent again without the entries that are to blame.

use std::collections::BTreeSet;

use resources::{
    Doc,
    doc::{Bounds, ParseError},
};

use super::{
    bundle::{Entries, looks_things_up},
    record::{Part, Place},
    unit::{ACCESS, Outcome, Rejected, Work, is_passing, patiently, reasons},
};
use crate::engine::{BundleOptions, Error, ErrorKind, Return};

const OPTIONS: BundleOptions = BundleOptions {
    prefer: Return::Minimal,
    strict: true,
};

/// A transaction or batch, and where it stands.
pub struct Request<'a> {
    pub entries: &'a Entries,
    /// What of it is to be sent.
    pub part: &'a Part,
    /// Its line in the file.
    pub line: u64,
    /// The line of an entry, if it is known.
    pub line_of: &'a (dyn Fn(usize) -> Option<usize> + Sync),
}

impl Request<'_> {
    fn bundle(
        &self,
        rejected: &BTreeSet<usize>,
        bounds: &Bounds,
    ) -> Result<(Doc, Vec<usize>), ParseError> {
        self.entries.bundle(self.part, rejected, bounds)
    }

    /// The Bundle that was put together before.
    fn again(&self, rejected: &BTreeSet<usize>, bounds: &Bounds) -> Result<Doc, Error> {
        let bundle = self.bundle(rejected, bounds);
        let bundle = bundle
            .map_err(|error| Error::new(ErrorKind::Internal, "exception", error.to_string()))?;
        Ok(bundle.0)
    }

    fn place(&self, entry: Option<usize>) -> Place {
        Place {
            line: self.line,
            entry,
        }
    }

    fn places(&self, entries: &[usize]) -> Vec<Place> {
        let places = entries.iter().map(|entry| self.place(Some(*entry)));
        places.collect()
    }

    /// The entry is not stored; `path` is where in it the reason lies.
    fn entry_rejected(&self, entry: usize, path: &str, reason: &str) -> Rejected {
        Rejected {
            places: vec![self.place(Some(entry))],
            line: (self.line_of)(entry),
            reason: format!("Bundle.entry[{entry}]{path}: {reason}"),
        }
    }

    /// None of these entries is stored, and none is to blame.
    fn all_rejected(&self, entries: &[usize], reason: String) -> Rejected {
        Rejected {
            places: self.places(entries),
            line: (self.line_of)(0),
            reason,
        }
    }
}

impl Work {
    /// Sends a transaction or batch; entries that are to blame are left out and the rest is sent
    /// again.
    pub async fn request(&self, request: &Request<'_>, outcome: &mut Outcome) -> Result<(), Error> {
        let mut rejected = BTreeSet::new();
        loop {
            let (doc, kept) = match request.bundle(&rejected, &self.bounds) {
                Ok(bundle) => bundle,
                Err(error) => {
                    outcome.reject(request.place(None), (request.line_of)(0), error.kind);
                    return Ok(());
                }
            };
            if kept.is_empty() {
                return Ok(());
            }
            // A Bundle may be large: it is put together again instead of being kept for later.
            let mut doc = Some(doc);
            let sent = patiently(|| {
                let doc = doc
                    .take()
                    .map_or_else(|| request.again(&rejected, &self.bounds), Ok);
                async { self.engine.bundle(doc?, &OPTIONS, &ACCESS).await }
            });
            match sent.await {
                Ok(response) => {
                    let failed = match request.entries.is_batch() {
                        true => failures(&response),
                        false => Vec::new(),
                    };
                    outcome.accepted += kept.len().saturating_sub(failed.len()) as u64;
                    outcome.rejected.extend(failed.iter().map(|(at, reason)| {
                        let entry = kept.get(*at).copied().unwrap_or(*at);
                        request.entry_rejected(entry, "", reason)
                    }));
                    return Ok(());
                }
                Err(error) if is_passing(&error) => return Err(error),
                Err(_)
                    if self.may_defer
                        && looks_things_up(&request.again(&rejected, &self.bounds)?) =>
                {
                    outcome.deferred.extend(match request.part {
                        Part::All => vec![request.place(None)],
                        Part::Entries(_) => request.places(&kept),
                    });
                    return Ok(());
                }
                Err(error) => {
                    let blamed = blamed(&error, &kept, request);
                    if blamed.is_empty() {
                        let all = request.all_rejected(&kept, reasons(&error));
                        outcome.rejected.push(all);
                        return Ok(());
                    }
                    for (entry, one) in blamed {
                        if rejected.insert(entry) {
                            outcome.rejected.push(one);
                        }
                    }
                }
            }
        }
    }
}

/// The entries that the error names, each with its first reason.
fn blamed(error: &Error, kept: &[usize], request: &Request<'_>) -> Vec<(usize, Rejected)> {
    let named = error.issues.iter().filter_map(|issue| {
        let expression = issue.expression.as_deref()?;
        let entry = *kept.get(entry_of(expression)?)?;
        let path = expression.split_once(']').map_or("", |(_, rest)| rest);
        Some((
            entry,
            request.entry_rejected(entry, path, &issue.diagnostics),
        ))
    });
    named.collect()
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
