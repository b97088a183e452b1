//! `_summary` and `_elements` of a read.

use bytes::Bytes;
use resources::{Doc, model};

use super::{
    error::Error,
    operation::Resource,
    subset::{Subset, subset},
};

impl Resource {
    /// The text of the part that these parameters of a read ask for; `None` for the whole.
    ///
    /// # Errors
    /// [`super::ErrorKind::Invalid`] for values that make no sense.
    pub fn part(
        &self,
        summary: Option<&str>,
        elements: Option<&str>,
    ) -> Result<Option<Bytes>, Error> {
        let wanted = match (summary, elements) {
            (None | Some("false"), None) => return Ok(None),
            (None | Some("false"), Some(names)) => Subset::Elements(self.elements(names)?),
            (Some("true"), _) => Subset::Summary,
            (Some("text"), _) => Subset::Text,
            (Some("data"), _) => Subset::Data,
            (Some(_), _) => {
                return Err(Error::invalid(
                    "_summary of a read must be true, text, data or false",
                ));
            }
        };
        let doc = Doc::parse_bytes(&self.body, &resources::doc::Bounds::default())
            .map_err(|error| Error::from(crate::store::StoreError::Damaged(error.to_string())))?;
        Ok(Some(subset(&doc, self.kind, &wanted).into()))
    }

    fn elements(&self, names: &str) -> Result<Vec<String>, Error> {
        let known = model::resource(self.kind).elements;
        let check = |name: &str| {
            let bare = name.strip_prefix(self.kind.name());
            let bare = bare.and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
            if bare == "resourceType" || known.iter().any(|element| element.name == bare) {
                return Ok(name.to_owned());
            }
            Err(Error::invalid(format!(
                "_elements: {} has no element '{bare}'",
                self.kind
            )))
        };
        let names = names.split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(check).collect()
    }
}
