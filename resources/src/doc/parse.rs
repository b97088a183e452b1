//! The strict JSON reader behind [`Doc`].

use std::fmt;

use super::{Doc, Kind, Node};

/// What a document may grow to.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Bytes of text.
    pub bytes: usize,
    /// Objects and arrays inside one another.
    pub depth: usize,
    /// Values in all.
    pub nodes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            bytes: 256 * 1024 * 1024,
            depth: 64,
            nodes: 32 * 1024 * 1024,
        }
    }
}

/// Why a text is not an acceptable document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column}")]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Byte offset in the text.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
}

/// The kinds of [`ParseError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The bytes are not UTF-8.
    Utf8,
    /// The text ends inside a value.
    UnexpectedEnd,
    /// A character that cannot stand here.
    Unexpected(char),
    /// Text after the outermost value.
    Trailing,
    /// A number that JSON does not know, like `01` or `1.`.
    Number,
    /// A string with a bad escape, a lone surrogate or a raw control character.
    String,
    /// A member name that stands twice in one object.
    DuplicateName(String),
    /// A member name written with escapes; FHIR's names never need any.
    EscapedName,
    /// Deeper than [`Bounds::depth`].
    TooDeep(usize),
    /// Longer than [`Bounds::bytes`], or with more values than [`Bounds::nodes`].
    TooLarge,
}

impl fmt::Display for ParseErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 => f.write_str("the text is not UTF-8"),
            Self::UnexpectedEnd => f.write_str("the text ends too early"),
            Self::Unexpected(c) => write!(f, "unexpected character {c:?}"),
            Self::Trailing => f.write_str("text after the end of the value"),
            Self::Number => f.write_str("not a JSON number"),
            Self::String => f.write_str("not a JSON string (escape or control character)"),
            Self::DuplicateName(name) => write!(f, "the property '{name}' stands twice"),
            Self::EscapedName => f.write_str("a property name with escapes is not accepted"),
            Self::TooDeep(depth) => write!(f, "nested deeper than {depth} levels"),
            Self::TooLarge => f.write_str("the document is larger than this server accepts"),
        }
    }
}

impl ParseError {
    pub(super) fn at(text: &[u8], offset: usize, kind: ParseErrorKind) -> Self {
        let before = &text[..offset.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count();
        Self {
            kind,
            offset,
            line,
            column,
        }
    }
}

/// Object members up to this many are compared pairwise for duplicates; more are sorted first.
const PAIRWISE_MEMBERS: usize = 24;

/// Texts from this length on are looked through before they are read, to make room just once.
const LARGE_TEXT: usize = 1 << 20;

type Step<T> = Result<T, (usize, ParseErrorKind)>;

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    max_depth: usize,
    max_nodes: usize,
    spaces: bool,
}

pub(super) fn parse(text: String, bounds: &Bounds) -> Result<Doc, ParseError> {
    if text.len() > bounds.bytes || text.len() >= u32::MAX as usize {
        return Err(ParseError::at(text.as_bytes(), 0, ParseErrorKind::TooLarge));
    }
    let room = if text.len() < LARGE_TEXT {
        text.len() / 20 + 4
    } else {
        // Growing would hold what was read so far twice.
        Doc::values_at_most(text.as_bytes()).min(bounds.nodes)
    };
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        nodes: Vec::with_capacity(room),
        max_depth: bounds.depth,
        max_nodes: bounds.nodes.min(u32::MAX as usize - 1),
        spaces: false,
    };
    match reader.document() {
        Ok(()) => {
            let (nodes, compact) = (reader.nodes, !reader.spaces);
            Ok(Doc {
                text,
                nodes,
                compact,
            })
        }
        Err((offset, kind)) => Err(ParseError::at(text.as_bytes(), offset, kind)),
    }
}

