//! From a value of a known type to index keys, as R4's search page lays down for each type.

use std::borrow::Cow;

use super::{Kind, Traits, key};
use crate::{
    Value,
    fhirpath::{Typed, is_a},
    model::ResourceType,
    primitive::{DateRange, Decimal, Reference},
    ucum,
};

/// How values of one type become keys of one kind of parameter.
#[derive(Debug, Clone)]
pub(super) struct Converter {
    shape: Shape,
    /// The types that a reference may point to; empty if any.
    targets: Vec<ResourceType>,
    /// Leave out the keys that only modifiers use.
    bare: bool,
    /// Write numbers at a fixed length.
    fixed: bool,
    /// Write text without its case.
    folded: bool,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    Coding,
    CodeableConcept,
    Identifier,
    ContactPoint,
    Boolean,
    /// A code, with the system that the required binding implies.
    Code(&'static str),
    String,
    HumanName,
    Address,
    Reference,
    Link,
    Resource,
    Date,
    Period,
    Timing,
    Uri,
    Canonical,
    Number,
    NumberRange,
    Quantity,
    Money,
    QuantityRange,
    Position,
}

const HUMAN_NAME_PARTS: [&str; 5] = ["family", "given", "text", "prefix", "suffix"];
const ADDRESS_PARTS: [&str; 7] = [
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
    "text",
];
const CURRENCIES: &str = "urn:iso:std:iso:4217";

impl Converter {
    /// `None` if R4 gives no meaning to values of this type for this kind of parameter.
    pub(super) fn new(kind: Kind, typed: &Typed, targets: &[ResourceType]) -> Option<Self> {
        Some(Self {
            shape: shape(kind, typed)?,
            targets: targets.to_vec(),
            bare: false,
            fixed: false,
            folded: false,
        })
    }

    /// The same for a component of a composite, which no modifier applies to.
    #[must_use]
    pub(super) fn bare(mut self) -> Self {
        self.bare = true;
        self.folded = false;
        self
    }

    /// The same for a component that others follow, or that follows others but the first.
    #[must_use]
    pub(super) fn fixed(mut self) -> Self {
        self.fixed = true;
        self
    }

    /// The same, without the case of text.
    #[must_use]
    pub(super) fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    /// What is to be known of the keys to search for them.
    pub(super) fn traits(&self) -> Traits {
        Traits {
            ranges: matches!(self.shape, Shape::NumberRange | Shape::QuantityRange),
            urls: matches!(self.shape, Shape::Link),
            folded: self.folded,
            inside: matches!(self.shape, Shape::Resource),
        }
    }

    /// Whether its values are telephone numbers and addresses, which have no case.
    pub(super) fn is_contact(&self) -> bool {
        matches!(self.shape, Shape::ContactPoint)
    }

    /// The same, for references to one type only.
    #[must_use]
    pub(super) fn only(mut self, target: ResourceType) -> Self {
        self.targets = vec![target];
        self
    }

    /// Whether it makes keys of references.
    pub(super) fn is_reference(&self) -> bool {
        matches!(self.shape, Shape::Reference | Shape::Link)
    }

