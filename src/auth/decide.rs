//! From roles, scopes and launch context to the rules of an access decision.

use super::scope::{Level, ResourceScope, Scopes};
use crate::access::{Right, Rights, Rule};

/// What somebody may do by their roles, before a token narrows it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The grants of all roles, each with whether it reaches only patients in the user's care.
    pub grants: Vec<(ResourceScope, bool)>,
    /// The patients whom the user is or acts for.
    pub patients: Vec<String>,
    /// The user's own resource, `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// A patient for whom the glass is broken.
    pub broken_glass: Option<String>,
    /// May manage users, clients, roles and tokens.
    pub admin: bool,
    /// May break the glass.
    pub break_glass: bool,
}

/// What a user's token allows: its scopes, as far as the user's roles go.
pub fn rules_of_user(token: &Scopes, context: Option<&str>, standing: &Standing) -> Vec<Rule> {
    let mut rules = Vec::new();
    for scope in token
        .resources()
        .filter(|scope| scope.level != Level::System)
    {
        for (grant, in_care) in &standing.grants {
            let Some(mut both) = scope.and(grant) else {
                continue;
            };
            if !bind_to_self(&mut both, standing) {
                continue;
            }
            for patients in reach(scope.level, grant.level, context, standing) {
                let broken = standing.broken_glass.as_ref();
                let is_broken = *in_care && broken.is_some();
                let patients = match broken {
                    Some(patient) if is_broken => vec![patient.clone()],
                    _ => patients,
                };
                rules.push(Rule {
                    kind: both.kind,
                    rights: both.rights,
                    patients,
                    constraints: both.constraints.clone(),
                    carer: carer(*in_care && !is_broken, standing),
                    own: grant.level == Level::Patient,
                });
            }
        }
    }
    rules.extend(own_resource(token, standing));
    rules
}

/// The patients to which a scope under a grant is bound, for each way in which it applies; an
/// empty list of patients is none in particular.
fn reach(
    scope: Level,
    grant: Level,
    context: Option<&str>,
    standing: &Standing,
) -> Vec<Vec<String>> {
    let own = &standing.patients;
    match (scope, grant) {
        (Level::Patient, Level::User) => context.iter().map(|id| vec![(*id).to_owned()]).collect(),
        (Level::Patient, Level::Patient) => {
            let of_context = context
                .iter()
                .filter(|id| own.iter().any(|own| own == **id));
            of_context.map(|id| vec![(*id).to_owned()]).collect()
        }
        (Level::User, Level::User) => vec![Vec::new()],
        (Level::User, Level::Patient) => own.iter().map(|id| vec![id.clone()]).collect(),
        (Level::System, _) | (_, Level::System) => Vec::new(),
    }
}

/// Whose patients a rule reaches. A care relation without anybody to have it reaches nobody.
fn carer(in_care: bool, standing: &Standing) -> Option<String> {
    in_care.then(|| standing.fhir_user.clone().unwrap_or_default())
}

/// `fhirUser` lets the app read who the user is.
fn own_resource(token: &Scopes, standing: &Standing) -> Option<Rule> {
    token.0.iter().find(|scope| {
        use super::scope::Scope;
        matches!(scope, Scope::FhirUser | Scope::Profile)
    })?;
    let (kind, id) = standing.fhir_user.as_deref()?.split_once('/')?;
    Some(Rule {
        kind: Some(resources::model::ResourceType::from_name(kind)?),
        rights: Rights::of(&[Right::Read]),
        patients: Vec::new(),
        constraints: vec![("_id".to_owned(), id.to_owned())],
        carer: None,
        own: true,
    })
}

/// What a program's token allows: its `system/` scopes, as far as `allowed` goes.
pub fn rules_of_program(token: &Scopes, allowed: &Scopes) -> Vec<Rule> {
    let within = token.within(allowed);
    let of_system = within
        .resources()
        .filter(|scope| scope.level == Level::System);
    let of_system = of_system.filter(|scope| !is_of_self(scope));
    of_system.map(|scope| rule(scope, Vec::new())).collect()
}

