//! `_summary` and `_elements` outside of searches (R4 `http.html#parameters`).

use bytes::Bytes;
use resources::model::{self, ResourceType};

use super::{
    error::Error,
    operation::Resource,
    submit::parse_body,
    subset::{Subset, subset},
};

/// What `_summary` and `_elements` of a request say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part<'r> {
    /// `_summary`
    pub summary: Option<&'r str>,
    /// `_elements`
    pub elements: Option<&'r str>,
}

impl Part<'_> {
    /// The part wanted of resources of these types (none: of any); `None` for the whole.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`] for values that make no sense.
    pub(super) fn wanted(&self, kinds: &[ResourceType]) -> Result<Option<Subset>, Error> {
        match (self.summary, self.elements) {
            (None | Some("false"), None) => Ok(None),
            (None | Some("false"), Some(names)) => {
                let names = elements(kinds, names)?;
                Ok((!names.is_empty()).then_some(Subset::Elements(names)))
            }
            (Some("true"), _) => Ok(Some(Subset::Summary)),
            (Some("text"), _) => Ok(Some(Subset::Text)),
            (Some("data"), _) => Ok(Some(Subset::Data)),
            (Some(_), _) => Err(Error::invalid(
                "_summary must be true, text, data or false here",
            )),
        }
    }
}

impl Resource {
    /// The text of the part that these parameters of a read ask for; `None` for the whole.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`] for values that make no sense.
    pub fn part(&self, part: Part<'_>) -> Result<Option<Bytes>, Error> {
        let Some(wanted) = part.wanted(&[self.kind])? else {
            return Ok(None);
        };
        let doc = parse_body(self.kind, &self.id, &self.body)?;
        Ok(Some(subset(&doc, self.kind, &wanted).into()))
    }
}

/// The names of `_elements`, each of which one of the types must have.
fn elements(kinds: &[ResourceType], names: &str) -> Result<Vec<String>, Error> {
    let check = |name: &str| {
        let named = name.split_once('.');
        let named = named.and_then(|(kind, rest)| Some((ResourceType::from_name(kind)?, rest)));
        let (only, bare) = match named {
            Some((kind, rest)) => (Some(kind), rest),
            None => (None, name),
        };
        let has = |kind: ResourceType| {
            let known = model::resource(kind).elements;
            only.is_none_or(|only| only == kind) && known.iter().any(|known| known.name == bare)
        };
        let any = match kinds {
            [] => ResourceType::all().any(has),
            kinds => kinds.iter().copied().any(has),
        };
        if any || bare == "resourceType" {
            return Ok(name.to_owned());
        }
        Err(Error::invalid(match kinds {
            [kind] => format!("_elements: {kind} has no element '{bare}'"),
            _ => format!("_elements: none of these resources has an element '{name}'"),
        }))
    };
    let names = names.split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(check).collect()
}
