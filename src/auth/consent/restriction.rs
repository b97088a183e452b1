//! What a Consent withholds (R4, Consent: "provision"). What cannot be told withholds: a restriction
//! that names somebody in a way that this server cannot resolve is one for all.

use resources::{Doc, doc::Value, model::ResourceType, primitive::DateRange};

use crate::access::Denial;

/// One provision of an active privacy Consent that denies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    patient: String,
    to: Whom,
    /// Milliseconds since 1970 in which it holds, both included.
    during: (i64, i64),
    /// What is withheld; one denial for each part.
    parts: Vec<Part>,
    /// What is permitted all the same.
    exceptions: Vec<Exception>,
}

/// To whom a provision applies.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whom {
    Everybody,
    /// References like `Practitioner/1`.
    Listed(Vec<String>),
}

/// Types and search parameters of what is withheld; empty is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Part {
    kinds: Vec<ResourceType>,
    constraints: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    to: Whom,
    during: (i64, i64),
    /// Empty is all.
    kinds: Vec<ResourceType>,
}

/// Who wants to see something.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reader<'r> {
    /// `Practitioner/1`
    pub fhir_user: Option<&'r str>,
    /// The patients whom the reader is or acts for: what they deny to everybody, they do not deny
    /// to themselves.
    pub own: &'r [String],
    /// A patient for whom the glass is broken.
    pub broken_glass: Option<&'r str>,
}

/// Types that stay visible to those whose roles reach them, so that a restriction can be found,
/// lifted and accounted for.
const NEVER_WITHHELD: [ResourceType; 2] = [ResourceType::CONSENT, ResourceType::AUDIT_EVENT];

/// What a Consent withholds; nothing if it is not active, is not about privacy, or denies nothing.
/// `has_code` tells the types with a search parameter `code`.
pub fn restrictions(
    consent: &Doc,
    base_url: &str,
    has_code: &dyn Fn(ResourceType) -> bool,
) -> Vec<Restriction> {
    let root = consent.root();
    let text = |value: Option<Value<'_>>| value.and_then(|value| value.as_str().map(String::from));
    if text(root.get("status")).as_deref() != Some("active") || !is_about_privacy(&root) {
        return Vec::new();
    }
    let reference = root
        .get("patient")
        .and_then(|patient| patient.get("reference"));
    let Some(patient) = text(reference).and_then(|text| {
        local(&text, base_url)
            .strip_prefix("Patient/")
            .map(String::from)
    }) else {
        return Vec::new();
    };
    let Some(provision) = root.get("provision") else {
        return match opts_out(&root) {
            true => vec![Restriction {
                patient,
                to: Whom::Everybody,
                during: ALWAYS,
                parts: vec![Part::default()],
                exceptions: Vec::new(),
            }],
            false => Vec::new(),
        };
    };
    let reading = Reading { base_url, has_code };
    let mut found = Vec::new();
    let denies = match text(provision.get("type")).as_deref() {
        Some("deny") => true,
        Some("permit") => false,
        _ => opts_out(&root),
    };
    reading.collect(&patient, &provision, denies, &mut found);
    found
}

const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

struct Reading<'r> {
    base_url: &'r str,
    has_code: &'r dyn Fn(ResourceType) -> bool,
}