/// What a token for roles allows: all that they give, as far as `token` goes if it says anything.
/// Grants on one's own record need a patient in context.
pub fn rules_of_roles(token: &Scopes, context: Option<&str>, standing: &Standing) -> Vec<Rule> {
    let mut rules = Vec::new();
    let grants = standing.grants.iter();
    for (grant, _) in grants.filter(|(grant, _)| !is_of_self(grant)) {
        let patients = match (grant.level, context) {
            (Level::Patient, None) => continue,
            (Level::Patient, Some(patient)) => vec![patient.to_owned()],
            (_, patient) => patient.map(str::to_owned).into_iter().collect(),
        };
        let own = grant.level == Level::Patient;
        let rule = |scope: &ResourceScope| Rule {
            own,
            ..rule(scope, patients.clone())
        };
        if token.0.is_empty() {
            rules.push(rule(grant));
            continue;
        }
        let narrowed = token.resources().filter_map(|scope| scope.and(grant));
        let narrowed = narrowed.filter(|scope| !is_of_self(scope));
        rules.extend(narrowed.map(|scope| rule(&scope)));
    }
    rules
}

fn rule(scope: &ResourceScope, patients: Vec<String>) -> Rule {
    Rule {
        kind: scope.kind,
        rights: scope.rights,
        patients,
        constraints: scope.constraints.clone(),
        carer: None,
        own: false,
    }
}

/// The value of a constraint that stands for the user's own resource.
const SELF: &str = "$me";

fn is_of_self(scope: &ResourceScope) -> bool {
    scope.constraints.iter().any(|(_, value)| value == SELF)
}

