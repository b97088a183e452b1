//! What the column "Assignment" of the tables says: a constant, or constants and values joined.

use super::condition::Place;

/// A part of an assigned text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// As it stands.
    Text(String),
    /// What stands at a place.
    Value(Place),
}

/// Reads `"active"`, `enterer`, `"urn:oid:"+HD.2`.
///
/// # Errors
/// What is wrong with it: prose between slashes is not a value.
pub fn parse(text: &str) -> Result<Vec<Term>, String> {
    let wrong = || format!("`{text}` is neither a constant nor constants and places joined by `+`");
    let mut terms = Vec::new();
    let mut rest = text.trim();
    if !rest.contains('"') && !rest.contains('+') {
        let prose = rest.starts_with('/') || rest.contains("??") || rest.contains('#');
        return match Place::parse(rest) {
            Some(place) if place.number > 0 => Ok(vec![Term::Value(place)]),
            _ if prose || (rest.contains(' ') && !rest.contains("://")) => Err(wrong()),
            _ => Ok(vec![Term::Text(rest.to_owned())]),
        };
    }
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').ok_or_else(wrong)?;
            terms.push(Term::Text(quoted[..end].to_owned()));
            rest = quoted[end + 1..].trim_start();
        } else {
            let end = rest.find('+').unwrap_or(rest.len());
            let place = Place::parse(rest[..end].trim()).ok_or_else(wrong)?;
            terms.push(Term::Value(place));
            rest = &rest[end..];
        }
        match rest.strip_prefix('+') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => {}
            None => return Err(wrong()),
        }
    }
    Ok(terms)
}
