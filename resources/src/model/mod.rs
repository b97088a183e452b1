//! The element model of FHIR R4: what R4's StructureDefinitions say, as static tables.
//!
//! `build.rs` writes the tables from the definitions in `r4/`; nothing is computed at start-up.

pub mod compartments;
mod resource_type;
pub mod search_parameters;
mod tables;
#[cfg(test)]
mod tests;

pub use resource_type::ResourceType;

use crate::{primitive::syntax, ucum};

/// A data type, a resource type, or an element that has children of its own.
#[derive(Debug)]
pub struct TypeDef {
    /// `CodeableConcept`, `Patient`, `Patient.contact`.
    pub name: &'static str,
    /// What kind of type.
    pub kind: TypeKind,
    /// Its elements in the standard's order, inherited ones (`id`, `extension`, `meta`, …) included.
    /// A primitive type has those that its `_name` object may have.
    pub elements: &'static [Element],
    /// Which of `elements` must be there, as bits by place (no type has more than 128 elements).
    pub required: u128,
}

/// The kinds of type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// A JSON string, number or boolean.
    Primitive(Primitive),
    /// A data type that is an object.
    Complex,
    /// An element with children that the standard defines in place.
    Backbone,
    /// A resource type, or the abstract `Resource` and `DomainResource`.
    Resource,
}

/// The primitive types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Primitive {
    Boolean,
    Integer,
    Decimal,
    String,
    Uri,
    Url,
    Canonical,
    Base64Binary,
    Instant,
    Date,
    DateTime,
    Time,
    Code,
    Oid,
    Id,
    Markdown,
    UnsignedInt,
    PositiveInt,
    Uuid,
    Xhtml,
}

/// An element of a type.
#[derive(Debug)]
pub struct Element {
    /// The name; `value` for `value[x]`.
    pub name: &'static str,
    /// Whether the name is completed by the type's: `valueQuantity`.
    pub choice: bool,
    /// How many there must be.
    pub min: u16,
    /// How many there may be; [`Element::MANY`] if as many as one likes.
    pub max: u16,
    /// Part of `_summary=true`.
    pub summary: bool,
    /// Changes the meaning of what holds it.
    pub modifier: bool,
    /// The types that a value may have; more than one only if [`Element::choice`].
    pub types: &'static [TypeUse],
    /// The value set that its codes must be from.
    pub binding: Option<&'static Binding>,
}

impl Element {
    /// [`Element::max`] of `*`.
    pub const MANY: u16 = u16::MAX;

    /// Whether JSON has an array here.
    pub fn repeats(&self) -> bool {
        self.max > 1
    }
}

/// A type that an element's value may have.
#[derive(Debug)]
pub struct TypeUse {
    /// The type's name; `Resource` where any resource may stand.
    pub name: &'static str,
    /// The types that a reference or canonical may point to; empty if any.
    pub targets: &'static [ResourceType],
    def: u16,
}

impl TypeUse {
    /// The type.
    pub fn def(&self) -> &'static TypeDef {
        &tables::TYPES[self.def as usize]
    }
}

/// A required binding.
#[derive(Debug)]
pub struct Binding {
    /// Canonical URL of the value set, without version.
    pub value_set: &'static str,
    /// All pairs of system and code, sorted; `None` if they cannot be listed (media types, units).
    pub codes: Option<&'static [(&'static str, &'static str)]>,
    /// The code system all codes of which are the set.
    pub system: Option<&'static str>,
}

impl Binding {
    /// Whether the value set has this code of this system; `None` if it cannot be told.
    pub fn contains(&self, system: &str, code: &str) -> Option<bool> {
        match (self.codes, self.system) {
            (Some(codes), _) => Some(codes.binary_search(&(system, code)).is_ok()),
            (None, Some(own)) if own != system => Some(false),
            (None, own) => is_written_as(own?, code),
        }
    }

    /// Whether the value set has this code of any system; `None` if it cannot be told.
    pub fn contains_code(&self, code: &str) -> Option<bool> {
        let Some(codes) = self.codes else {
            return is_written_as(self.system?, code);
        };
        match (codes.first(), codes.last()) {
            (Some((system, _)), Some((last, _))) if system == last => Some(
                codes
                    .binary_search_by(|(_, known)| (*known).cmp(code))
                    .is_ok(),
            ),
            _ => Some(codes.iter().any(|(_, known)| *known == code)),
        }
    }
}

/// The code system of media types (BCP 13).
pub const MEDIA_TYPES: &str = "urn:ietf:bcp:13";

/// Whether a code is one by the grammar of a code system that lists none; `None` if that is not
/// known here.
fn is_written_as(system: &str, code: &str) -> Option<bool> {
    match system {
        MEDIA_TYPES => Some(syntax::is_media_type(code)),
        ucum::SYSTEM => Some(ucum::is_valid(code)),
        _ => None,
    }
}

/// What a JSON member's name says: the element, and which of its types.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// The element.
    pub element: &'static Element,
    /// The type of the value.
    pub ty: &'static TypeUse,
}

impl TypeDef {
    /// The element and type that a JSON member's name stands for (`valueQuantity`).
    pub fn property(&self, name: &str) -> Option<Property> {
        self.elements
            .iter()
            .find_map(|element| element.property(name))
    }
}

impl Element {
    /// The element's type under this JSON name, if it is a name of this element.
    pub fn property(&'static self, name: &str) -> Option<Property> {
        let rest = name.strip_prefix(self.name)?;
        if !self.choice {
            let ty = self.types.first().filter(|_| rest.is_empty())?;
            return Some(Property { element: self, ty });
        }
        let ty = self.types.iter().find(|ty| is_suffix(rest, ty.name))?;
        Some(Property { element: self, ty })
    }
}

/// Whether `suffix` is a type's name with a capital first letter.
fn is_suffix(suffix: &str, type_name: &str) -> bool {
    let (suffix, type_name) = (suffix.as_bytes(), type_name.as_bytes());
    suffix.len() == type_name.len()
        && suffix.first() == type_name.first().map(u8::to_ascii_uppercase).as_ref()
        && suffix[1..] == type_name[1..]
}

/// The definition of a resource type.
pub fn resource(kind: ResourceType) -> &'static TypeDef {
    &tables::TYPES[tables::RESOURCES[kind.number() as usize - 1] as usize]
}

/// A data type (`CodeableConcept`, `string`), a resource type, or an element with children by its
/// path (`Patient.contact`).
pub fn data_type(name: &str) -> Option<&'static TypeDef> {
    let at = tables::TYPES
        .binary_search_by(|ty| ty.name.cmp(name))
        .ok()?;
    Some(&tables::TYPES[at])
}
