//! What a path under the FHIR base names.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use resources::model::ResourceType;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The base itself.
    Base,
    /// `metadata`
    Metadata,
    /// `_search`
    SystemSearch,
    /// `_history`
    SystemHistory,
    /// `Patient`
    Type(ResourceType),
    /// `Patient/_search`
    TypeSearch(ResourceType),
    /// `Patient/_history`
    TypeHistory(ResourceType),
    /// `Patient/1`
    Instance(ResourceType, String),
    /// `Patient/1/_history`
    InstanceHistory(ResourceType, String),
    /// `Patient/1/_history/2`
    Version(ResourceType, String, String),
    /// `Patient/1/Observation`, `Patient/1/*`, and either with `_search` (`search`).
    Compartment {
        /// The compartment's type.
        kind: ResourceType,
        /// The compartment's resource.
        id: String,
        /// The type asked for; `None` for all.
        member: Option<ResourceType>,
        /// The path ends in `_search`.
        search: bool,
    },
    /// `$name` at some level.
    Operation(Level, String),
}

/// What an operation is called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// The server.
    System,
    /// All resources of a type.
    Type(ResourceType),
    /// One resource.
    Instance(ResourceType, String),
    /// One version of a resource.
    Version(ResourceType, String, String),
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// The first segment is no resource type (404).
    UnknownType(String),
    /// The segment after a type is no logical id (404).
    BadId(String),
    /// There is nothing of that shape (404).
    Unknown,
    /// The path has empty or dot segments, or escapes that hide what it names (400).
    Malformed,
}

/// Most segments of a path that names something.
const MAX_SEGMENTS: usize = 5;

impl Target {
    /// Reads the part of a path after the FHIR base: `""`, `"/"`, or `/` and segments.
    ///
    /// # Errors
    /// Why it names nothing.
    pub fn parse(path: &str) -> Result<Self, NoTarget> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return Ok(Self::Base);
        }
        let mut segments: [Cow<'_, str>; MAX_SEGMENTS] = Default::default();
        let mut count = 0;
        for segment in path.split('/') {
            let Some(place) = segments.get_mut(count) else {
                return Err(NoTarget::Unknown);
            };
            *place = decode(segment).ok_or(NoTarget::Malformed)?;
            count += 1;
        }
        let segments: [&str; MAX_SEGMENTS] = std::array::from_fn(|i| &*segments[i]);
        Self::from_segments(&segments[..count])
    }

    fn from_segments(segments: &[&str]) -> Result<Self, NoTarget> {
        match *segments {
            ["metadata"] => Ok(Self::Metadata),
            ["_search"] => Ok(Self::SystemSearch),
            ["_history"] => Ok(Self::SystemHistory),
            [operation] if operation.starts_with('$') => operation_at(Level::System, operation),
            [kind] => Ok(Self::Type(resource_type(kind)?)),
            [kind, "_search"] => Ok(Self::TypeSearch(resource_type(kind)?)),
            [kind, "_history"] => Ok(Self::TypeHistory(resource_type(kind)?)),
            [kind, operation] if operation.starts_with('$') => {
                operation_at(Level::Type(resource_type(kind)?), operation)
            }
            [kind, id, ref rest @ ..] => {
                let kind = resource_type(kind)?;
                if !is_id(id) {
                    return Err(NoTarget::BadId(id.to_owned()));
                }
                Self::of_instance(kind, id.to_owned(), rest)
            }
            [] => Ok(Self::Base),
        }
    }

    fn of_instance(kind: ResourceType, id: String, rest: &[&str]) -> Result<Self, NoTarget> {
        match *rest {
            [] => Ok(Self::Instance(kind, id)),
            ["_history"] => Ok(Self::InstanceHistory(kind, id)),
            ["_history", version] if is_id(version) => {
                Ok(Self::Version(kind, id, version.to_owned()))
            }
            ["_history", version, operation] if is_id(version) && operation.starts_with('$') => {
                operation_at(Level::Version(kind, id, version.to_owned()), operation)
            }
            [operation] if operation.starts_with('$') => {
                operation_at(Level::Instance(kind, id), operation)
            }
            [member] | [member, "_search"] => Ok(Self::Compartment {
                kind,
                id,
                member: match member {
                    "*" => None,
                    member => Some(resource_type(member)?),
                },
                search: rest.len() == 2,
            }),
            _ => Err(NoTarget::Unknown),
        }
    }

    /// The resource type that the path is about, for logs.
    pub fn resource_type(&self) -> Option<ResourceType> {
        match self {
            Self::Base | Self::Metadata | Self::SystemSearch | Self::SystemHistory => None,
            Self::Type(kind)
            | Self::TypeSearch(kind)
            | Self::TypeHistory(kind)
            | Self::Instance(kind, _)
            | Self::InstanceHistory(kind, _)
            | Self::Version(kind, ..) => Some(*kind),
            Self::Compartment { kind, member, .. } => Some(member.unwrap_or(*kind)),
            Self::Operation(level, _) => match level {
                Level::System => None,
                Level::Type(kind) | Level::Instance(kind, _) | Level::Version(kind, ..) => {
                    Some(*kind)
                }
            },
        }
    }
}

