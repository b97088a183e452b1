//! The deep module: every read and every write of resources goes through [`Engine`].

mod error;
mod operation;
mod settings;

use resources::{Doc, model::ResourceType, outcome::Issue};

use crate::access::Access;

pub use error::{Error, ErrorKind};
pub use operation::{
    Done, DoneStatus, EverythingRequest, HistoryRequest, HistoryScope, MetaScope, Operation,
    Resource, Return, Scope, SearchRequest, Target, ValidateRequest,
};
pub use settings::Settings;

/// The FHIR server below HTTP.
pub struct Engine {
    settings: Settings,
}

fn unwired<T>() -> Result<T, Error> {
    Err(Error::new(
        ErrorKind::NotSupported,
        "not-supported",
        "this interaction is not there yet",
    ))
}

impl Engine {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Carries out all operations together, or none: the only way to write. Answers in the order
    /// of the operations, when all is durable.
    ///
    /// # Errors
    /// Whatever is wrong with one of them; nothing was changed then.
    pub async fn submit(&self, _: Vec<Operation>, _: &Access) -> Result<Vec<Done>, Error> {
        unwired()
    }

    /// Carries out a batch or a transaction and gives the response Bundle.
    ///
    /// # Errors
    /// For a transaction whatever is wrong with an entry; for a batch only what is wrong with the
    /// Bundle itself.
    pub async fn bundle(&self, _: Doc, _: &BundleOptions, _: &Access) -> Result<String, Error> {
        unwired()
    }

    /// The newest version of a resource.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Gone`].
    pub async fn read(&self, _: ResourceType, _: &str, _: &Access) -> Result<Resource, Error> {
        unwired()
    }

    /// One version of a resource.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Gone`] if the version is a deletion.
    pub async fn vread(
        &self,
        _: ResourceType,
        _: &str,
        _: i64,
        _: &Access,
    ) -> Result<Resource, Error> {
        unwired()
    }

    /// A page of history, as the text of a Bundle.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for parameters that make no sense, [`ErrorKind::NotFound`].
    pub async fn history(&self, _: &HistoryRequest, _: &Access) -> Result<String, Error> {
        unwired()
    }

    /// A page of search results, as the text of a Bundle.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for parameters that make no sense, and what the store reports.
    pub async fn search(&self, _: &SearchRequest, _: &Access) -> Result<String, Error> {
        unwired()
    }

    /// The one resource that a search matches (conditional read).
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] for none, [`ErrorKind::MultipleMatches`] for several.
    pub async fn read_matching(
        &self,
        _: ResourceType,
        _: &str,
        _: &Access,
    ) -> Result<Resource, Error> {
        unwired()
    }

    /// `$everything`: a page of a patient's or an encounter's record, as the text of a Bundle.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub async fn everything(&self, _: &EverythingRequest, _: &Access) -> Result<String, Error> {
        unwired()
    }

    /// `$meta`: the text of a Parameters resource with one `return` of type Meta.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub async fn meta(&self, _: &MetaScope, _: &Access) -> Result<String, Error> {
        unwired()
    }

    /// `$meta-add` with a Parameters body; gives Parameters as [`Engine::meta`].
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a body without `meta`, [`ErrorKind::NotFound`].
    pub async fn meta_add(
        &self,
        _: ResourceType,
        _: &str,
        _: &Doc,
        _: &Access,
    ) -> Result<String, Error> {
        unwired()
    }

    /// `$meta-delete` with a Parameters body; gives Parameters as [`Engine::meta`].
    ///
    /// # Errors
    /// As [`Engine::meta_add`].
    pub async fn meta_delete(
        &self,
        _: ResourceType,
        _: &str,
        _: &Doc,
        _: &Access,
    ) -> Result<String, Error> {
        unwired()
    }

    /// `$validate`: the issues to answer with (status 200), an `information` one if all is well.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is nothing to validate or the mode is not known.
    pub async fn validate(&self, _: &ValidateRequest, _: &Access) -> Result<Vec<Issue>, Error> {
        unwired()
    }

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`].
    pub async fn health(&self) -> Result<(), Error> {
        unwired()
    }
}

/// How a batch or transaction is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleOptions {
    /// `Prefer: return=`; entries carry the resource only for `representation`.
    pub prefer: Return,
    /// Unknown search parameters of GET entries are errors.
    pub strict: bool,
}
