//! Puts `id`, `meta.versionId` and `meta.lastUpdated` into a resource's text, and leaves the rest
//! of it as it came.

use std::ops::Range;

use resources::{Doc, Value, primitive::format_instant};

/// What the server says about a version.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// The logical id.
    pub id: &'a str,
    /// `meta.versionId`.
    pub version: i64,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
}

/// The text of `doc` with the stamp in place. Where `id` or `meta` are missing they follow
/// `resourceType`; the client's other members of `meta` stay.
pub fn stamp(doc: &Doc, stamp: &Stamp<'_>) -> String {
    let root = doc.root();
    let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(3);
    let after_type = root
        .get("resourceType")
        .map_or(1, |member| member.member_span().end);
    let id = root.get("id");
    let meta = root.get("meta").filter(|meta| meta.is_object());

    let mut behind_type = String::new();
    match id {
        Some(id) => edits.push((id.span(), format!("\"{}\"", stamp.id))),
        None => behind_type.push_str(&format!(",\"id\":\"{}\"", stamp.id)),
    }
    let own = format!(
        "\"versionId\":\"{}\",\"lastUpdated\":\"{}\"",
        stamp.version,
        format_instant(stamp.updated)
    );
    match meta {
        Some(meta) => edits.push((meta.span(), merged_meta(meta, &own))),
        None => {
            let text = format!(",\"meta\":{{{own}}}");
            match id {
                Some(id) => edits.push((id.span().end..id.span().end, text)),
                None => behind_type.push_str(&text),
            }
        }
    }
    if !behind_type.is_empty() {
        edits.push((after_type..after_type, behind_type));
    }
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    doc.splice(&edits)
}

/// `meta` with the server's members first and the client's others behind them.
fn merged_meta(meta: Value<'_>, own: &str) -> String {
    let mut out = String::with_capacity(meta.raw().len() + own.len());
    out.push('{');
    out.push_str(own);
    for member in meta.members() {
        if matches!(
            member.name(),
            "versionId" | "lastUpdated" | "_versionId" | "_lastUpdated"
        ) {
            continue;
        }
        out.push(',');
        out.push_str(&meta.doc().text()[member.member_span()]);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_and_meta_come_into_place_and_the_rest_keeps_its_text_and_order() {
        let stamp = |text: &str| {
            super::stamp(
                &Doc::parse(text).unwrap(),
                &Stamp {
                    id: "a-1",
                    version: 3,
                    updated: 0,
                },
            )
        };
        let own = r#""versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z""#;
        for (given, expected) in [
            (
                r#"{"resourceType":"Patient"}"#,
                format!(r#"{{"resourceType":"Patient","id":"a-1","meta":{{{own}}}}}"#),
            ),
            (
                r#"{"resourceType":"Patient","active":true}"#,
                format!(
                    r#"{{"resourceType":"Patient","id":"a-1","meta":{{{own}}},"active":true}}"#
                ),
            ),
            (
                r#"{"id":"x","resourceType":"Patient","active":true}"#,
                format!(
                    r#"{{"id":"a-1","meta":{{{own}}},"resourceType":"Patient","active":true}}"#
                ),
            ),
            (
                r#"{"active":true,"resourceType":"Patient","meta":{"profile":["p"],"versionId":"9"}}"#,
                format!(
                    r#"{{"active":true,"resourceType":"Patient","id":"a-1","meta":{{{own},"profile":["p"]}}}}"#
                ),
            ),
            (
                r#"{"resourceType":"Observation","meta":{"lastUpdated":"2020-01-01T00:00:00Z"},"id":"q","valueDecimal":1.00}"#,
                format!(
                    r#"{{"resourceType":"Observation","meta":{{{own}}},"id":"a-1","valueDecimal":1.00}}"#
                ),
            ),
        ] {
            assert_eq!(stamp(given), expected, "{given}");
        }
    }

    #[test]
    fn stamping_twice_changes_only_the_stamp() {
        let text = r#"{"resourceType":"Basic","meta":{"tag":[{"code":"t"}]},"language":"en"}"#;
        let first = Stamp {
            id: "b",
            version: 1,
            updated: 5,
        };
        let once = stamp(&Doc::parse(text).unwrap(), &first);
        assert_eq!(stamp(&Doc::parse(once.clone()).unwrap(), &first), once);
    }
}
