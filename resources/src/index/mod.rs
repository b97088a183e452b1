//! What search indexes of a resource: parameters, and the keys that they give.

pub mod key;

/// A search parameter of one resource type. Built-in numbers are `type << 8 | n`, where `n` is
/// the code's place, from 1, in the sorted list of R4's codes of that type; they are stored.
/// Numbers of parameters that users post begin at `1 << 20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub u32);

/// One row of the search index, apart from the resource that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The parameter.
    pub param: ParamId,
    /// The key; its bytes compare in the order of the values.
    pub key: Vec<u8>,
}