    /// Hands each key of `value` to `put`.
    pub(super) fn keys(&self, value: Value<'_>, base_url: &str, put: &mut impl FnMut(Vec<u8>)) {
        match self.shape {
            Shape::Coding => self.coding(value, put),
            Shape::CodeableConcept => self.codeable_concept(value, put),
            Shape::Identifier => self.identifier(value, put),
            Shape::ContactPoint => with_text(value, "value", |text| {
                put(if self.folded {
                    key::token(&key::fold(text), "")
                } else {
                    key::token(text, "")
                });
            }),
            Shape::Boolean => {
                if let Some(value) = value.as_bool() {
                    put(key::token(if value { "true" } else { "false" }, ""));
                }
            }
            Shape::Code(system) => own_text(value, |text| put(key::token(text, system))),
            Shape::String => own_text(value, |text| self.string(text, put)),
            Shape::HumanName => self.parts(value, &HUMAN_NAME_PARTS, put),
            Shape::Address => self.parts(value, &ADDRESS_PARTS, put),
            Shape::Reference => self.reference(value, base_url, put),
            Shape::Link => own_text(value, |text| self.link(text, base_url, put)),
            Shape::Resource => self.resource(value, put),
            Shape::Date => own_text(value, |text| self.date(DateRange::parse(text), put)),
            Shape::Period => self.date(period(value), put),
            Shape::Timing => self.date(timing(value), put),
            Shape::Uri => own_text(value, |text| put(key::uri(text))),
            Shape::Canonical => own_text(value, |text| canonical(text, put)),
            Shape::Number => {
                if let Some(number) = decimal(Some(value)) {
                    put(if self.fixed {
                        key::number_fixed(&number)
                    } else {
                        key::number(&number)
                    });
                }
            }
            Shape::NumberRange => {
                if let Some((low, high)) = bounds(value) {
                    put(key::number_range(low, high));
                }
            }
            Shape::Quantity => quantity(value, put),
            Shape::Money => money(value, put),
            Shape::QuantityRange => quantity_range(value, put),
            Shape::Position => position(value, put),
        }
    }

    fn allows(&self, target: Option<ResourceType>) -> bool {
        self.targets.is_empty() || target.is_none_or(|target| self.targets.contains(&target))
    }

    fn coding(&self, value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
        let system = text_of(value, "system").unwrap_or_default();
        with_text(value, "code", |code| put(key::token(code, &system)));
        self.text(value, "display", put);
    }

    fn codeable_concept(&self, value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
        for item in value.get("coding").iter().flat_map(Value::each) {
            self.coding(item, put);
        }
        self.text(value, "text", put);
    }

    fn string(&self, text: &str, put: &mut impl FnMut(Vec<u8>)) {
        let (key, pieces) = key::string_and_pieces(text);
        put(key);
        if !self.bare {
            pieces.into_iter().for_each(put);
        }
    }

    fn parts(&self, value: Value<'_>, names: &[&str], put: &mut impl FnMut(Vec<u8>)) {
        for member in value.members() {
            if names.contains(&member.name()) {
                for item in member.each() {
                    own_text(item, |text| self.string(text, put));
                }
            }
        }
    }

    fn text(&self, value: Value<'_>, name: &str, put: &mut impl FnMut(Vec<u8>)) {
        if !self.bare {
            with_text(value, name, |text| put(key::token_text(text)));
        }
    }

    fn identifier(&self, value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
        let system = text_of(value, "system").unwrap_or_default();
        with_text(value, "value", |text| put(key::token(text, &system)));
        let Some(concept) = value.get("type").filter(|_| !self.bare) else {
            return;
        };
        self.text(concept, "text", put);
        for coding in concept.get("coding").iter().flat_map(Value::each) {
            let type_system = text_of(coding, "system").unwrap_or_default();
            if let (Some(code), Some(text)) = (text_of(coding, "code"), text_of(value, "value")) {
                put(key::token_of_type(&type_system, &code, &text));
            }
        }
    }

    fn date(&self, range: Option<DateRange>, put: &mut impl FnMut(Vec<u8>)) {
        let Some(range) = range else { return };
        put(key::date(range));
        if let Some(wide) = key::date_wide(range) {
            put(wide);
        }
    }

    fn reference(&self, value: Value<'_>, base_url: &str, put: &mut impl FnMut(Vec<u8>)) {
        let declared = value.get("type").and_then(|name| name.plain_str());
        let declared = declared.and_then(ResourceType::from_name);
        with_text(value, "reference", |text| {
            let untyped = matches!(Reference::parse(text), Some(Reference::Urn(_)));
            if !untyped || self.allows(declared) {
                self.link(text, base_url, put);
            }
        });
        if !self.bare
            && let Some(identifier) = value.get("identifier")
            && self.allows(declared)
        {
            let system = text_of(identifier, "system").unwrap_or_default();
            with_text(identifier, "value", |value| {
                put(key::reference_identifier(value, &system));
            });
        }
    }