impl Reader<'_> {
    fn document(&mut self) -> Step<()> {
        self.skip_spaces();
        self.value(0, 0, 0)?;
        self.skip_spaces();
        if self.at < self.text.len() {
            return Err((self.at, ParseErrorKind::Trailing));
        }
        Ok(())
    }

    fn peek(&self) -> Step<u8> {
        self.text
            .get(self.at)
            .copied()
            .ok_or((self.at, ParseErrorKind::UnexpectedEnd))
    }

    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.text.get(self.at) {
            self.spaces = true;
            self.at += 1;
        }
    }

    fn unexpected<T>(&self) -> Step<T> {
        let rest = std::str::from_utf8(&self.text[self.at..]).unwrap_or("\u{fffd}");
        match rest.chars().next() {
            Some(c) => Err((self.at, ParseErrorKind::Unexpected(c))),
            None => Err((self.at, ParseErrorKind::UnexpectedEnd)),
        }
    }

    fn value(&mut self, name_start: u32, name_len: u32, depth: usize) -> Step<()> {
        if self.nodes.len() >= self.max_nodes {
            return Err((self.at, ParseErrorKind::TooLarge));
        }
        let index = self.nodes.len();
        let start = self.at as u32;
        self.nodes.push(Node {
            kind: Kind::Null,
            escaped: false,
            name_start,
            name_len,
            start,
            end: start,
            next: 0,
        });
        let mut escaped = false;
        let kind = match self.peek()? {
            b'{' => {
                self.object(index, depth)?;
                Kind::Object
            }
            b'[' => {
                self.array(depth)?;
                Kind::Array
            }
            b'"' => {
                escaped = self.string()?;
                Kind::String
            }
            b't' => self.word("true", Kind::True)?,
            b'f' => self.word("false", Kind::False)?,
            b'n' => self.word("null", Kind::Null)?,
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Kind::Number
            }
            _ => return self.unexpected(),
        };
        let next = self.nodes.len() as u32;
        let node = &mut self.nodes[index];
        node.kind = kind;
        node.escaped = escaped;
        node.end = self.at as u32;
        node.next = next;
        Ok(())
    }

    fn word(&mut self, word: &str, kind: Kind) -> Step<Kind> {
        if self.text[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(kind);
        }
        self.unexpected()
    }

    fn enter(&mut self, depth: usize) -> Step<()> {
        if depth >= self.max_depth {
            return Err((self.at, ParseErrorKind::TooDeep(self.max_depth)));
        }
        self.at += 1;
        self.skip_spaces();
        Ok(())
    }

    fn object(&mut self, index: usize, depth: usize) -> Step<()> {
        self.enter(depth)?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        let mut members = 0;
        loop {
            if self.peek()? != b'"' {
                return self.unexpected();
            }
            let name_start = self.at + 1;
            if self.string()? {
                return Err((name_start, ParseErrorKind::EscapedName));
            }
            let name_len = self.at - 1 - name_start;
            self.skip_spaces();
            if self.peek()? != b':' {
                return self.unexpected();
            }
            self.at += 1;
            self.skip_spaces();
            self.value(name_start as u32, name_len as u32, depth + 1)?;
            members += 1;
            self.skip_spaces();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return self.unexpected(),
            }
            self.skip_spaces();
        }
        self.at += 1;
        self.refuse_duplicates(index, members)
    }

    fn array(&mut self, depth: usize) -> Step<()> {
        self.enter(depth)?;
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(0, 0, depth + 1)?;
            self.skip_spaces();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => break,
                _ => return self.unexpected(),
            }
            self.skip_spaces();
        }
        self.at += 1;
        Ok(())
    }

    fn name_at(&self, node: usize) -> &[u8] {
        let node = &self.nodes[node];
        &self.text[node.name_start as usize..(node.name_start + node.name_len) as usize]
    }

    fn refuse_duplicates(&self, object: usize, members: usize) -> Step<()> {
        if members < 2 {
            return Ok(());
        }
        let mut children = Vec::with_capacity(members);
        let mut child = object + 1;
        while child < self.nodes.len() {
            children.push(child);
            child = self.nodes[child].next as usize;
        }
        let twice = |node: usize| {
            let name = String::from_utf8_lossy(self.name_at(node)).into_owned();
            let offset = self.nodes[node].name_start as usize;
            Err((offset, ParseErrorKind::DuplicateName(name)))
        };
        if members <= PAIRWISE_MEMBERS {
            for (i, later) in children.iter().enumerate().skip(1) {
                let name = self.name_at(*later);
                if children[..i]
                    .iter()
                    .any(|sooner| self.name_at(*sooner) == name)
                {
                    return twice(*later);
                }
            }
            return Ok(());
        }
        children.sort_unstable_by_key(|node| (self.name_at(*node), *node));
        for pair in children.windows(2) {
            if self.name_at(pair[0]) == self.name_at(pair[1]) {
                return twice(pair[1]);
            }
        }
        Ok(())
    }

    /// Reads a string from its opening quote; tells whether it has escapes.
    fn string(&mut self) -> Step<bool> {
        let mut escaped = false;
        let mut at = self.at + 1;
        loop {
            match self.text.get(at) {
                None => return Err((at, ParseErrorKind::UnexpectedEnd)),
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                Some(0x00..=0x1f) => return Err((at, ParseErrorKind::String)),
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(escaped)
    }

    /// Checks the escape at `at` and returns the position after it.
    fn escape(&self, at: usize) -> Step<usize> {
        let bad = (at, ParseErrorKind::String);
        match self.text.get(at + 1) {
            None => Err((at, ParseErrorKind::UnexpectedEnd)),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.hex4(at + 2).ok_or(bad.clone())? {
                0xd800..=0xdbff => {
                    let low = (self.text.get(at + 6..at + 8) == Some(b"\\u"))
                        .then(|| self.hex4(at + 8))
                        .flatten();
                    match low {
                        Some(0xdc00..=0xdfff) => Ok(at + 12),
                        _ => Err(bad),
                    }
                }
                0xdc00..=0xdfff => Err(bad),
                _ => Ok(at + 6),
            },
            Some(_) => Err(bad),
        }
    }

    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 4)?;
        digits.iter().try_fold(0, |value, byte| {
            Some(value * 16 + (*byte as char).to_digit(16)?)
        })
    }

    fn number(&mut self) -> Step<()> {
        let start = self.at;
        let bad = (start, ParseErrorKind::Number);
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(bad),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits(&bad)?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits(&bad)?;
        }
        match self.text.get(self.at) {
            Some(b'0'..=b'9' | b'.') => Err(bad),
            _ => Ok(()),
        }
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, bad: &(usize, ParseErrorKind)) -> Step<()> {
        let from = self.at;
        self.digits();
        if self.at == from {
            return Err(bad.clone());
        }
        Ok(())
    }
}
