//! The address of an entry's request.

use resources::model::ResourceType;

use crate::engine::{
    draft::is_id,
    error::{Error, ErrorKind},
    operation::{HistoryScope, MetaScope},
};

/// What an address means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The base.
    System,
    /// `Patient`
    Type(ResourceType),
    /// `Patient/1`
    Instance(ResourceType, String),
    /// `Patient/1/_history/2`
    Version(ResourceType, String, i64),
    /// `_history`, `Patient/_history`, `Patient/1/_history`
    History(HistoryScope),
    /// `Patient/1/Observation`, `Patient/1/*`
    Compartment(ResourceType, String, Option<ResourceType>),
    /// `Patient/1/$everything`
    Everything(ResourceType, Option<String>),
    /// `_search`, `Patient/_search`
    Search(Option<ResourceType>),
    /// `$meta`, `Patient/$meta`, `Patient/1/$meta`, `Patient/1/_history/2/$meta`
    Meta(MetaScope),
    /// `Patient/$validate`, `Patient/1/$validate`
    Validate(ResourceType, Option<String>),
}

/// An address and the query behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// What is addressed.
    pub address: Address,
    /// The text after the `?`.
    pub query: Option<String>,
}

impl Url {
    /// Reads an address relative to `base_url`, or an absolute one below it.
    ///
    /// # Errors
    /// The server has nothing there.
    pub fn parse(text: &str, base_url: &str) -> Result<Self, Error> {
        let relative = match text.strip_prefix(base_url) {
            Some(rest) if rest.is_empty() || rest.starts_with(['/', '?']) => rest,
            _ => text,
        };
        let (path, query) = match relative.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (relative, None),
        };
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let address = address(&segments).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                "not-found",
                format!(
                    "'{text}' is no address that a Bundle entry can have on this server; \
                     expected is something like Patient, Patient/1 or Patient?name=x"
                ),
            )
        })?;
        Ok(Self { address, query })
    }
}

fn address(segments: &[&str]) -> Option<Address> {
    operation(segments).or_else(|| interaction(segments))
}

fn operation(segments: &[&str]) -> Option<Address> {
    let (name, on) = segments.split_last()?;
    Some(match (*name, interaction(on)?) {
        ("_search", Address::System) => Address::Search(None),
        ("_search", Address::Type(kind)) => Address::Search(Some(kind)),
        ("$meta", Address::System) => Address::Meta(MetaScope::System),
        ("$meta", Address::Type(kind)) => Address::Meta(MetaScope::Type(kind)),
        ("$meta", Address::Instance(kind, id)) => Address::Meta(MetaScope::Instance(kind, id)),
        ("$meta", Address::Version(kind, id, version)) => {
            Address::Meta(MetaScope::Version(kind, id, version))
        }
        ("$validate", Address::Type(kind)) => Address::Validate(kind, None),
        ("$validate", Address::Instance(kind, id)) => Address::Validate(kind, Some(id)),
        ("$everything", Address::Type(kind)) => Address::Everything(with_record(kind)?, None),
        ("$everything", Address::Instance(kind, id)) => {
            Address::Everything(with_record(kind)?, Some(id))
        }
        _ => return None,
    })
}

fn interaction(segments: &[&str]) -> Option<Address> {
    Some(match *segments {
        [] => Address::System,
        ["_history"] => Address::History(HistoryScope::System),
        [kind] => Address::Type(ResourceType::from_name(kind)?),
        [kind, "_history"] => Address::History(HistoryScope::Type(ResourceType::from_name(kind)?)),
        [kind, id] => Address::Instance(ResourceType::from_name(kind)?, checked(id)?),
        [kind, id, "_history"] => Address::History(HistoryScope::Instance(
            ResourceType::from_name(kind)?,
            checked(id)?,
        )),
        [kind, id, "*"] => Address::Compartment(ResourceType::from_name(kind)?, checked(id)?, None),
        [kind, id, member] => Address::Compartment(
            ResourceType::from_name(kind)?,
            checked(id)?,
            Some(ResourceType::from_name(member)?),
        ),
        [kind, id, "_history", version] => Address::Version(
            ResourceType::from_name(kind)?,
            checked(id)?,
            version.parse().ok()?,
        ),
        _ => return None,
    })
}

fn with_record(kind: ResourceType) -> Option<ResourceType> {
    [ResourceType::PATIENT, ResourceType::ENCOUNTER]
        .contains(&kind)
        .then_some(kind)
}

fn checked(id: &str) -> Option<String> {
    is_id(id).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_relative_or_below_the_base() {
        let base = "http://h/fhir";
        let patient = ResourceType::PATIENT;
        for (text, address, query) in [
            ("Patient", Address::Type(patient), None),
            (
                "/Patient?name=a&b",
                Address::Type(patient),
                Some("name=a&b"),
            ),
            (
                "http://h/fhir/Patient/1",
                Address::Instance(patient, "1".into()),
                None,
            ),
            (
                "Patient/1/_history/2",
                Address::Version(patient, "1".into(), 2),
                None,
            ),
            (
                "Patient/1/*",
                Address::Compartment(patient, "1".into(), None),
                None,
            ),
            ("?_type=Patient", Address::System, Some("_type=Patient")),
            (
                "Patient/$everything",
                Address::Everything(patient, None),
                None,
            ),
            (
                "_search?_type=Patient",
                Address::Search(None),
                Some("_type=Patient"),
            ),
            ("Patient/_search", Address::Search(Some(patient)), None),
            ("$meta", Address::Meta(MetaScope::System), None),
            (
                "Patient/1/_history/2/$meta",
                Address::Meta(MetaScope::Version(patient, "1".into(), 2)),
                None,
            ),
            (
                "Patient/1/$validate",
                Address::Validate(patient, Some("1".into())),
                None,
            ),
            (
                "Patient/_history",
                Address::History(HistoryScope::Type(patient)),
                None,
            ),
        ] {
            assert_eq!(
                Url::parse(text, base).unwrap(),
                Url {
                    address,
                    query: query.map(str::to_owned)
                },
                "{text}"
            );
        }
        for text in [
            "Pationt/1",
            "Patient/a_b",
            "http://other/fhir/Patient/1",
            "Patient/1/_history/x",
            "Group/1/$everything",
            "Patient/1/_search",
            "$validate",
            "Patient/$nonsense",
            "Patient/_history/$meta",
        ] {
            assert!(Url::parse(text, base).is_err(), "{text}");
        }
    }
}