    fn link(&self, text: &str, base_url: &str, put: &mut impl FnMut(Vec<u8>)) {
        match Reference::parse_within(text, base_url) {
            Some(Reference::Local { kind, id, .. }) if self.allows(Some(kind)) => {
                put(key::reference(kind, id));
            }
            Some(Reference::Absolute { url, kind }) if self.allows(kind) => {
                let (url, version) = key::split_canonical(url);
                put(key::reference_url(url, version));
            }
            Some(Reference::Urn(urn)) => {
                let (urn, version) = key::split_canonical(urn);
                put(key::reference_url(urn, version));
            }
            _ => {}
        }
    }

    /// A resource inside another, like a document's Composition: as if referred to.
    fn resource(&self, value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
        let text = |name| value.get(name).and_then(|text| text.plain_str());
        let kind = text("resourceType").and_then(ResourceType::from_name);
        if let (Some(kind), Some(id)) = (kind, text("id"))
            && self.allows(Some(kind))
        {
            put(key::reference(kind, id));
        }
    }
}

fn shape(kind: Kind, typed: &Typed) -> Option<Shape> {
    let name = typed.def.name;
    Some(match (kind, name) {
        (Kind::Token, "Coding") => Shape::Coding,
        (Kind::Token, "CodeableConcept") => Shape::CodeableConcept,
        (Kind::Token, "Identifier") => Shape::Identifier,
        (Kind::Token, "ContactPoint") => Shape::ContactPoint,
        (Kind::Token, "boolean") => Shape::Boolean,
        (Kind::Token, _) if is_a(name, "string") || is_a(name, "uri") => {
            Shape::Code(implied_system(typed))
        }
        (Kind::String, "HumanName") => Shape::HumanName,
        (Kind::String, "Address") => Shape::Address,
        (Kind::String, _) if is_a(name, "string") || is_a(name, "uri") => Shape::String,
        (Kind::Reference, "Reference") => Shape::Reference,
        (Kind::Reference, _) if is_a(name, "uri") => Shape::Link,
        (Kind::Reference, _) if is_a(name, "Resource") => Shape::Resource,
        (Kind::Date, "date" | "dateTime" | "instant") => Shape::Date,
        (Kind::Date, "Period") => Shape::Period,
        (Kind::Date, "Timing") => Shape::Timing,
        (Kind::Uri, "canonical") => Shape::Canonical,
        (Kind::Uri, _) if is_a(name, "uri") => Shape::Uri,
        (Kind::Number, "decimal") => Shape::Number,
        (Kind::Number, _) if is_a(name, "integer") => Shape::Number,
        (Kind::Number, "Range") => Shape::NumberRange,
        (Kind::Quantity, "Money") => Shape::Money,
        (Kind::Quantity, "Range") => Shape::QuantityRange,
        (Kind::Quantity, _) if is_a(name, "Quantity") => Shape::Quantity,
        (Kind::Special, "Location.position") => Shape::Position,
        _ => return None,
    })
}

/// The one code system of the element's required binding; empty if there is no such.
fn implied_system(typed: &Typed) -> &'static str {
    let binding = typed.element.and_then(|element| element.binding);
    let Some(codes) = binding.and_then(|binding| binding.codes) else {
        return "";
    };
    match (codes.first(), codes.last()) {
        (Some((first, _)), Some((last, _))) if first == last => first,
        _ => "",
    }
}

fn own_text(value: Value<'_>, use_it: impl FnOnce(&str)) {
    if let Some(text) = value.as_str()
        && !text.is_empty()
    {
        use_it(&text);
    }
}

fn with_text(value: Value<'_>, name: &str, use_it: impl FnOnce(&str)) {
    if let Some(member) = value.get(name) {
        own_text(member, use_it);
    }
}

fn text_of<'d>(value: Value<'d>, name: &str) -> Option<Cow<'d, str>> {
    value.get(name)?.as_str()
}

