//! Objects: which elements they have, and how often.

use resources::{
    Value,
    doc::Items,
    model::{Element, Property, TypeDef, TypeKind},
};

use super::{Walk, excerpt, is_primitive, kind_name, narrative, path::Path, primitive};

impl<'d> Walk<'d> {
    /// An object's members beside its type's elements.
    pub(super) fn object(&mut self, value: Value<'d>, def: &'static TypeDef, path: &Path<'_>) {
        if !value.is_object() {
            let sentence = format!(
                "{} is {}; it must be a JSON object ({}).",
                path.name(),
                kind_name(value),
                def.name
            );
            return self.report("structure", path, sentence);
        }
        let mut seen = 0u128;
        let mut cursor = 0;
        let mut empty = true;
        for member in value.members() {
            if self.is_full() {
                return;
            }
            let name = member.name();
            if name == "resourceType" && def.kind == TypeKind::Resource {
                // A resource that says nothing but its type is not empty.
                empty = false;
                continue;
            }
            empty = false;
            let bare = name.strip_prefix('_').unwrap_or(name);
            let Some((at, property)) = find(def, cursor, bare) else {
                self.unknown(member, def, path);
                continue;
            };
            cursor = at;
            let bit = 1u128 << at;
            if seen & bit != 0 && property.element.choice {
                self.one_choice(value, member, property, path);
            }
            seen |= bit;
            let path = path.child(property.element.name);
            if bare.len() == name.len() {
                self.element(value, member, property, &path);
            } else if is_primitive(property.ty.def()) {
                self.companion(value, member, property, &path);
            } else {
                let sentence = format!(
                    "{name} cannot be: only primitive elements have a property with '_'. Put id \
                     and extension inside {bare}."
                );
                self.report("structure", &path, sentence);
            }
        }
        if empty {
            let sentence = format!("{} is an empty object; leave it out.", path.name());
            return self.report("structure", path, sentence);
        }
        self.required(def, seen, path);
        self.known_type(value, def, path);
    }

    fn required(&mut self, def: &'static TypeDef, seen: u128, path: &Path<'_>) {
        let mut missing = def.required & !seen;
        while missing != 0 {
            let element = &def.elements[missing.trailing_zeros() as usize];
            missing &= missing - 1;
            let name = match element.choice {
                true => format!("{}[x]", element.name),
                false => element.name.to_owned(),
            };
            let sentence = format!("{} requires {name}; add it.", def.name);
            self.report("required", &path.child(element.name), sentence);
        }
    }

    /// Rules that the element tables do not hold.
    fn known_type(&mut self, value: Value<'d>, def: &'static TypeDef, path: &Path<'_>) {
        if def.name == "Extension" {
            let extensions = value.get("extension").is_some();
            let has_value = value
                .members()
                .any(|member| member.name().trim_start_matches('_').starts_with("value"));
            if extensions == has_value {
                let sentence = match has_value {
                    true => "An extension has either a value[x] or extensions, not both.",
                    false => {
                        "An extension must have a value[x] or extensions; add one or leave it out."
                    }
                };
                self.report("invariant", path, sentence);
            }
        }
    }