fn operation_at(level: Level, name: &str) -> Result<Target, NoTarget> {
    Ok(Target::Operation(level, name[1..].to_owned()))
}

fn resource_type(name: &str) -> Result<ResourceType, NoTarget> {
    ResourceType::from_name(name).ok_or_else(|| NoTarget::UnknownType(name.to_owned()))
}

/// True for what FHIR calls an id.
fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// A segment without its percent-escapes. What FHIR puts into paths never needs one except `$`
/// and `*`, so a segment that hides a slash, a dot segment, a control or a second escape is
/// refused, not interpreted.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    let decoded = if segment.contains('%') {
        percent_decode_str(segment).decode_utf8().ok()?
    } else {
        Cow::Borrowed(segment)
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'$' | b'*');
    let fine = !matches!(&*decoded, "" | "." | "..") && decoded.bytes().all(plain);
    fine.then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: ResourceType = ResourceType::PATIENT;
    const OBSERVATION: ResourceType = ResourceType::OBSERVATION;

    #[test]
    fn each_shape_of_path_names_its_target() {
        let one = || "1".to_owned();
        let compartment = |member, search| Target::Compartment {
            kind: PATIENT,
            id: one(),
            member,
            search,
        };
        let cases = [
            ("", Target::Base),
            ("/", Target::Base),
            ("/metadata", Target::Metadata),
            ("/_search", Target::SystemSearch),
            ("/_history", Target::SystemHistory),
            ("/Patient", Target::Type(PATIENT)),
            ("/Patient/", Target::Type(PATIENT)),
            ("/Patient/_search", Target::TypeSearch(PATIENT)),
            ("/Patient/_history", Target::TypeHistory(PATIENT)),
            ("/Patient/1", Target::Instance(PATIENT, one())),
            (
                "/Patient/1/_history",
                Target::InstanceHistory(PATIENT, one()),
            ),
            (
                "/Patient/1/_history/2",
                Target::Version(PATIENT, one(), "2".to_owned()),
            ),
            (
                "/Patient/1/Observation",
                compartment(Some(OBSERVATION), false),
            ),
            (
                "/Patient/1/Observation/_search",
                compartment(Some(OBSERVATION), true),
            ),
            ("/Patient/1/*", compartment(None, false)),
            (
                "/$versions",
                Target::Operation(Level::System, "versions".to_owned()),
            ),
            (
                "/%24versions",
                Target::Operation(Level::System, "versions".to_owned()),
            ),
            (
                "/Patient/$validate",
                Target::Operation(Level::Type(PATIENT), "validate".to_owned()),
            ),
            (
                "/Patient/1/$everything",
                Target::Operation(Level::Instance(PATIENT, one()), "everything".to_owned()),
            ),
            (
                "/Patient/1/_history/2/$meta",
                Target::Operation(
                    Level::Version(PATIENT, one(), "2".to_owned()),
                    "meta".to_owned(),
                ),
            ),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::parse(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn other_paths_name_nothing_and_say_why() {
        let unknown_type = |name: &str| NoTarget::UnknownType(name.to_owned());
        let long = "x".repeat(65);
        let cases = [
            ("/patient", unknown_type("patient")),
            ("/Foo/1", unknown_type("Foo")),
            ("/Patient/1/foo", unknown_type("foo")),
            ("/Patient/a_b", NoTarget::BadId("a_b".to_owned())),
            (&format!("/Patient/{long}"), NoTarget::BadId(long.clone())),
            ("/Patient/1/_history/2/3", NoTarget::Unknown),
            ("/Patient/1/2/3/4/5/6", NoTarget::Unknown),
            ("//Patient", NoTarget::Malformed),
            ("/Patient//1", NoTarget::Malformed),
            ("/./Patient", NoTarget::Malformed),
            ("/Patient/..", NoTarget::Malformed),
            ("/Patient/%2e%2e", NoTarget::Malformed),
            ("/Patient%2f1", NoTarget::Malformed),
            ("/Patient/1%00", NoTarget::Malformed),
            ("/Patient/%2531", NoTarget::Malformed),
            ("/Patient/1;x=y", NoTarget::Malformed),
            ("/Patient/%ff", NoTarget::Malformed),
            ("/Patient/1%0d%0aX:y", NoTarget::Malformed),
        ];
        for (path, expected) in cases {
            assert_eq!(Target::parse(path), Err(expected), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_is_taken_for_what_it_is_not(path in "[/a-zA-Z0-9%$*_.~;-]{0,60}") {
            if let Ok(Target::Instance(kind, id)) = Target::parse(&path) {
                proptest::prop_assert!(is_id(&id) && id != ".." && id != ".");
                proptest::prop_assert!(path.contains(kind.name()) || path.contains('%'));
            }
        }

        #[test]
        fn any_text_is_a_path_or_is_not(path in ".{0,80}") {
            let _ = Target::parse(&path);
        }
    }
}
