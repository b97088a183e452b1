//! Reference searches: `Type/id`, `id`, URLs and canonicals.

use resources::{
    index::key,
    model::ResourceType,
    primitive::{Reference, syntax::is_id},
};

use super::{fault::Fault, plan::KeyRange, text::unescape, token::Token};

/// The keys of a reference parameter. `targets` are the types that a bare id may be of;
/// `base_url` is the server's own.
pub(super) fn reference(
    text: &str,
    targets: &[ResourceType],
    base_url: &str,
) -> Result<Vec<KeyRange>, Fault> {
    let text = unescape(text);
    if is_id(&text) {
        let key = |kind| KeyRange::exact(key::reference(kind, &text));
        return Ok(if targets.is_empty() {
            ResourceType::all().map(key).collect()
        } else {
            targets.iter().copied().map(key).collect()
        });
    }
    match Reference::parse_within(&text, base_url) {
        Some(Reference::Local { kind, id, .. }) => {
            let mut ranges = vec![KeyRange::exact(key::reference(kind, id))];
            if text.contains("://") {
                ranges.extend(url(&text));
            }
            Ok(ranges)
        }
        Some(Reference::Absolute { .. } | Reference::Urn(_)) => Ok(url(&text)),
        Some(Reference::Contained(_)) => Err(Fault::not_supported(format!(
            "'{text}' points into a resource; contained resources cannot be searched for"
        ))),
        Some(Reference::Search { .. }) | None => Err(Fault::invalid(format!(
            "'{text}' is no reference; write Type/id, id, or an absolute URL"
        ))),
    }
}

/// The keys of a canonical or other URL; without a version, all versions.
fn url(text: &str) -> Vec<KeyRange> {
    let (url, version) = key::split_canonical(text);
    vec![if version.is_empty() {
        KeyRange::prefix(key::reference_url_prefix(url))
    } else {
        KeyRange::exact(key::reference_url(url, version))
    }]
}

/// `:below` of a canonical: all versions that continue the one given: `2` has `2` and `2.1`.
/// `None` if it is none with a version.
pub(super) fn below_version(text: &str) -> Option<Vec<KeyRange>> {
    let text = unescape(text);
    let (url, version) = key::split_canonical(&text);
    if version.is_empty() || !url.contains(':') {
        return None;
    }
    Some(vec![
        KeyRange::exact(key::reference_url(url, version)),
        KeyRange::prefix(key::reference_url(url, &format!("{version}."))),
    ])
}

/// The resources of this server that a value names; a bare id may be of each of `targets`.
pub(super) fn resources(
    text: &str,
    targets: &[ResourceType],
    base_url: &str,
) -> Result<Vec<(ResourceType, String)>, Fault> {
    let text = unescape(text);
    if is_id(&text) {
        let all: Vec<ResourceType> = match targets {
            [] => ResourceType::all().collect(),
            some => some.to_vec(),
        };
        return Ok(all
            .into_iter()
            .map(|kind| (kind, text.to_string()))
            .collect());
    }
    match Reference::parse_within(&text, base_url) {
        Some(Reference::Local { kind, id, .. }) => Ok(vec![(kind, id.to_owned())]),
        _ => Err(Fault::not_supported(format!(
            "'{text}' is neither a resource of this server (Type/id, id) nor a canonical with a \
             version (url|version); what is above or below it is not known"
        ))),
    }
}

/// `:identifier`: the keys of logical references.
pub(super) fn identifier(text: &str) -> Result<Vec<KeyRange>, Fault> {
    Ok(vec![Token::parse(text)?.identifiers()])
}

/// `:[type]`: the keys of references to resources of `kind`.
pub(super) fn typed(
    text: &str,
    kind: ResourceType,
    base_url: &str,
) -> Result<Vec<KeyRange>, Fault> {
    let plain = unescape(text);
    if let Some(Reference::Local { kind: other, .. }) = Reference::parse_within(&plain, base_url)
        && other != kind
    {
        return Err(Fault::invalid(format!(
            "'{text}' is a {other}, but the parameter asks for a {kind}"
        )));
    }
    reference(text, &[kind], base_url)
}
