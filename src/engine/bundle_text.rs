//! Writes Bundles by putting stored texts one behind the other.

use resources::{
    doc::write_json_string,
    outcome::{Issue, operation_outcome},
    primitive::format_instant,
};

use super::operation::Resource;

/// A Bundle in the making.
pub struct BundleText {
    out: String,
    entries: usize,
}

/// Why a resource is in a searchset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The search found it.
    Match,
    /// Something found refers to it, or it refers to something found.
    Include,
}

impl BundleText {
    /// A Bundle of this type (`searchset`, `history`, …), with these links and total.
    pub fn new(
        kind: &str,
        links: &[(&str, String)],
        total: Option<u64>,
        at: i64,
        room: usize,
    ) -> Self {
        let mut out = String::with_capacity(room + 512);
        out.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
        out.push_str(&format_instant(at));
        out.push_str(r#""},"type":""#);
        out.push_str(kind);
        out.push('"');
        if let Some(total) = total {
            out.push_str(&format!(r#","total":{total}"#));
        }
        for (at, (relation, url)) in links.iter().enumerate() {
            out.push_str(if at == 0 { r#","link":["# } else { "," });
            out.push_str(&format!(r#"{{"relation":"{relation}","url":"#));
            write_json_string(&mut out, url);
            out.push('}');
        }
        if !links.is_empty() {
            out.push(']');
        }
        Self { out, entries: 0 }
    }

    /// Begins an entry and gives the text to write its members to, braces not included.
    pub fn entry(&mut self) -> Entry<'_> {
        self.out.push_str(if self.entries == 0 {
            r#","entry":[{"#
        } else {
            ",{"
        });
        self.entries += 1;
        Entry {
            out: &mut self.out,
            members: 0,
        }
    }

    /// An entry of a searchset. `text` is what is shown of the resource.
    pub fn hit(&mut self, base_url: &str, resource: &Resource, text: &str, mode: Mode) {
        let mut entry = self.entry();
        entry.full_url(base_url, resource);
        entry.raw("resource", text);
        entry.raw(
            "search",
            match mode {
                Mode::Match => r#"{"mode":"match"}"#,
                Mode::Include => r#"{"mode":"include"}"#,
            },
        );
        entry.end();
    }

    /// The entry of a searchset that says what should be known about it.
    pub fn outcome(&mut self, issues: &[Issue]) {
        let mut entry = self.entry();
        entry.raw("resource", &operation_outcome(issues));
        entry.raw("search", r#"{"mode":"outcome"}"#);
        entry.end();
    }

    /// The text of the Bundle.
    pub fn finish(mut self) -> String {
        self.out
            .push_str(if self.entries == 0 { "}" } else { "]}" });
        self.out
    }
}

/// An entry in the making.
pub struct Entry<'b> {
    out: &'b mut String,
    members: usize,
}

impl Entry<'_> {
    fn name(&mut self, name: &str) {
        if self.members > 0 {
            self.out.push(',');
        }
        self.members += 1;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// `fullUrl` of a resource on this server.
    pub fn full_url(&mut self, base_url: &str, resource: &Resource) {
        let url = format!("{base_url}/{}/{}", resource.kind, resource.id);
        self.string("fullUrl", &url);
    }

    /// A member whose value is a string.
    pub fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        write_json_string(self.out, value);
    }

    /// A member whose value is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    /// Ends the entry.
    pub fn end(self) {
        self.out.push('}');
    }
}
