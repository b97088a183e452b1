//! Walking a [`Doc`].

use std::{borrow::Cow, ops::Range};

use super::Doc;

/// The six kinds of JSON value (`true` and `false` apart).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// A number, kept as written.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One value of a [`Doc`]; cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    doc: &'d Doc,
    index: u32,
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

impl<'d> Value<'d> {
    pub(super) fn new(doc: &'d Doc, index: u32) -> Self {
        Self { doc, index }
    }

    fn node(&self) -> &'d super::Node {
        &self.doc.nodes[self.index as usize]
    }

    /// The document that the value is of.
    pub fn doc(&self) -> &'d Doc {
        self.doc
    }

    /// The value's place among all values of the document, in document order; the root is 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What kind of value it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// True for `{…}`.
    pub fn is_object(&self) -> bool {
        self.kind() == Kind::Object
    }

    /// True for `[…]`.
    pub fn is_array(&self) -> bool {
        self.kind() == Kind::Array
    }

    /// True for `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The member name under which the value stands; empty for items and the root.
    pub fn name(&self) -> &'d str {
        let node = self.node();
        &self.doc.text[node.name_start as usize..(node.name_start + node.name_len) as usize]
    }

    /// Where the value stands in [`Doc::text`], quotes or brackets included.
    pub fn span(&self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The member from the quote that opens its name to the end of its value.
    pub fn member_span(&self) -> Range<usize> {
        let node = self.node();
        if node.name_start == 0 {
            return self.span();
        }
        node.name_start as usize - 1..node.end as usize
    }

    /// The value's text as it stands.
    pub fn raw(&self) -> &'d str {
        &self.doc.text[self.span()]
    }

    /// A string's content, escapes resolved; `None` for other kinds.
    pub fn as_str(&self) -> Option<Cow<'d, str>> {
        let node = self.node();
        if node.kind != Kind::String {
            return None;
        }
        let inner = &self.doc.text[node.start as usize + 1..node.end as usize - 1];
        if node.escaped {
            return Some(Cow::Owned(unescape(inner)));
        }
        Some(Cow::Borrowed(inner))
    }

    /// A string's content if it was written without escapes (all codes, ids and dates are).
    pub fn plain_str(&self) -> Option<&'d str> {
        match self.as_str() {
            Some(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    /// A number's text; `None` for other kinds.
    pub fn number(&self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// A boolean's value; `None` for other kinds.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// The member with this name, if the value is an object that has one.
    pub fn get(&self, name: &str) -> Option<Value<'d>> {
        self.members().find(|member| member.is_named(name))
    }

    /// Whether [`Value::name`] is `name`; most are told apart by their length.
    fn is_named(&self, name: &str) -> bool {
        let node = self.node();
        let start = node.name_start as usize;
        node.name_len as usize == name.len()
            && self.doc.text.as_bytes()[start..start + name.len()] == *name.as_bytes()
    }

    /// An object's members in order; empty for other kinds.
    pub fn members(&self) -> Members<'d> {
        Members(self.children(Kind::Object))
    }

    /// An array's items in order; empty for other kinds.
    pub fn items(&self) -> Items<'d> {
        Items(self.children(Kind::Array))
    }

    /// An array's items, or the value itself if it is no array: FHIR's reading of cardinality.
    pub fn each(&self) -> Items<'d> {
        if self.is_array() {
            return self.items();
        }
        Items(Children {
            doc: self.doc,
            next: self.index,
            end: self.index + 1,
        })
    }

    /// All values inside this one, itself first, in document order.
    pub fn descendants(&self) -> impl Iterator<Item = Value<'d>> + use<'d> {
        let doc = self.doc;
        (self.index..self.node().next).map(move |index| Value { doc, index })
    }

    fn children(&self, kind: Kind) -> Children<'d> {
        let node = self.node();
        let end = if node.kind == kind { node.next } else { 0 };
        Children {
            doc: self.doc,
            next: self.index + 1,
            end,
        }
    }

    /// Appends the value without white space between tokens.
    pub fn write_compact(&self, out: &mut String) {
        if self.doc.compact {
            out.push_str(self.raw());
            return;
        }
        match self.kind() {
            Kind::Object => {
                out.push('{');
                for (i, member) in self.members().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push('"');
                    out.push_str(member.name());
                    out.push_str("\":");
                    member.write_compact(out);
                }
                out.push('}');
            }
            Kind::Array => {
                out.push('[');
                for (i, item) in self.items().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write_compact(out);
                }
                out.push(']');
            }
            _ => out.push_str(self.raw()),
        }
    }

    /// Appends the value with two-space indentation, for people.
    pub fn write_pretty(&self, out: &mut String, indent: usize) {
        let (open, close) = match self.kind() {
            Kind::Object => ('{', '}'),
            Kind::Array => ('[', ']'),
            _ => return out.push_str(self.raw()),
        };
        out.push(open);
        let children = if open == '{' {
            self.children(Kind::Object)
        } else {
            self.children(Kind::Array)
        };
        let mut any = false;
        for child in children {
            if any {
                out.push(',');
            }
            any = true;
            new_line(out, indent + 1);
            if open == '{' {
                out.push('"');
                out.push_str(child.name());
                out.push_str("\": ");
            }
            child.write_pretty(out, indent + 1);
        }
        if any {
            new_line(out, indent);
        }
        out.push(close);
    }
}

fn new_line(out: &mut String, indent: usize) {
    out.push('\n');
    for _ in 0..indent {
        out.push_str("  ");
    }
}

struct Children<'d> {
    doc: &'d Doc,
    next: u32,
    end: u32,
}

impl<'d> Iterator for Children<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        if self.next >= self.end {
            return None;
        }
        let value = Value {
            doc: self.doc,
            index: self.next,
        };
        self.next = value.node().next;
        Some(value)
    }
}

/// An object's members; see [`Value::members`].
pub struct Members<'d>(Children<'d>);

impl<'d> Iterator for Members<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        self.0.next()
    }
}

/// An array's items; see [`Value::items`] and [`Value::each`].
pub struct Items<'d>(Children<'d>);

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        self.0.next()
    }
}

/// Resolves the escapes of a string that the reader has accepted.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let (c, used) = match rest.as_bytes().get(at + 1) {
            Some(b'n') => ('\n', 2),
            Some(b't') => ('\t', 2),
            Some(b'r') => ('\r', 2),
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'u') => unicode(&rest[at..]),
            Some(other) => (*other as char, 2),
            None => ('\\', 1),
        };
        out.push(c);
        rest = &rest[at + used..];
    }
    out.push_str(rest);
    out
}

fn unicode(escape: &str) -> (char, usize) {
    let hex = |from: usize| {
        escape
            .get(from..from + 4)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .unwrap_or(0xfffd)
    };
    let high = hex(2);
    if (0xd800..0xdc00).contains(&high) {
        let low = hex(8);
        let code = 0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
        return (char::from_u32(code).unwrap_or('\u{fffd}'), 12);
    }
    (char::from_u32(high).unwrap_or('\u{fffd}'), 6)
}
