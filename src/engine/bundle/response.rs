//! The entries of a response Bundle.

use resources::{
    outcome::Issue, outcome::Severity, outcome::operation_outcome, primitive::format_instant,
};

use crate::engine::{
    bundle_text::Entry,
    error::Error,
    operation::{Done, DoneStatus, Resource, Return},
};

/// Writes the answer to a write.
///
/// # Errors
/// A stored text is damaged.
pub fn done(
    mut entry: Entry<'_>,
    base_url: &str,
    done: &Done,
    prefer: Return,
) -> Result<(), Error> {
    let resource = done.resource.as_ref();
    let there = !matches!(
        done.status,
        DoneStatus::Deleted | DoneStatus::NothingToDelete
    );
    let shown = resource.filter(|_| there);
    if let Some(resource) = shown {
        entry.full_url(base_url, resource);
        if prefer == Return::Representation {
            entry.raw("resource", resource.text()?);
        }
    }
    let status = match done.status {
        DoneStatus::Created => "201 Created",
        DoneStatus::Updated | DoneStatus::Unchanged => "200 OK",
        DoneStatus::Deleted | DoneStatus::NothingToDelete => "204 No Content",
    };
    let outcome = (prefer == Return::OperationOutcome).then(|| operation_outcome(&[said(done)]));
    entry.raw(
        "response",
        &response(status, resource, shown.is_some(), outcome.as_deref()),
    );
    entry.end();
    Ok(())
}

fn said(done: &Done) -> Issue {
    let text = match done.status {
        DoneStatus::Created => "created",
        DoneStatus::Updated => "updated",
        DoneStatus::Unchanged => "there already, nothing changed",
        DoneStatus::Deleted => "deleted",
        DoneStatus::NothingToDelete => "there was nothing to delete",
    };
    Issue {
        severity: Severity::Information,
        ..Issue::error("informational", text)
    }
}

/// Writes the answer to a read of one resource.
///
/// # Errors
/// A stored text is damaged.
pub fn resource(
    mut entry: Entry<'_>,
    base_url: &str,
    resource: &Resource,
    with_body: bool,
) -> Result<(), Error> {
    entry.full_url(base_url, resource);
    if with_body {
        entry.raw("resource", resource.text()?);
    }
    entry.raw("response", &response("200 OK", Some(resource), false, None));
    entry.end();
    Ok(())
}

/// Writes the answer to a read of what has not changed.
pub fn not_modified(mut entry: Entry<'_>, resource: &Resource) {
    let text = response("304 Not Modified", Some(resource), false, None);
    entry.raw("response", &text);
    entry.end();
}

/// Writes the answer that is a Bundle of its own.
pub fn bundle(mut entry: Entry<'_>, text: &str, with_body: bool) {
    if with_body {
        entry.raw("resource", text);
    }
    entry.raw("response", r#"{"status":"200 OK"}"#);
    entry.end();
}

/// Writes a failure.
pub fn failed(mut entry: Entry<'_>, error: &Error) {
    let status = error.kind.status_line();
    let text = response(&status, None, false, Some(&error.outcome()));
    entry.raw("response", &text);
    entry.end();
}

fn response(
    status: &str,
    resource: Option<&Resource>,
    location: bool,
    outcome: Option<&str>,
) -> String {
    let mut out = format!(r#"{{"status":"{status}""#);
    if let Some(resource) = resource {
        let Resource {
            kind, id, version, ..
        } = resource;
        if location {
            out.push_str(&format!(r#","location":"{kind}/{id}/_history/{version}""#));
        }
        let modified = format_instant(resource.updated);
        out.push_str(&format!(
            r#","etag":"W/\"{version}\"","lastModified":"{modified}""#
        ));
    }
    if let Some(outcome) = outcome {
        out.push_str(r#","outcome":"#);
        out.push_str(outcome);
    }
    out.push('}');
    out
}