    fn unknown(&mut self, member: Value<'d>, def: &'static TypeDef, path: &Path<'_>) {
        let name = member.name();
        let bare = name.trim_start_matches('_');
        let choice = def
            .elements
            .iter()
            .find(|element| element.choice && element.name == bare);
        let alike = def
            .elements
            .iter()
            .find(|element| element.name.eq_ignore_ascii_case(bare));
        let hint = match (choice, alike) {
            (Some(element), _) => format!(
                " Its name carries the type, like {}.",
                typed_names(element)
                    .take(3)
                    .collect::<Vec<_>>()
                    .join(" or ")
            ),
            (None, Some(element)) => format!(" Did you mean {}?", element.name),
            (None, None) => " Remove it, or send it as an extension.".to_owned(),
        };
        let mut shown = String::from(name);
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
        }
        let sentence = format!("{} has no element '{shown}'.{hint}", def.name);
        self.report("structure", &path.child(&shown), sentence);
    }

    /// A second member of a choice is fine only as the first one's `_name`.
    fn one_choice(
        &mut self,
        value: Value<'d>,
        member: Value<'d>,
        property: Property,
        path: &Path<'_>,
    ) {
        let bare = |name: &'d str| name.strip_prefix('_').unwrap_or(name);
        let other = value
            .members()
            .take_while(|other| other.index() < member.index())
            .find(|other| {
                bare(other.name()) != bare(member.name())
                    && property.element.property(bare(other.name())).is_some()
            });
        if let Some(other) = other {
            let sentence = format!(
                "Only one type of {}[x] can be given; there are {} and {}.",
                property.element.name,
                other.name(),
                member.name()
            );
            self.report("structure", &path.child(property.element.name), sentence);
        }
    }

    /// The value or values of one element.
    fn element(
        &mut self,
        holder: Value<'d>,
        value: Value<'d>,
        property: Property,
        path: &Path<'_>,
    ) {
        let element = property.element;
        if !element.repeats() {
            if value.is_array() {
                let sentence = format!(
                    "{} cannot repeat; give its value without [ ].",
                    value.name()
                );
                return self.report("structure", path, sentence);
            }
            return self.value(value, property, path);
        }
        if !value.is_array() {
            let sentence = format!(
                "{} can repeat, so it must be a JSON array; put its value in [ ].",
                value.name()
            );
            return self.report("structure", path, sentence);
        }
        let mut count = 0;
        let mut companions = None;
        for (index, item) in value.items().enumerate() {
            if self.is_full() {
                return;
            }
            count += 1;
            if item.is_null() && is_primitive(property.ty.def()) {
                let (companions, next) =
                    companions.get_or_insert_with(|| (companion_of(holder, value.name()), 0));
                let companion = companions
                    .as_mut()
                    .and_then(|items| items.nth(index - *next));
                *next = index + 1;
                self.gap(companion, value.name(), &path.item(index));
                continue;
            }
            self.value(item, property, &path.item(index));
        }
        if count == 0 {
            let sentence = format!("{} is an empty array; leave it out.", value.name());
            self.report("structure", path, sentence);
        } else if count > usize::from(element.max) && element.max != Element::MANY {
            let sentence = format!(
                "{} can have {} values at most; there are {count}.",
                value.name(),
                element.max
            );
            self.report("structure", path, sentence);
        } else if count < usize::from(element.min) {
            let sentence = format!(
                "{} must have {} values at least.",
                value.name(),
                element.min
            );
            self.report("required", path, sentence);
        }
    }

    /// `null` in an array of primitives stands for a value that has only an extension.
    fn gap(&mut self, companion: Option<Value<'d>>, name: &str, path: &Path<'_>) {
        if !companion.is_some_and(|companion| companion.is_object()) {
            let sentence = format!(
                "null stands for a value with extensions only, but _{name} has none at this place."
            );
            self.report("structure", path, sentence);
        }
    }

    /// One value.
    fn value(&mut self, value: Value<'d>, property: Property, path: &Path<'_>) {
        let def = property.ty.def();
        match def.kind {
            TypeKind::Primitive(kind) => {
                if let Err(fault) = primitive::check(kind, value) {
                    return self.bad_primitive(value, def, fault, path);
                }
                if kind == resources::model::Primitive::Xhtml {
                    if let Err(fault) = narrative::check(&value.as_str().unwrap_or_default()) {
                        self.report(fault.code, path, fault.sentence);
                    }
                } else if let Some(binding) = property.element.binding {
                    self.bound_code(value, kind, binding, path);
                }
            }
            TypeKind::Resource => self.resource(value, path, property.element.name == "contained"),
            TypeKind::Complex | TypeKind::Backbone => {
                self.object(value, def, path);
                if let Some(binding) = property.element.binding {
                    self.bound_concept(value, def, binding, path);
                }
                if def.name == "Reference" {
                    self.reference(value, property.ty, path);
                }
            }
        }
    }

    fn bad_primitive(
        &mut self,
        value: Value<'d>,
        def: &TypeDef,
        fault: primitive::Fault,
        path: &Path<'_>,
    ) {
        let TypeKind::Primitive(kind) = def.kind else {
            return;
        };
        let name = path.name();
        match fault {
            primitive::Fault::Kind(wanted) => {
                let sentence = format!(
                    "{name} ({}) is {}; it must be {wanted}.",
                    def.name,
                    kind_name(value)
                );
                self.report("structure", path, sentence);
            }
            primitive::Fault::Syntax => {
                let sentence = format!(
                    "{name} has the value {}; it must be {}.",
                    excerpt(value),
                    primitive::rule(kind)
                );
                self.report("value", path, sentence);
            }
        }
    }

    /// A `_name` member: id and extensions of a primitive element.
    fn companion(
        &mut self,
        holder: Value<'d>,
        member: Value<'d>,
        property: Property,
        path: &Path<'_>,
    ) {
        let def = property.ty.def();
        let values = holder.get(&member.name()[1..]);
        if !property.element.repeats() {
            return self.object(member, def, path);
        }
        if !member.is_array() {
            let sentence = format!(
                "{} must be a JSON array, as {} is.",
                member.name(),
                &member.name()[1..]
            );
            return self.report("structure", path, sentence);
        }
        let count = member.items().count();
        if values.is_some_and(|values| values.is_array() && values.items().count() != count)
            || count == 0
        {
            let sentence = format!(
                "{} must have as many items as {}; fill up with null.",
                member.name(),
                &member.name()[1..]
            );
            return self.report("structure", path, sentence);
        }
        for (index, item) in member.items().enumerate() {
            if self.is_full() {
                return;
            }
            if !item.is_null() {
                self.object(item, def, &path.item(index));
            } else if values.is_none() {
                let sentence =
                    format!("{} has null where there is no value either.", member.name());
                self.report("structure", &path.item(index), sentence);
            }
        }
    }
}

/// The element of this JSON name and its place; looks from `cursor` on first, since members mostly
/// come in the standard's order.
fn find(def: &'static TypeDef, cursor: usize, name: &str) -> Option<(usize, Property)> {
    let (before, after) = def.elements.split_at(cursor);
    let mut later = after.iter().zip(cursor..).chain(before.iter().zip(0..));
    later.find_map(|(element, at)| Some((at, element.property(name)?)))
}

/// The items of the member `_name`.
fn companion_of<'d>(holder: Value<'d>, name: &str) -> Option<Items<'d>> {
    let is_companion = |member: &Value<'d>| member.name().strip_prefix('_') == Some(name);
    Some(holder.members().find(is_companion)?.items())
}

/// The JSON names of a choice element.
fn typed_names(element: &'static Element) -> impl Iterator<Item = String> {
    element.types.iter().map(|ty| {
        let (first, rest) = ty.name.split_at(1);
        format!("{}{}{rest}", element.name, first.to_ascii_uppercase())
    })
}