fn date(value: Value<'_>, name: &str) -> Option<DateRange> {
    DateRange::parse(&text_of(value, name)?)
}

fn period(value: Value<'_>) -> Option<DateRange> {
    let (start, end) = (date(value, "start"), date(value, "end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    let lo = start.map_or(i64::MIN, |start| start.lo);
    let hi = end.map_or(i64::MAX, |end| end.hi);
    // A period that ends before it starts is wrong; its start is still there to be found.
    Some(DateRange { lo, hi: hi.max(lo) })
}

/// The outer limits of a schedule; the details in between do not matter to searches.
fn timing(value: Value<'_>) -> Option<DateRange> {
    let bounds = value
        .get("repeat")
        .and_then(|repeat| repeat.get("boundsPeriod"))
        .and_then(period);
    let events = value.get("event");
    events
        .iter()
        .flat_map(Value::each)
        .filter_map(|event| DateRange::parse(&event.as_str()?))
        .chain(bounds)
        .reduce(|all, next| DateRange {
            lo: all.lo.min(next.lo),
            hi: all.hi.max(next.hi),
        })
}

/// A canonical is found with its version and without.
fn canonical(text: &str, put: &mut impl FnMut(Vec<u8>)) {
    put(key::uri(text));
    let (url, version) = key::split_canonical(text);
    if !version.is_empty() {
        put(key::uri(url));
    }
}

fn decimal(value: Option<Value<'_>>) -> Option<Decimal> {
    Decimal::parse(value?.number()?)
}

/// The numbers of a Range's bounds; `None` if it has neither.
fn bounds(value: Value<'_>) -> Option<(Option<Decimal>, Option<Decimal>)> {
    let of = |name| decimal(value.get(name)?.get("value"));
    let (low, high) = (of("low"), of("high"));
    if low.is_none() && high.is_none() {
        return None;
    }
    // A range that ends before it starts is wrong; its start is still there to be found.
    Some((low, high.map(|high| low.map_or(high, |low| high.max(low)))))
}

fn quantity_range(value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
    let Some((low, high)) = bounds(value) else {
        return;
    };
    // Both bounds have the same unit, as R4's Range says.
    let of = |name| {
        ["low", "high"]
            .iter()
            .find_map(|bound| text_of(value.get(bound)?, name))
            .unwrap_or_default()
    };
    let (code, unit, system) = (of("code"), of("unit"), of("system"));
    put(key::quantity_range((low, high), &code, &unit, &system));
    if system == ucum::SYSTEM
        && let Some(zero) = ucum::canonicalise(&Decimal::ZERO, &code)
    {
        let convert = |bound: Option<Decimal>| {
            let canonical = bound.and_then(|bound| ucum::canonicalise(&bound, &code));
            canonical.map(|canonical| canonical.value)
        };
        put(key::quantity_range_canonical(
            convert(low),
            convert(high),
            &zero.unit,
        ));
    }
}

fn quantity(value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
    let Some(number) = decimal(value.get("value")) else {
        return;
    };
    let code = text_of(value, "code").unwrap_or_default();
    let unit = text_of(value, "unit").unwrap_or_default();
    let system = text_of(value, "system").unwrap_or_default();
    put(key::quantity(&number, &code, &unit, &system));
    if system == ucum::SYSTEM
        && let Some(canonical) = ucum::canonicalise(&number, &code)
    {
        put(key::quantity_canonical(&canonical.value, &canonical.unit));
    }
}

fn money(value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
    if let Some(number) = decimal(value.get("value")) {
        let currency = text_of(value, "currency").unwrap_or_default();
        put(key::quantity(&number, &currency, &currency, CURRENCIES));
    }
}

fn position(value: Value<'_>, put: &mut impl FnMut(Vec<u8>)) {
    let degrees = |name| value.get(name)?.number()?.parse::<f64>().ok();
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
        put(key::near(latitude, longitude));
    }
}
