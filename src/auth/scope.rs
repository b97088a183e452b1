//! Scopes of SMART App Launch 2.2.0 ("Scopes for requesting FHIR Resources"), v1 and v2: what a
//! token may do, and, since roles are written in the same grammar, what a user may do.

use std::fmt;

use resources::model::ResourceType;

use crate::access::{Right, Rights};

/// Whose data a resource scope is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// The patient in context.
    Patient,
    /// What the user may see.
    User,
    /// What the client may see, without a user.
    System,
}

/// `patient/Observation.rs?category=laboratory`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceScope {
    /// Before the slash.
    pub level: Level,
    /// The type; `None` is `*`.
    pub kind: Option<ResourceType>,
    /// What may be done.
    pub rights: Rights,
    /// Search parameters that a resource must match, all of them: name and value, decoded.
    pub constraints: Vec<(String, String)>,
    /// Written as in version 1 (`.read`), and so to be answered.
    pub v1: bool,
}

/// One scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Access to resources.
    Resource(ResourceScope),
    /// `openid`
    OpenId,
    /// `fhirUser`
    FhirUser,
    /// `profile`
    Profile,
    /// `launch`: the context of an EHR launch.
    Launch,
    /// `launch/patient`, `launch/encounter`, …: the type in lower case, and the role asked for.
    LaunchContext(String, Option<String>),
    /// `offline_access`
    OfflineAccess,
    /// `online_access`
    OnlineAccess,
    /// `rotunda/admin`: users, clients, roles and tokens of this server.
    Admin,
    /// `rotunda/break-glass`: in a role, the right to reach a patient outside of one's care, with
    /// a reason.
    BreakGlass,
    /// `rotunda/introspect`: in a client's registration, the right to learn what tokens of others
    /// mean, for resource servers.
    Introspect,
}

/// A set of scopes, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(pub Vec<Scope>);

impl Scopes {
    /// What a request's `scope` says. Unknown and malformed scopes are left out, as RFC 6749
    /// (section 3.3) lets a server do; never is more read into one than it says.
    pub fn parse(text: &str) -> Self {
        let mut scopes = Vec::new();
        for scope in text.split(' ').filter_map(Scope::parse) {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Self(scopes)
    }

    /// Every scope of a list, for what an administrator writes.
    ///
    /// # Errors
    /// The first that is no scope.
    pub fn parse_all<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, String> {
        let parse = |text: &'t str| Scope::parse(text).ok_or_else(|| text.to_owned());
        let all: Result<Vec<Scope>, String> = texts.into_iter().map(parse).collect();
        Ok(Self(all?))
    }

    /// Whether this scope is among them, word for word.
    pub fn has(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// The scopes on resources.
    pub fn resources(&self) -> impl Iterator<Item = &ResourceScope> {
        self.0.iter().filter_map(|scope| match scope {
            Scope::Resource(resource) => Some(resource),
            _ => None,
        })
    }

    /// True if any scope is about the patient in context.
    pub fn needs_patient(&self) -> bool {
        self.resources().any(|scope| scope.level == Level::Patient)
            || self.has(&Scope::LaunchContext("patient".to_owned(), None))
    }

    /// What of these scopes lies within `allowed`: never more than either.
    #[must_use]
    pub fn within(&self, allowed: &Self) -> Self {
        let mut out: Vec<Scope> = Vec::new();
        for scope in &self.0 {
            let kept: Vec<Scope> = match scope {
                Scope::Resource(wanted) => allowed
                    .resources()
                    .filter(|may| may.level == wanted.level)
                    .filter_map(|may| wanted.and(may))
                    .map(Scope::Resource)
                    .collect(),
                other if allowed.has(other) => vec![other.clone()],
                _ => Vec::new(),
            };
            out.extend(kept);
        }
        Self(out).without_the_covered()
    }

    /// Leaves out what others of them cover.
    #[must_use]
    pub fn without_the_covered(self) -> Self {
        let mut kept: Vec<Scope> = Vec::new();
        for scope in self.0 {
            if kept.iter().any(|other| other.covers(&scope)) {
                continue;
            }
            kept.retain(|other| !scope.covers(other));
            kept.push(scope);
        }
        Self(kept)
    }
}

impl Scope {
    /// One scope; `None` if it is unknown or malformed.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "openid" => Self::OpenId,
            "fhirUser" => Self::FhirUser,
            "profile" => Self::Profile,
            "launch" => Self::Launch,
            "offline_access" => Self::OfflineAccess,
            "online_access" => Self::OnlineAccess,
            "rotunda/admin" => Self::Admin,
            "rotunda/break-glass" => Self::BreakGlass,
            "rotunda/introspect" => Self::Introspect,
            _ => match text.strip_prefix("launch/") {
                Some(context) => launch_context(context)?,
                None => Self::Resource(ResourceScope::parse(text)?),
            },
        })
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Resource(a), Self::Resource(b)) => a.covers(b),
            _ => self == other,
        }
    }
}

