//! Search parameters as values.

use crate::model::{self, ResourceType, TypeDef, TypeUse, search_parameters};

/// A search parameter of one resource type. Built-in numbers are `type << 8 | n`, where `n` is
/// the code's place, from 1, in the sorted list of R4's codes of that type; they are stored.
/// Numbers of parameters that users post begin at `1 << 20`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParamId(pub u32);

impl ParamId {
    /// The first number of a parameter that a user posts.
    pub const FIRST_CUSTOM: Self = Self(1 << 20);

    pub(super) fn built_in(base: ResourceType, place: usize) -> Self {
        Self((base.number() as u32) << 8 | (place as u32 + 1))
    }

    /// Pairs are numbered down from the end of the type's numbers.
    pub(super) fn pair(base: ResourceType, place: usize) -> Self {
        Self((base.number() as u32) << 8 | (0xff - place as u32))
    }

    /// Whether a user has posted the parameter.
    pub fn is_custom(self) -> bool {
        self >= Self::FIRST_CUSTOM
    }
}

/// One row of the search index, apart from the resource that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The parameter.
    pub param: ParamId,
    /// The key; its bytes compare in the order of the values.
    pub key: Vec<u8>,
}

/// The types of search parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Kind {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl Kind {
    const CODES: [(Self, &'static str); 9] = [
        (Self::Number, "number"),
        (Self::Date, "date"),
        (Self::String, "string"),
        (Self::Token, "token"),
        (Self::Reference, "reference"),
        (Self::Composite, "composite"),
        (Self::Quantity, "quantity"),
        (Self::Uri, "uri"),
        (Self::Special, "special"),
    ];

    /// The kind with this code of the value set search-param-type.
    pub fn from_code(code: &str) -> Option<Self> {
        let (kind, _) = Self::CODES.iter().find(|(_, known)| *known == code)?;
        Some(*kind)
    }

    /// The code as it stands in `SearchParameter.type`.
    pub fn code(self) -> &'static str {
        match Self::CODES.iter().find(|(kind, _)| *kind == self) {
            Some((_, code)) => code,
            None => "special",
        }
    }
}

/// A search parameter of one resource type.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its number.
    pub id: ParamId,
    /// The type whose resources it finds.
    pub base: ResourceType,
    /// Its name in a search.
    pub code: String,
    /// Canonical URL of the SearchParameter.
    pub url: String,
    /// What its values are.
    pub kind: Kind,
    /// FHIRPath of the values; empty for those that are no part of the index.
    pub expression: String,
    /// The types that a reference may point to; empty if any.
    pub targets: Vec<ResourceType>,
    /// The parts of a composite, in order.
    pub components: Vec<Component>,
}

/// What a search must know of a parameter's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// Some values are ranges of numbers or quantities.
    pub ranges: bool,
    /// Some values are canonicals or other URLs.
    pub urls: bool,
    /// Tokens are without case.
    pub folded: bool,
    /// Values are resources inside another, like the Composition of a document.
    pub inside: bool,
}

impl Traits {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            ranges: self.ranges || other.ranges,
            urls: self.urls || other.urls,
            folded: self.folded || other.folded,
            inside: self.inside || other.inside,
        }
    }
}

/// A part of a composite parameter.
#[derive(Debug, Clone)]
pub struct Component {
    /// Code of the parameter of the same type that the part is like.
    pub code: String,
    /// Canonical URL of that parameter.
    pub url: String,
    /// What its values are.
    pub kind: Kind,
    /// FHIRPath of the values, relative to the composite's.
    pub expression: String,
    /// The types that a reference may point to; empty if any.
    pub targets: Vec<ResourceType>,
}

/// R4 gives the components of this parameter each other's definitions.
const SWAPPED_COMPONENTS: &str =
    "http://hl7.org/fhir/SearchParameter/DocumentReference-relationship";

/// The parameters that R4 defines for a type, by code.
pub(super) fn built_in(base: ResourceType) -> Vec<Param> {
    let rows = search_parameters::of(base);
    let param = |(place, row): (usize, &search_parameters::Definition)| Param {
        id: ParamId::built_in(base, place),
        base,
        code: row.code.into(),
        url: row.url.into(),
        kind: Kind::from_code(row.kind).unwrap_or(Kind::Special),
        expression: row.expression.into(),
        targets: narrowed(row),
        components: components(row, rows),
    };
    rows.iter().enumerate().map(param).collect()
}

/// The targets of a parameter, without those that no element of its expression can refer to: a
/// parameter shared by several types, like `patient`, lists the targets of all.
fn narrowed(row: &search_parameters::Definition) -> Vec<ResourceType> {
    let mut possible = Vec::new();
    for path in row.expression.split('|').map(str::trim) {
        match element_targets(row.base, path) {
            Some(targets) => possible.extend(targets),
            None => return row.targets.to_vec(),
        }
    }
    let narrow: Vec<_> = row
        .targets
        .iter()
        .filter(|kind| possible.contains(kind))
        .copied()
        .collect();
    if narrow.is_empty() {
        row.targets.to_vec()
    } else {
        narrow
    }
}

/// What the element at a plain path can refer to; `None` if the path is not plain or leads to
/// references of any type.
fn element_targets(base: ResourceType, path: &str) -> Option<Vec<ResourceType>> {
    let (path, only) = match path.split_once(".where(resolve() is ") {
        Some((path, rest)) => (
            path,
            Some(ResourceType::from_name(rest.strip_suffix(')')?)?),
        ),
        None => (path, None),
    };
    let mut names = path
        .strip_prefix(base.name())?
        .strip_prefix('.')?
        .split('.');
    let types = type_uses(model::resource(base), &mut names)?;
    let targets: Vec<_> = types
        .iter()
        .flat_map(|ty| ty.targets.iter().copied())
        .collect();
    match only {
        Some(only) => Some(vec![only]),
        None if types.iter().any(|ty| ty.targets.is_empty()) => None,
        None => Some(targets),
    }
}

fn type_uses<'n>(
    within: &TypeDef,
    names: &mut impl Iterator<Item = &'n str>,
) -> Option<&'static [TypeUse]> {
    let first = names.next()?;
    let mut types = within
        .elements
        .iter()
        .find(|element| element.name == first)?
        .types;
    for name in names {
        let [only] = types else { return None };
        types = only
            .def()
            .elements
            .iter()
            .find(|element| element.name == name)?
            .types;
    }
    Some(types)
}

fn components(
    row: &search_parameters::Definition,
    rows: &[search_parameters::Definition],
) -> Vec<Component> {
    let expressions = row.components.iter().map(|(_, expression)| *expression);
    let mut urls: Vec<_> = row.components.iter().map(|(url, _)| *url).collect();
    if row.url == SWAPPED_COMPONENTS {
        urls.reverse();
    }
    let definition = |url: &str| rows.iter().find(|row| row.url == url);
    urls.into_iter()
        .zip(expressions)
        .filter_map(|(url, expression)| {
            let part = definition(url)?;
            Some(Component {
                code: part.code.into(),
                url: part.url.into(),
                kind: Kind::from_code(part.kind)?,
                expression: expression.into(),
                targets: part.targets.to_vec(),
            })
        })
        .collect()
}
