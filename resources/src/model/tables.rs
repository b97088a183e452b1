//! The generated type tables.

use super::{Binding, Element, Primitive, ResourceType, TypeDef, TypeKind, TypeUse};

const fn t(name: &'static str, kind: TypeKind, elements: &'static [Element]) -> TypeDef {
    assert!(elements.len() <= 128);
    let mut required = 0;
    let mut at = 0;
    while at < elements.len() {
        if elements[at].min > 0 {
            required |= 1 << at;
        }
        at += 1;
    }
    TypeDef {
        name,
        kind,
        elements,
        required,
    }
}

const fn u(name: &'static str, def: u16, targets: &'static [ResourceType]) -> TypeUse {
    TypeUse { name, targets, def }
}

/// A resource type by its number.
#[allow(
    non_snake_case,
    reason = "short in the generated text, and it reads as a constructor"
)]
const fn R(number: u8) -> ResourceType {
    ResourceType::from_table(number)
}

include!(concat!(env!("OUT_DIR"), "/types.rs"));