/// `patient` or `encounter?role=…` after `launch/`.
fn launch_context(text: &str) -> Option<Scope> {
    let (kind, role) = match text.split_once('?') {
        None => (text, None),
        Some((kind, query)) => (kind, Some(query.strip_prefix("role=")?)),
    };
    let known = ResourceType::all().any(|known| known.name().eq_ignore_ascii_case(kind));
    let is_lower = kind.bytes().all(|byte| byte.is_ascii_lowercase());
    (known && is_lower).then(|| Scope::LaunchContext(kind.to_owned(), role.map(str::to_owned)))
}

impl ResourceScope {
    /// `level/Type.rights?name=value&…`; `None` if anything of it is unknown or malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let (level, rest) = text.split_once('/')?;
        let level = match level {
            "patient" => Level::Patient,
            "user" => Level::User,
            "system" => Level::System,
            _ => return None,
        };
        let (head, query) = match rest.split_once('?') {
            Some((head, query)) => (head, Some(query)),
            None => (rest, None),
        };
        let (kind, letters) = head.split_once('.')?;
        let kind = match kind {
            "*" => None,
            name => Some(ResourceType::from_name(name)?),
        };
        let (rights, v1) = rights(letters)?;
        let constraints = match query {
            None => Vec::new(),
            // A constraint needs a type whose parameters it can name.
            Some(_) if v1 || kind.is_none() => return None,
            Some(query) => pairs(query)?,
        };
        Some(Self {
            level,
            kind,
            rights,
            constraints,
            v1,
        })
    }

    /// What both allow, whatever their levels; the level and spelling of `self`.
    pub fn and(&self, other: &Self) -> Option<Self> {
        let kind = match (self.kind, other.kind) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let rights = self.rights.and(other.rights);
        let mut constraints = self.constraints.clone();
        let more = other.constraints.iter();
        constraints.extend(
            more.filter(|pair| !self.constraints.contains(pair))
                .cloned(),
        );
        (!rights.is_empty()).then_some(Self {
            level: self.level,
            kind,
            rights,
            constraints,
            v1: self.v1,
        })
    }

    /// True if `other` allows nothing that `self` does not.
    fn covers(&self, other: &Self) -> bool {
        self.level == other.level
            && (self.kind.is_none() || self.kind == other.kind)
            && self.rights.and(other.rights) == other.rights
            && (self.constraints.iter()).all(|pair| other.constraints.contains(pair))
    }
}

fn rights(letters: &str) -> Option<(Rights, bool)> {
    use Right::{Create, Delete, Read, Search, Update};
    let v1 = match letters {
        "read" => Some(Rights::of(&[Read, Search])),
        "write" => Some(Rights::of(&[Create, Update, Delete])),
        "*" => Some(Rights::ALL),
        _ => None,
    };
    if let Some(rights) = v1 {
        return Some((rights, true));
    }
    // A non-empty part of cruds, in this order.
    let mut left = Right::ALL.iter();
    let mut rights = Rights::NONE;
    for letter in letters.chars() {
        let right = left.find(|right| right.letter() == letter)?;
        rights = rights.or(Rights::of(&[*right]));
    }
    (!rights.is_empty()).then_some((rights, false))
}

/// `name=value&…`
pub(super) fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    query.split('&').map(pair).collect()
}

/// A plain search parameter; modifiers, chains and what steers a search are refused.
fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || value.is_empty() || !name.bytes().all(is_plain) {
        return None;
    }
    let value = percent_encoding::percent_decode_str(value);
    let value = value.decode_utf8().ok()?.into_owned();
    let is_clean = !value.chars().any(char::is_control);
    is_clean.then(|| (name.to_owned(), value))
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
        })
    }
}

impl fmt::Display for ResourceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.map_or("*", ResourceType::name);
        write!(f, "{}/{kind}.", self.level)?;
        let word = ["read", "write", "*"]
            .into_iter()
            .find(|word| self.v1 && rights(word).is_some_and(|(of, _)| of == self.rights));
        match word {
            Some(word) if self.constraints.is_empty() => f.write_str(word)?,
            _ => {
                let letters = Right::ALL.iter().filter(|right| self.rights.has(**right));
                f.write_str(&letters.map(|right| right.letter()).collect::<String>())?;
            }
        }
        for (at, (name, value)) in self.constraints.iter().enumerate() {
            let mark = if at == 0 { '?' } else { '&' };
            write!(f, "{mark}{name}={}", encoded(value))?;
        }
        Ok(())
    }
}

