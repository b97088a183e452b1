//! Statements as text with arguments, in the spelling of either database.

use bytes::Bytes;
use resources::model::ResourceType;

use super::{
    error::StoreError,
    text::{self, Unreadable},
    types::{Head, Stored},
};

/// How a database spells what the two spell differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// An argument or a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// No value.
    Null,
    /// `bigint`.
    Int(i64),
    /// `integer`: parameter numbers, so that PostgreSQL compares like with like.
    Param(u32),
    /// `text`.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
    /// PostgreSQL only: `bytea[]`.
    Keys(Vec<Vec<u8>>),
    /// PostgreSQL only: `bigint[]`.
    Ints(Vec<i64>),
    /// PostgreSQL only: `text[]`.
    Texts(Vec<String>),
}

/// Up to so many texts stand in a statement one by one.
const LISTED: usize = 64;

/// A statement being written.
#[derive(Debug, Clone)]
pub(super) struct Sql {
    pub dialect: Dialect,
    pub text: String,
    pub args: Vec<Value>,
    aliases: usize,
}

impl Sql {
    pub fn new(dialect: Dialect, text: &str) -> Self {
        Self {
            dialect,
            text: text.to_owned(),
            args: Vec::new(),
            aliases: 0,
        }
    }

    /// Appends text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`.
    pub fn bind(&mut self, value: Value) -> &mut Self {
        self.args.push(value);
        let mark = match self.dialect {
            Dialect::Sqlite => '?',
            Dialect::Postgres => '$',
        };
        self.text.push(mark);
        self.text.push_str(&self.args.len().to_string());
        self
    }

    /// A placeholder for a number.
    pub fn int(&mut self, value: i64) -> &mut Self {
        self.bind(Value::Int(value))
    }

    /// A placeholder for bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.bind(Value::Bytes(value.to_vec()))
    }

    /// A table alias that no other part of the statement has.
    pub fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    /// ` IN (…)`, as one array where the database has arrays.
    pub fn in_keys<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.in_list(keys.map(|key| Value::Bytes(key.to_vec()))),
            Dialect::Postgres => self.any(Value::Keys(keys.map(<[u8]>::to_vec).collect())),
        }
    }

    /// `=`, or ` IN (…)` over several parameters.
    pub fn in_params(&mut self, params: &[u32]) -> &mut Self {
        match params {
            [only] => self.push("=").bind(Value::Param(*only)),
            several => self.in_list(several.iter().copied().map(Value::Param)),
        }
    }

    /// ` IN (…)` over texts. Many are one argument, so that the statement stays the same.
    pub fn in_texts(&mut self, texts: &[String]) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite if texts.len() > LISTED => {
                let list = serde_json::Value::from(texts).to_string();
                self.push(" IN (SELECT value FROM json_each(")
                    .bind(Value::Text(list))
                    .push("))")
            }
            Dialect::Sqlite => self.in_list(texts.iter().cloned().map(Value::Text)),
            Dialect::Postgres => self.any(Value::Texts(texts.to_vec())),
        }
    }

    /// ` IN (…)` over numbers.
    pub fn in_ints(&mut self, numbers: &[i64]) -> &mut Self {
        match self.dialect {
            Dialect::Sqlite => self.in_list(numbers.iter().copied().map(Value::Int)),
            Dialect::Postgres => self.any(Value::Ints(numbers.to_vec())),
        }
    }

    fn any(&mut self, array: Value) -> &mut Self {
        self.push(" = ANY(").bind(array).push(")")
    }

    fn in_list(&mut self, values: impl Iterator<Item = Value>) -> &mut Self {
        self.push(" IN (");
        for (at, value) in values.enumerate() {
            if at > 0 {
                self.push(",");
            }
            self.bind(value);
        }
        self.push(")")
    }
}

/// A row; the columns are taken from the left.
#[derive(Debug, Clone)]
pub(super) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// Bytes of the texts and byte strings in it, resource texts unpacked.
    pub fn weight(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Text(value) => value.len(),
            Value::Bytes(bytes) => text::length(bytes),
            _ => 0,
        };
        self.0.as_slice().iter().map(of).sum()
    }

    fn next(&mut self) -> Result<Value, StoreError> {
        self.0
            .next()
            .ok_or_else(|| StoreError::Failed("a row is too short".to_owned()))
    }

    /// A number.
    pub fn int(&mut self) -> Result<i64, StoreError> {
        match self.next()? {
            Value::Int(value) => Ok(value),
            other => Err(unexpected("a number", &other)),
        }
    }

    /// A text.
    pub fn text(&mut self) -> Result<String, StoreError> {
        match self.next()? {
            Value::Text(value) => Ok(value),
            other => Err(unexpected("a text", &other)),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        match self.next()? {
            Value::Bytes(value) => Ok(value),
            other => Err(unexpected("bytes", &other)),
        }
    }

    /// A number, or nothing.
    pub fn maybe_int(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Int(value) => Ok(Some(value)),
            other => Err(unexpected("a number", &other)),
        }
    }

    /// A text, or nothing.
    pub fn maybe_text(&mut self) -> Result<Option<String>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Text(value) => Ok(Some(value)),
            other => Err(unexpected("a text", &other)),
        }
    }

    /// Bytes, or nothing.
    pub fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.next()? {
            Value::Null => Ok(None),
            Value::Bytes(value) => Ok(Some(value)),
            other => Err(unexpected("bytes", &other)),
        }
    }

    /// Whatever a sort criterion gives: bytes, a number or a text, in bytes that keep the order.
    pub fn sort_key(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self.next()? {
            Value::Null => None,
            Value::Bytes(value) => Some(value),
            Value::Int(value) => Some(ordered(value).to_vec()),
            Value::Text(value) => Some(value.into_bytes()),
            other => return Err(unexpected("a sort key", &other)),
        })
    }

    /// The columns of [`HEAD`].
    pub fn head(&mut self) -> Result<Head, StoreError> {
        let rid = self.int()?;
        Ok(Head {
            rid,
            kind: kind_of(rid)?,
            id: self.text()?,
            version: self.int()?,
            vid: self.int()?,
            updated: self.int()?,
            deleted: self.int()? != 0,
        })
    }

    /// The text of a resource.
    pub fn body(&mut self) -> Result<Result<Bytes, Unreadable>, StoreError> {
        Ok(text::unpack(self.bytes()?).map(Bytes::from))
    }

    /// The columns of [`HEAD`], then the text of that version.
    pub fn stored(&mut self) -> Result<Stored, StoreError> {
        let head = self.head()?;
        Stored::new(head, self.body()?)
    }
}

fn unexpected(wanted: &str, found: &Value) -> StoreError {
    StoreError::Damaged(format!("expected {wanted} in a column, found {found:?}"))
}

/// The columns of a head, of `resource` as `r`.
pub(super) const HEAD: &str = "r.rid, r.id, r.ver, r.vid, r.updated, r.deleted";

/// Eight bytes that compare as the number does.
pub(super) fn ordered(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

/// The number of [`ordered`].
pub(super) fn from_ordered(bytes: &[u8]) -> Option<i64> {
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    Some((u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
}

/// The type of a resource's number.
pub(super) fn kind_of(rid: i64) -> Result<ResourceType, StoreError> {
    ResourceType::from_number(rid >> 44)
        .ok_or_else(|| StoreError::Damaged(format!("resource number {rid} has no type")))
}

/// The numbers that resources of a type can have: from, and up to but not.
pub(super) fn rid_range(kind: ResourceType) -> (i64, i64) {
    (kind.number() << 44, (kind.number() + 1) << 44)
}
