//! Required bindings.

use resources::{
    Value,
    model::{Binding, MEDIA_TYPES, Primitive, TypeDef},
};

use super::{Walk, excerpt, path::Path};

impl<'d> Walk<'d> {
    /// A primitive under a required binding.
    pub(super) fn bound_code(
        &mut self,
        value: Value<'d>,
        kind: Primitive,
        binding: &Binding,
        path: &Path<'_>,
    ) {
        if kind != Primitive::Code {
            return;
        }
        let Some(code) = value.as_str() else { return };
        if binding.contains_code(&code) == Some(false) {
            let sentence = format!(
                "{} is not in the required value set {}{}.",
                excerpt(value),
                binding.value_set,
                hint(binding)
            );
            self.report("code-invalid", path, sentence);
        }
    }

    /// A Coding, CodeableConcept or Quantity under a required binding.
    pub(super) fn bound_concept(
        &mut self,
        value: Value<'d>,
        def: &TypeDef,
        binding: &Binding,
        path: &Path<'_>,
    ) {
        let (valid, what) = match def.name {
            "CodeableConcept" => match value.get("coding") {
                Some(codings) => {
                    let valid = codings.items().any(|coding| is_member(coding, binding));
                    (valid, "a coding, with system and code,")
                }
                None => (has_extension(value), "a coding"),
            },
            "Coding" | "Quantity" => (is_member(value, binding), "system and code"),
            _ => return,
        };
        if !valid {
            let sentence = format!(
                "{} must have {what} of the required value set {}{}{}.",
                path.name(),
                binding.value_set,
                choices(binding),
                system(binding)
            );
            self.report("code-invalid", path, sentence);
        }
    }
}

/// Whether a Coding is in the value set, as far as can be told. A code without its system may
/// mean anything.
fn is_member(coding: Value<'_>, binding: &Binding) -> bool {
    let text = |name| coding.get(name).and_then(|value: Value<'_>| value.as_str());
    match (text("system"), text("code")) {
        (Some(system), Some(code)) => binding.contains(&system, &code) != Some(false),
        (None, Some(_)) => false,
        (_, None) => has_extension(coding),
    }
}

/// An extension may say why there is no code.
fn has_extension(value: Value<'_>) -> bool {
    value.get("extension").is_some() || value.get("_code").is_some()
}

/// What may stand in its place.
fn hint(binding: &Binding) -> String {
    match binding.system {
        Some(MEDIA_TYPES) => "; write a media type like text/plain".to_owned(),
        _ => choices(binding),
    }
}

/// The codes, if they are few.
fn choices(binding: &Binding) -> String {
    match binding.codes {
        Some(codes) if codes.len() <= 12 => {
            let codes: Vec<_> = codes.iter().map(|(_, code)| *code).collect();
            format!("; use one of: {}", codes.join(", "))
        }
        _ => String::new(),
    }
}

/// The code system, if there is only one.
fn system(binding: &Binding) -> String {
    let one = match binding.codes {
        Some([(first, _), .., (last, _)]) if first == last => Some(*first),
        Some([(only, _)]) => Some(*only),
        Some(_) => None,
        None => binding.system,
    };
    one.map_or_else(String::new, |system| format!(" (system {system})"))
}