/// Escapes what would end a value; the rest stays readable, as in the specification's examples.
fn encoded(value: &str) -> impl fmt::Display + '_ {
    const SET: percent_encoding::AsciiSet = percent_encoding::CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'\\')
        .add(b'%')
        .add(b'&');
    percent_encoding::utf8_percent_encode(value, &SET)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(resource) => resource.fmt(f),
            Self::OpenId => f.write_str("openid"),
            Self::FhirUser => f.write_str("fhirUser"),
            Self::Profile => f.write_str("profile"),
            Self::Launch => f.write_str("launch"),
            Self::LaunchContext(kind, None) => write!(f, "launch/{kind}"),
            Self::LaunchContext(kind, Some(role)) => write!(f, "launch/{kind}?role={role}"),
            Self::OfflineAccess => f.write_str("offline_access"),
            Self::OnlineAccess => f.write_str("online_access"),
            Self::Admin => f.write_str("rotunda/admin"),
            Self::BreakGlass => f.write_str("rotunda/break-glass"),
            Self::Introspect => f.write_str("rotunda/introspect"),
        }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_say_what_they_say_and_no_more() {
        for (text, printed) in [
            ("patient/*.rs", Some("patient/*.rs")),
            ("patient/Observation.read", Some("patient/Observation.read")),
            ("user/*.*", Some("user/*.*")),
            ("system/Patient.cruds", Some("system/Patient.cruds")),
            (
                "patient/Observation.rs?category=http://loinc.org|laboratory",
                Some("patient/Observation.rs?category=http://loinc.org|laboratory"),
            ),
            (
                "user/Observation.r?code=a%26b&category=c",
                Some("user/Observation.r?code=a%26b&category=c"),
            ),
            ("launch/encounter", Some("launch/encounter")),
            ("patient/Observation.sr", None),
            ("patient/Observation.dus", None),
            ("patient/Observation.", None),
            ("patient/Observation.rr", None),
            ("patient/Observation.R", None),
            ("patient/Nonsense.rs", None),
            ("patient/observation.rs", None),
            ("patient/*", None),
            ("*", None),
            ("*/*.rs", None),
            ("admin/*.rs", None),
            ("patient/*.rs?category=a", None),
            ("patient/Observation.rs?category:not=a", None),
            ("patient/Observation.rs?subject.name=a", None),
            ("patient/Observation.rs?_filter=a", None),
            ("patient/Observation.rs?category=", None),
            ("patient/Observation.rs?category=%00", None),
            ("patient/Observation.rs?", None),
            ("patient/Observation.read?category=a", None),
            ("patient%2FObservation.rs", None),
            ("launch/nonsense", None),
            ("launch/Patient", None),
            ("", None),
        ] {
            let read = Scope::parse(text).map(|scope| scope.to_string());
            assert_eq!(read.as_deref(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_granted_lies_within_what_is_allowed() {
        for (asked, allowed, granted) in [
            (
                "patient/*.rs",
                "patient/Patient.rs patient/Condition.r",
                "patient/Patient.rs patient/Condition.r",
            ),
            ("system/*.cruds", "system/*.rs", "system/*.rs"),
            ("system/*.*", "system/*.rs", "system/*.read"),
            ("system/*.read", "system/*.rs", "system/*.read"),
            ("user/*.rs", "patient/*.rs", ""),
            ("openid fhirUser launch", "openid launch", "openid launch"),
            (
                "patient/Observation.rs",
                "patient/Observation.rs?category=a patient/Observation.r?category=b",
                "patient/Observation.rs?category=a patient/Observation.r?category=b",
            ),
            (
                "patient/Observation.rs patient/*.rs",
                "patient/*.cruds",
                "patient/*.rs",
            ),
            (
                "nonsense patient/Patient.r",
                "patient/*.cruds",
                "patient/Patient.r",
            ),
        ] {
            let granted_now = Scopes::parse(asked).within(&Scopes::parse(allowed));
            assert_eq!(granted_now.to_string(), granted, "{asked} within {allowed}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_prints_to_the_same(text in "\\PC{0,40}|(patient|user|system)/(\\*|Observation|Patient)\\.[cruds]{1,5}(\\?[a-z-]{1,5}=[^ ]{1,9})?") {
            if let Some(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }
    }
}