impl Reading<'_> {
    /// What a provision and those inside of it, which are its exceptions, withhold.
    fn collect(
        &self,
        patient: &str,
        provision: &Value<'_>,
        denies: bool,
        found: &mut Vec<Restriction>,
    ) {
        let inner = || {
            let nested = provision.get("provision");
            nested.into_iter().flat_map(|nested| nested.each())
        };
        if denies && is_about_reading(provision) {
            let exceptions = inner().map(|nested| Exception {
                to: self.whom(&nested, false),
                during: during(&nested),
                kinds: self.kinds(&nested),
            });
            found.push(Restriction {
                patient: patient.to_owned(),
                to: self.whom(provision, true),
                during: during(provision),
                parts: self.parts(provision),
                exceptions: exceptions.collect(),
            });
        } else if !denies {
            for nested in inner() {
                self.collect(patient, &nested, true, found);
            }
        }
    }

    /// The actors. Those that are not persons (organizations, roles, groups) cannot be resolved:
    /// for a denial they are everybody, for a permission nobody.
    fn whom(&self, provision: &Value<'_>, denies: bool) -> Whom {
        const PERSONS: [&str; 4] = ["Practitioner/", "Patient/", "RelatedPerson/", "Device/"];
        let mut listed = Vec::new();
        let mut any = false;
        for actor in each(provision, "actor") {
            any = true;
            let reference = actor.get("reference").and_then(|to| to.get("reference"));
            let text = reference.and_then(|text| text.as_str());
            match text.as_deref().map(|text| local(text, self.base_url)) {
                Some(person) if PERSONS.iter().any(|kind| person.starts_with(kind)) => {
                    listed.push(person.to_owned());
                }
                _ if denies => return Whom::Everybody,
                _ => {}
            }
        }
        if any {
            Whom::Listed(listed)
        } else {
            Whom::Everybody
        }
    }

    fn kinds(&self, provision: &Value<'_>) -> Vec<ResourceType> {
        let codes = each(provision, "class").filter_map(|class| {
            let code = class.get("code")?.as_str()?;
            ResourceType::from_name(&code)
        });
        codes.collect()
    }

    /// Class, code, security label and data each narrow; what is listed within one widens.
    fn parts(&self, provision: &Value<'_>) -> Vec<Part> {
        let mut parts = vec![Part {
            kinds: self.kinds(provision),
            constraints: Vec::new(),
        }];
        let labels = tokens(each(provision, "securityLabel"));
        parts = times(parts, &labels, |part, label| {
            part.constraints
                .push(("_security".to_owned(), label.clone()));
        });
        let codes = tokens(each(provision, "code").flat_map(|code| each_owned(&code, "coding")));
        parts = times(parts, &codes, |part, code| {
            if part.kinds.is_empty() {
                part.kinds = ResourceType::all()
                    .filter(|kind| (self.has_code)(*kind))
                    .collect();
            }
            part.constraints.push(("code".to_owned(), code.clone()));
        });
        let data: Vec<String> = each(provision, "data")
            .filter_map(|data| {
                let text = data.get("reference")?.get("reference")?.as_str()?;
                Some(local(&text, self.base_url).to_owned())
            })
            .collect();
        times(parts, &data, |part, reference| {
            if let Some((kind, id)) = reference.split_once('/') {
                part.kinds = ResourceType::from_name(kind).into_iter().collect();
                part.constraints.push(("_id".to_owned(), id.to_owned()));
            }
        })
    }
}

/// Every part with every value; the parts as they are if there are no values.
fn times(parts: Vec<Part>, values: &[String], add: impl Fn(&mut Part, &String)) -> Vec<Part> {
    if values.is_empty() {
        return parts;
    }
    let with = |part: &Part| {
        values
            .iter()
            .map(|value| {
                let mut part = part.clone();
                add(&mut part, value);
                part
            })
            .collect::<Vec<Part>>()
    };
    parts.iter().flat_map(with).collect()
}

fn each<'d>(value: &Value<'d>, name: &str) -> impl Iterator<Item = Value<'d>> + use<'d> {
    let found = value.get(name);
    found.into_iter().flat_map(|found| found.each())
}

fn each_owned<'d>(value: &Value<'d>, name: &str) -> Vec<Value<'d>> {
    each(value, name).collect()
}

/// Codings as values of a token search.
fn tokens<'d>(codings: impl Iterator<Item = Value<'d>>) -> Vec<String> {
    codings
        .filter_map(|coding| {
            let code = coding.get("code")?.as_str()?;
            Some(
                match coding.get("system").and_then(|system| system.as_str()) {
                    Some(system) => format!("{system}|{code}"),
                    None => code.into_owned(),
                },
            )
        })
        .collect()
}

fn local<'t>(reference: &'t str, base_url: &str) -> &'t str {
    let own = reference.strip_prefix(base_url);
    let relative = own
        .and_then(|rest| rest.strip_prefix('/'))
        .unwrap_or(reference);
    // A version says nothing about who it is.
    relative.split("/_history/").next().unwrap_or(relative)
}

