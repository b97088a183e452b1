//! What can be asked of the engine, and what it answers.

use bytes::Bytes;
use resources::{Doc, model::ResourceType};

use crate::search::Scope;

/// The precondition `If-Match`, checked at the moment of the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: some version, that is no deletion.
    Any,
    /// This version must be the newest.
    Version(i64),
}

/// One change. Several in one call of [`super::Engine::submit`] happen together or not at all.
#[derive(Debug, Clone)]
pub enum Operation {
    /// POST: a new resource; the server gives the id.
    Create {
        /// The type of the URL.
        kind: ResourceType,
        /// The resource.
        body: Doc,
        /// `If-None-Exist`: a search, as the text after the `?`.
        if_none_exist: Option<String>,
    },
    /// PUT.
    Update {
        /// The type of the URL.
        kind: ResourceType,
        /// Which resource.
        target: Target,
        /// The resource.
        body: Doc,
        /// `If-Match`: what must be there.
        if_match: Option<IfMatch>,
        /// `If-None-Match: *`: nothing may be there.
        if_none_match_any: bool,
    },
    /// PATCH with JSON Patch.
    Patch {
        /// The type of the URL.
        kind: ResourceType,
        /// Which resource.
        target: Target,
        /// The JSON Patch document (RFC 6902).
        patch: Doc,
        /// `If-Match`: what must be there.
        if_match: Option<IfMatch>,
    },
    /// DELETE.
    Delete {
        /// The type of the URL.
        kind: ResourceType,
        /// Which resource, or resources.
        target: Target,
        /// `If-Match`: what must be there.
        if_match: Option<IfMatch>,
    },
}

/// Which resource an operation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one with this logical id.
    Id(String),
    /// What this search matches: the text after the `?`, still percent-encoded.
    Search(String),
}

/// What came of an [`Operation`].
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What happened.
    pub status: DoneStatus,
    /// The resource as it is now. For a deletion its last version, with an empty body; `None` if
    /// nothing was there to delete, or several were.
    pub resource: Option<Resource>,
    /// How many resources changed: more than one only for a conditional delete.
    pub changed: usize,
}

/// What happened to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoneStatus {
    /// It is new, or was deleted and is back (201).
    Created,
    /// It has a new version (200).
    Updated,
    /// It was there and stays as it is: a conditional create that found its match, or an update
    /// without change where the setting asks for no new version (200).
    Unchanged,
    /// It is deleted (204, or 200 with an outcome).
    Deleted,
    /// There was nothing to delete: deleted before, never there, or nothing matched (204 or 200).
    NothingToDelete,
}

/// One version of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its type.
    pub kind: ResourceType,
    /// Its logical id.
    pub id: String,
    /// `meta.versionId`.
    pub version: i64,
    /// `meta.lastUpdated`, milliseconds since 1970.
    pub updated: i64,
    /// The JSON, with id and meta in place, as it is served; empty for a deletion.
    pub body: Bytes,
}

/// A call of `Patient/[id]/$access-report`.
#[derive(Debug, Clone)]
pub struct AccessReportRequest {
    /// The patient.
    pub id: String,
    /// Names and values: `date`, `agent`, `outcome`, `_count`, `_total`.
    pub params: Vec<(String, String)>,
    /// Unknown parameters are errors.
    pub strict: bool,
    /// As a table (CSV) instead of a Bundle.
    pub table: bool,
}

/// What a client wants to get back of a write (`Prefer: return=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Return {
    /// Headers only.
    Minimal,
    /// The resource.
    #[default]
    Representation,
    /// An OperationOutcome.
    OperationOutcome,
}

/// A search, as it came.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Where it looks.
    pub scope: Scope,
    /// Names and values of the query and of a POST body, decoded, in their order; the page token
    /// `_page` too. `_format` and `_pretty` do no harm.
    pub params: Vec<(String, String)>,
    /// Unknown parameters are errors (`Prefer: handling=strict`, the default).
    pub strict: bool,
    /// `_explain=true` is allowed.
    pub explain: bool,
}

/// A history request, as it came.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    /// Whose history.
    pub scope: HistoryScope,
    /// `_since`, `_at`, `_count`, `_page`, decoded.
    pub params: Vec<(String, String)>,
    /// Unknown parameters are errors.
    pub strict: bool,
}

/// Whose history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// One resource's.
    Instance(ResourceType, String),
    /// That of all resources of a type.
    Type(ResourceType),
    /// That of everything.
    System,
}

/// `Patient/$everything` or `Encounter/$everything`.
#[derive(Debug, Clone)]
pub struct EverythingRequest {
    /// `Patient` or `Encounter`.
    pub kind: ResourceType,
    /// Whose; `None` for all (Patient only).
    pub id: Option<String>,
    /// `_since`, `_type`, `_count`, `start`, `end`, `_page`, decoded.
    pub params: Vec<(String, String)>,
    /// Unknown parameters are errors.
    pub strict: bool,
}

/// Whose `meta` the `$meta` operations are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaScope {
    /// All tags, profiles and security labels in use on the server.
    System,
    /// Those in use on a type.
    Type(ResourceType),
    /// Those of one resource.
    Instance(ResourceType, String),
    /// Those of one version.
    Version(ResourceType, String, i64),
}

/// What `$validate` shall check.
#[derive(Debug)]
pub struct ValidateRequest {
    /// The type of the URL.
    pub kind: ResourceType,
    /// The id of the URL.
    pub id: Option<String>,
    /// The body: a resource, or Parameters with `resource`, `mode` and `profile`.
    pub body: Option<Doc>,
    /// `mode` of the URL.
    pub mode: Option<String>,
    /// `profile` of the URL.
    pub profile: Option<String>,
}