/// Puts the user's own resource where the constraints say so; false if there is none, and thus
/// nothing that the scope could reach.
fn bind_to_self(scope: &mut ResourceScope, standing: &Standing) -> bool {
    if !is_of_self(scope) {
        return true;
    }
    let Some(own) = &standing.fhir_user else {
        return false;
    };
    for (_, value) in scope.constraints.iter_mut() {
        if value == SELF {
            value.clone_from(own);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(grants: &[(&str, bool)], patients: &[&str], user: Option<&str>) -> Standing {
        let grant =
            |(text, in_care): &(&str, bool)| (ResourceScope::parse(text).unwrap(), *in_care);
        Standing {
            grants: grants.iter().map(grant).collect(),
            patients: patients.iter().map(|id| (*id).to_owned()).collect(),
            fhir_user: user.map(str::to_owned),
            ..Standing::default()
        }
    }

    /// Rules in short: `Observation.rs [a] ?category=c @Practitioner/1`.
    fn short(rules: &[Rule]) -> Vec<String> {
        let one = |rule: &Rule| {
            let scope = ResourceScope {
                level: Level::User,
                kind: rule.kind,
                rights: rule.rights,
                constraints: rule.constraints.clone(),
                v1: false,
            };
            let carer = rule
                .carer
                .as_ref()
                .map_or(String::new(), |who| format!(" @{who}"));
            format!("{scope} {:?}{carer}", rule.patients).replace('"', "")
        };
        rules.iter().map(one).collect()
    }

    #[test]
    fn a_token_gives_what_scopes_and_roles_both_give() {
        let patient = standing(
            &[("patient/*.rs", false)],
            &["a", "child"],
            Some("Patient/a"),
        );
        let doctor = standing(
            &[("user/*.rs", true), ("user/Observation.cruds", true)],
            &[],
            Some("Practitioner/d"),
        );
        let lab = standing(
            &[("user/Observation.crus?category=laboratory", false)],
            &[],
            None,
        );
        let cases: &[(&str, Option<&str>, &Standing, &[&str])] = &[
            ("patient/*.rs", Some("a"), &patient, &["user/*.rs [a]"]),
            (
                "patient/*.cruds",
                Some("child"),
                &patient,
                &["user/*.rs [child]"],
            ),
            ("patient/*.rs", Some("b"), &patient, &[]),
            ("patient/*.rs", None, &patient, &[]),
            (
                "user/*.rs",
                None,
                &patient,
                &["user/*.rs [a]", "user/*.rs [child]"],
            ),
            ("system/*.rs", Some("a"), &patient, &[]),
            (
                "patient/Observation.cruds",
                Some("a"),
                &doctor,
                &[
                    "user/Observation.rs [a] @Practitioner/d",
                    "user/Observation.cruds [a] @Practitioner/d",
                ],
            ),
            (
                "user/Patient.cruds",
                None,
                &doctor,
                &["user/Patient.rs [] @Practitioner/d"],
            ),
            (
                "user/Observation.rs?code=x",
                None,
                &lab,
                &["user/Observation.rs?code=x&category=laboratory []"],
            ),
            ("user/Condition.rs", None, &lab, &[]),
            (
                "fhirUser",
                Some("a"),
                &patient,
                &["user/Patient.r?_id=a []"],
            ),
            ("openid", Some("a"), &patient, &[]),
        ];
        for (token, context, standing, expected) in cases {
            let rules = rules_of_user(&Scopes::parse(token), *context, standing);
            assert_eq!(short(&rules), *expected, "{token} in {context:?}");
        }
    }

    #[test]
    fn a_broken_glass_reaches_the_one_patient() {
        let mut doctor = standing(&[("user/*.rs", true)], &[], Some("Practitioner/d"));
        doctor.broken_glass = Some("b".to_owned());
        let rules = rules_of_user(&Scopes::parse("user/*.rs"), None, &doctor);
        assert_eq!(short(&rules), ["user/*.rs [b]"]);
    }

    #[test]
    fn a_care_relation_without_a_carer_reaches_nobody() {
        let nobody = standing(&[("user/*.rs", true)], &[], None);
        let rules = rules_of_user(&Scopes::parse("user/*.rs"), None, &nobody);
        assert_eq!(rules[0].carer.as_deref(), Some(""));
    }

    #[test]
    fn what_is_bound_to_oneself_reaches_nothing_of_others() {
        let grants = &[("user/PractitionerRole.u?practitioner=$me", true)];
        let doctor = standing(grants, &[], Some("Practitioner/d"));
        let all = Scopes::parse("user/*.cruds");
        let rules = rules_of_user(&all, None, &doctor);
        assert_eq!(
            short(&rules),
            ["user/PractitionerRole.u?practitioner=Practitioner/d [] @Practitioner/d"]
        );
        let nobody = standing(grants, &[], None);
        assert_eq!(rules_of_user(&all, None, &nobody), []);
        assert_eq!(rules_of_roles(&Scopes::default(), None, &doctor), []);
        let asked = Scopes::parse("system/PractitionerRole.u?practitioner=$me");
        assert_eq!(rules_of_program(&asked, &asked), []);
    }

    #[test]
    fn it_is_known_what_comes_of_being_the_patient() {
        let grants = &[
            ("patient/Appointment.cu", false),
            ("user/Appointment.cu", true),
        ];
        let both = standing(grants, &["a"], Some("Practitioner/d"));
        let own = |rules: Vec<Rule>| rules.iter().map(|rule| rule.own).collect::<Vec<_>>();
        let asked = Scopes::parse("patient/Appointment.cu");
        assert_eq!(own(rules_of_user(&asked, Some("a"), &both)), [true, false]);
        let none = Scopes::default();
        assert_eq!(own(rules_of_roles(&none, Some("a"), &both)), [true, false]);
    }

    #[test]
    fn programs_get_system_scopes_within_what_is_registered() {
        let allowed = Scopes::parse("system/Patient.rs system/Observation.cruds user/*.cruds");
        let rules = rules_of_program(&Scopes::parse("system/*.rs user/*.rs"), &allowed);
        assert_eq!(
            short(&rules),
            ["user/Patient.rs []", "user/Observation.rs []"]
        );
    }

    #[test]
    fn a_token_for_roles_gives_what_they_give() {
        let both = standing(
            &[("patient/*.rs", false), ("system/Slot.rs", false)],
            &[],
            None,
        );
        let all = rules_of_roles(&Scopes::default(), Some("a"), &both);
        assert_eq!(short(&all), ["user/*.rs [a]", "user/Slot.rs [a]"]);
        let none = rules_of_roles(&Scopes::default(), None, &both);
        assert_eq!(short(&none), ["user/Slot.rs []"]);
        let fewer = rules_of_roles(&Scopes::parse("patient/Slot.r"), Some("a"), &both);
        assert_eq!(short(&fewer), ["user/Slot.r [a]", "user/Slot.r [a]"]);
    }
}