/// `patient-privacy`, or a scope that this server does not know.
fn is_about_privacy(root: &Value<'_>) -> bool {
    let scope = root.get("scope");
    let codes: Vec<String> = scope
        .iter()
        .flat_map(|scope| each_owned(scope, "coding"))
        .filter_map(|coding| Some(coding.get("code")?.as_str()?.into_owned()))
        .collect();
    let others = ["research", "treatment", "adr"];
    codes.is_empty() || !codes.iter().all(|code| others.contains(&code.as_str()))
}

/// The base rule without a provision's type.
fn opts_out(root: &Value<'_>) -> bool {
    let rule = root.get("policyRule");
    rule.iter()
        .flat_map(|rule| each_owned(rule, "coding"))
        .filter_map(|coding| Some(coding.get("code")?.as_str()?.into_owned()))
        .any(|code| matches!(code.as_str(), "OPTOUT" | "OPTOUTE"))
}

/// A provision about collecting or correcting only withholds nothing.
fn is_about_reading(provision: &Value<'_>) -> bool {
    let codes: Vec<String> = each(provision, "action")
        .flat_map(|action| each_owned(&action, "coding"))
        .filter_map(|coding| Some(coding.get("code")?.as_str()?.into_owned()))
        .collect();
    codes.is_empty()
        || !codes
            .iter()
            .all(|code| matches!(code.as_str(), "collect" | "correct"))
}

fn during(provision: &Value<'_>) -> (i64, i64) {
    let period = provision.get("period");
    let read = |name: &str| {
        let text = period.as_ref()?.get(name)?.as_str()?;
        DateRange::parse_query(&text)
    };
    let from = read("start").map_or(i64::MIN, |date| date.lo);
    let to = read("end").map_or(i64::MAX, |date| date.hi);
    (from, to)
}

impl Whom {
    fn has(&self, reader: Reader<'_>) -> bool {
        match self {
            Self::Everybody => true,
            Self::Listed(listed) => reader
                .fhir_user
                .is_some_and(|who| listed.iter().any(|one| one == who)),
        }
    }
}

impl Restriction {
    /// What it withholds from a reader at a time.
    pub fn denials(&self, reader: Reader<'_>, now: i64) -> Vec<Denial> {
        let holds = |(from, to): (i64, i64)| (from..=to).contains(&now);
        let is_own = self.to == Whom::Everybody && reader.own.contains(&self.patient);
        let is_broken = reader.broken_glass == Some(self.patient.as_str());
        if !holds(self.during) || !self.to.has(reader) || is_own || is_broken {
            return Vec::new();
        }
        let mut free = Vec::from(NEVER_WITHHELD);
        for exception in &self.exceptions {
            if !holds(exception.during) || !exception.to.has(reader) {
                continue;
            }
            if exception.kinds.is_empty() {
                return Vec::new();
            }
            free.extend(&exception.kinds);
        }
        let denial = |part: &Part| {
            let all: Vec<ResourceType> = match part.kinds.is_empty() {
                true => ResourceType::all().collect(),
                false => part.kinds.clone(),
            };
            Denial {
                patient: self.patient.clone(),
                kinds: all
                    .into_iter()
                    .filter(|kind| !free.contains(kind))
                    .collect(),
                constraints: part.constraints.clone(),
            }
        };
        let denials = self.parts.iter().map(denial);
        denials.filter(|denial| !denial.kinds.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(provision: &str, more: &str) -> Vec<Restriction> {
        let text = format!(
            r#"{{"resourceType":"Consent","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},
                "patient":{{"reference":"Patient/p"}}{more}{provision}}}"#
        );
        let has_code = |kind| kind == ResourceType::OBSERVATION;
        restrictions(&Doc::parse(&text).unwrap(), "http://here/fhir", &has_code)
    }

    /// How many types are withheld from somebody; 0 is nothing.
    fn withheld(found: &[Restriction], who: &str, now: i64) -> usize {
        let reader = Reader {
            fhir_user: Some(who),
            ..Reader::default()
        };
        let denials = found.iter().flat_map(|one| one.denials(reader, now));
        denials.map(|denial| denial.kinds.len()).sum()
    }

