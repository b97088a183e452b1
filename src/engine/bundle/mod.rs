//! Batches and transactions, as R4's `http.html` says.

mod address;
mod batch;
mod conditions;
mod entry;
mod fetch;
mod links;
mod made;
mod references;
mod response;
mod transaction;

use resources::{
    Doc, Value,
    model::{self, ResourceType},
    outcome::Issue,
};

use super::{
    Engine,
    error::{Error, ErrorKind},
    operation::Return,
};
use crate::access::Access;

pub use references::{Conditional, check_plain};

/// How a batch or transaction is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleOptions {
    /// `Prefer: return=`; entries of writes carry the resource only for `representation`.
    pub prefer: Return,
    /// Unknown search parameters of GET entries are errors.
    pub strict: bool,
}

impl Engine {
    /// Carries out a batch or a transaction and gives the response Bundle, whose entries are in
    /// the order of the request's.
    ///
    /// # Errors
    /// For a transaction whatever is wrong with an entry; for a batch only what is wrong with the
    /// Bundle itself.
    pub async fn bundle(
        &self,
        doc: Doc,
        options: &BundleOptions,
        access: &Access,
    ) -> Result<String, Error> {
        if doc.resource_type() != Some("Bundle") {
            return Err(Error::invalid(
                "the base address takes Bundles of type batch or transaction; \
                 send other resources to the address of their type",
            ));
        }
        let root = doc.root();
        check_members(root)?;
        let count = root
            .get("entry")
            .map_or(0, |entries| entries.items().count());
        if count > self.settings.limits.bundle_entries {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "too-long",
                format!(
                    "the Bundle has {count} entries; this server takes up to {} at once",
                    self.settings.limits.bundle_entries
                ),
            ));
        }
        match root.get("type").and_then(|kind| kind.plain_str()) {
            Some("transaction") => self.transaction(&doc, options, access).await,
            Some("batch") => self.batch(&doc, options, access).await,
            Some(other) => Err(Error::invalid(format!(
                "a Bundle of type '{other}' cannot be carried out, only 'batch' and \
                 'transaction'; to store it as a document send it to /Bundle"
            ))),
            None => Err(Error::new(
                ErrorKind::Invalid,
                "required",
                "Bundle.type is missing; it must be 'batch' or 'transaction'",
            )),
        }
    }
}

/// A Bundle that is carried out is not stored, so no check of its structure sees a misspelt
/// member.
fn check_members(bundle: Value<'_>) -> Result<(), Error> {
    let known = model::resource(ResourceType::BUNDLE);
    for member in bundle.members() {
        let name = member.name();
        let element = name.strip_prefix('_').unwrap_or(name);
        if name != "resourceType" && known.property(element).is_none() {
            return Err(Error::with(
                ErrorKind::Invalid,
                vec![
                    Issue::error("structure", format!("a Bundle has no element '{name}'"))
                        .at(format!("Bundle.{name}")),
                ],
            ));
        }
    }
    Ok(())
}
