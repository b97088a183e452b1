//! String and URI searches.

use resources::index::key::{self, space};

use super::{
    fault::Fault,
    plan::{KeyRange, KeyTest, successor},
    text::unescape,
};

/// How a string is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// Begins with it, whatever case and accents.
    Start,
    /// Has it somewhere, whatever case and accents.
    Contains,
    /// Ends with it, whatever case and accents.
    End,
    /// Equals it, whatever case and accents.
    Whole,
    /// Equals it, letter by letter.
    Exact,
}

/// The keys of a string parameter.
pub(super) fn string(text: &str, how: Match) -> Result<Vec<KeyRange>, Fault> {
    let text = unescape(text);
    let normal = key::normalise(&text);
    if normal.is_empty() && how != Match::Exact {
        return Err(Fault::invalid(format!("'{text}' has nothing to compare")));
    }
    let longest = match how {
        Match::Start => key::MAX_NORMAL,
        Match::Contains | Match::End => key::MAX_CONTAINED,
        Match::Whole | Match::Exact => usize::MAX,
    };
    refuse_longer(&normal, longest)?;
    let parts = |bytes: Vec<u8>| {
        // Long strings go on in pieces.
        [space::STRING, space::STRING_PIECE]
            .map(|space| KeyRange::prefix(vec![space]).with(KeyTest::Contains(1, bytes.clone())))
            .to_vec()
    };
    Ok(match how {
        Match::Start => vec![KeyRange::prefix(key::string_prefix(&text))],
        Match::Whole => vec![KeyRange::prefix(key::string_whole(&text))],
        Match::Exact => vec![KeyRange::exact(key::string(&text))],
        Match::Contains => parts(normal.into_bytes()),
        Match::End => parts([normal.as_bytes(), &[0]].concat()),
    })
}

fn refuse_longer(text: &str, max: usize) -> Result<(), Fault> {
    if text.len() <= max {
        return Ok(());
    }
    Err(Fault::not_supported(format!(
        "a text of {} bytes is compared; at most {max} can be so: write less of it, or all of it \
         with ':exact'",
        text.len()
    )))
}

/// The keys of strings before (`less`) or after `text` in the order of normalised text; `equal`
/// ones belong to them or not.
pub(super) fn ordered(text: &str, less: bool, equal: bool) -> Result<Vec<KeyRange>, Fault> {
    let text = unescape(text);
    refuse_longer(&key::normalise(&text), key::MAX_NORMAL)?;
    let mut bounds = key::string_prefix(&text);
    bounds.push(u8::from(equal == less));
    let end = successor(&[space::STRING]);
    Ok(vec![if less {
        KeyRange::between(vec![space::STRING], Some(bounds))
    } else {
        KeyRange::between(bounds, end)
    }])
}

/// `:text` of a token: the words that go with a code, from their beginning.
pub(super) fn token_text(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let text = unescape(text);
    refuse_longer(&key::normalise(&text), key::MAX_STRING)?;
    let key = key::token_text(&text);
    if key.len() == 1 {
        return Err(Fault::invalid(format!("'{text}' has nothing to compare")));
    }
    Ok(vec![KeyRange::prefix(key)])
}

/// The keys of a URI parameter.
pub(super) fn uri(text: &str) -> Vec<KeyRange> {
    vec![KeyRange::exact(key::uri(&unescape(text)))]
}

/// `:below`: the URL itself and those with further path segments.
pub(super) fn uri_below(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let uri = hierarchical(text)?;
    let base = uri.trim_end_matches('/');
    Ok(vec![
        KeyRange::exact(key::uri(base)),
        KeyRange::prefix(key::uri(&format!("{base}/"))),
    ])
}

/// `:above`: the URL itself and each URL that it continues, down to the host.
pub(super) fn uri_above(text: &str) -> Result<Vec<KeyRange>, Fault> {
    let uri = hierarchical(text)?;
    let host = uri.find("://").map_or(0, |at| at + 3);
    let mut out = Vec::new();
    let mut rest = uri.trim_end_matches('/');
    while rest.len() > host {
        out.push(KeyRange::exact(key::uri(rest)));
        out.push(KeyRange::exact(key::uri(&format!("{rest}/"))));
        let Some(at) = rest[host..].rfind('/') else {
            break;
        };
        rest = &rest[..host + at];
    }
    Ok(out)
}

/// The URL, if it has a path; URNs have none.
fn hierarchical(text: &str) -> Result<String, Fault> {
    let uri = unescape(text).into_owned();
    if uri.starts_with("urn:") || uri.trim_matches('/').is_empty() {
        return Err(Fault::invalid(format!(
            "'{uri}' has no path, so nothing is above or below it; search for it without modifier"
        )));
    }
    Ok(uri)
}