    #[test]
    fn denials_reach_whom_and_what_they_name() {
        let all = ResourceType::all().count() - 2;
        let (d, e) = ("Practitioner/d", "Practitioner/e");
        for (provision, of_d, of_e) in [
            (r#","provision":{"type":"deny"}"#, all, all),
            (r#","provision":{"type":"permit"}"#, 0, 0),
            (r#","policyRule":{"coding":[{"code":"OPTOUT"}]}"#, all, all),
            (r#","policyRule":{"coding":[{"code":"OPTIN"}]}"#, 0, 0),
            (
                r#","provision":{"type":"deny","actor":[{"reference":{"reference":"Practitioner/d"}}]}"#,
                all,
                0,
            ),
            (
                r#","provision":{"type":"deny","actor":[{"reference":{"reference":"http://here/fhir/Practitioner/d"}}]}"#,
                all,
                0,
            ),
            (
                r#","provision":{"type":"deny","actor":[{"reference":{"reference":"Organization/o"}}]}"#,
                all,
                all,
            ),
            (
                r#","provision":{"type":"deny","class":[{"code":"Observation"},{"code":"Condition"}]}"#,
                2,
                2,
            ),
            (
                r#","provision":{"type":"permit","provision":[{"type":"deny","class":[{"code":"Condition"}]}]}"#,
                1,
                1,
            ),
            (
                r#","provision":{"type":"deny","provision":[{"type":"permit","actor":[{"reference":{"reference":"Practitioner/d"}}]}]}"#,
                0,
                all,
            ),
            (
                r#","provision":{"type":"deny","provision":[{"type":"permit","class":[{"code":"Patient"}]}]}"#,
                all - 1,
                all - 1,
            ),
            (
                r#","provision":{"type":"deny","provision":[{"type":"permit","actor":[{"reference":{"reference":"Organization/o"}}]}]}"#,
                all,
                all,
            ),
            (
                r#","provision":{"type":"deny","action":[{"coding":[{"code":"collect"}]}]}"#,
                0,
                0,
            ),
            (
                r#","provision":{"type":"deny","code":[{"coding":[{"system":"s","code":"c"}]}]}"#,
                1,
                1,
            ),
        ] {
            let found = read(provision, "");
            assert_eq!(withheld(&found, d, 0), of_d, "{provision}");
            assert_eq!(withheld(&found, e, 0), of_e, "{provision}");
        }
    }

    #[test]
    fn what_is_not_in_force_denies_nothing() {
        let deny = r#","provision":{"type":"deny"}"#;
        let text = r#"{"resourceType":"Consent","status":"inactive","patient":{"reference":"Patient/p"},"provision":{"type":"deny"}}"#;
        let none = restrictions(&Doc::parse(text).unwrap(), "", &|_| false);
        assert_eq!(none, Vec::new());
        let past = read(
            r#","provision":{"type":"deny","period":{"end":"1969"}}"#,
            "",
        );
        assert_eq!(withheld(&past, "Practitioner/d", 0), 0);
        let own = read(deny, "");
        let me = ["p".to_owned()];
        let reader = Reader {
            own: &me,
            ..Reader::default()
        };
        assert!(own[0].denials(reader, 0).is_empty());
        let broken = Reader {
            broken_glass: Some("p"),
            ..Reader::default()
        };
        assert!(own[0].denials(broken, 0).is_empty());
        assert!(!own[0].denials(Reader::default(), 0).is_empty());
    }

    #[test]
    fn labels_and_data_narrow() {
        let found = read(
            r#","provision":{"type":"deny","securityLabel":[{"system":"s","code":"R"},{"code":"V"}],
                "data":[{"meaning":"instance","reference":{"reference":"Observation/o"}}]}"#,
            "",
        );
        let denials = found[0].denials(Reader::default(), 0);
        let seen: Vec<_> = denials.iter().map(|one| &one.constraints).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            seen,
            [
                &vec![pair("_security", "s|R"), pair("_id", "o")],
                &vec![pair("_security", "V"), pair("_id", "o")]
            ]
        );
        assert_eq!(denials[0].kinds, [ResourceType::OBSERVATION]);
    }
}
