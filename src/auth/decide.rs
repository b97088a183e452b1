//! From roles, scopes and launch context to the rules of an access decision.

use super::scope::{Level, ResourceScope, Scopes};
use crate::access::{Relation, Right, Rights, Rule};

/// What somebody may do by their roles, before a token narrows it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The grants of all roles, each with which patients it reaches.
    pub grants: Vec<(ResourceScope, Bounds)>,
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

/// Which patients the grants of a role reach: those in the user's care, and those for whom there
/// is such an order; all, if it says neither.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Patients in the user's care.
    pub care: bool,
    /// Patients with one of these orders.
    pub orders: Option<Vec<Relation>>,
}

impl Bounds {
    /// Where there is no user, nobody is in their care.
    fn without_care(&self) -> Self {
        Self {
            care: false,
            orders: self.orders.clone(),
        }
    }

    /// How a patient must be related, in one of these ways; `None` among them is in no way.
    /// A care relation without anybody to have it reaches nobody.
    fn relations(&self, standing: &Standing) -> Vec<Option<Relation>> {
        if *self == Self::default() {
            return vec![None];
        }
        let carer = || standing.fhir_user.clone().unwrap_or_default();
        let care = self.care.then(|| Relation::Care(carer()));
        let orders = self.orders.iter().flatten().cloned();
        care.into_iter().chain(orders).map(Some).collect()
    }
}

/// What a user's token allows: its scopes, as far as the user's roles go.
pub fn rules_of_user(token: &Scopes, context: Option<&str>, standing: &Standing) -> Vec<Rule> {
    let mut rules = Vec::new();
    for scope in token
        .resources()
        .filter(|scope| scope.level != Level::System)
    {
        for (grant, bounds) in &standing.grants {
            let Some(mut both) = scope.and(grant) else {
                continue;
            };
            if !bind_to_self(&mut both, standing) {
                continue;
            }
            for patients in reach(scope.level, grant.level, context, standing) {
                let own = grant.level == Level::Patient;
                match &standing.broken_glass {
                    Some(patient) if *bounds != Bounds::default() => {
                        let patient = std::slice::from_ref(patient);
                        rules.extend(bound(&both, patient, vec![None], own));
                    }
                    _ => {
                        let relations = bounds.relations(standing);
                        rules.extend(bound(&both, &patients, relations, own));
                    }
                }
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
        relation: None,
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
    of_system
        .flat_map(|scope| bound(scope, &[], vec![None], false))
        .collect()
}

/// What a token for roles allows: all that they give, as far as `token` goes if it says anything.
/// Grants on one's own record need a patient in context.
pub fn rules_of_roles(token: &Scopes, context: Option<&str>, standing: &Standing) -> Vec<Rule> {
    let mut rules = Vec::new();
    let grants = standing.grants.iter();
    for (grant, bounds) in grants.filter(|(grant, _)| !is_of_self(grant)) {
        let patients: Vec<String> = match (grant.level, context) {
            (Level::Patient, None) => continue,
            (Level::Patient, Some(patient)) => vec![patient.to_owned()],
            (_, patient) => patient.map(str::to_owned).into_iter().collect(),
        };
        let own = grant.level == Level::Patient;
        let relations = bounds.without_care().relations(standing);
        if token.0.is_empty() {
            rules.extend(bound(grant, &patients, relations, own));
            continue;
        }
        let narrowed = token.resources().filter_map(|scope| scope.and(grant));
        let narrowed = narrowed.filter(|scope| !is_of_self(scope));
        rules.extend(narrowed.flat_map(|scope| bound(&scope, &patients, relations.clone(), own)));
    }
    rules
}

/// A rule for each way in which a patient may be related.
fn bound(
    scope: &ResourceScope,
    patients: &[String],
    relations: Vec<Option<Relation>>,
    own: bool,
) -> Vec<Rule> {
    let rule = |relation| Rule {
        kind: scope.kind,
        rights: scope.rights,
        patients: patients.to_vec(),
        constraints: scope.constraints.clone(),
        relation,
        own,
    };
    relations.into_iter().map(rule).collect()
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
        let grant = |(text, care): &(&str, bool)| {
            let (care, orders) = (*care, None);
            (ResourceScope::parse(text).unwrap(), Bounds { care, orders })
        };
        Standing {
            grants: grants.iter().map(grant).collect(),
            patients: patients.iter().map(|id| (*id).to_owned()).collect(),
            fhir_user: user.map(str::to_owned),
            ..Standing::default()
        }
    }

    /// The same grants, also for patients with orders of this type.
    fn with_orders(standing: &Standing, name: &str) -> Standing {
        let order = Relation::Order {
            kind: resources::model::ResourceType::from_name(name).unwrap(),
            constraints: Vec::new(),
        };
        let mut standing = standing.clone();
        for (_, bounds) in &mut standing.grants {
            bounds.orders = Some(vec![order.clone()]);
        }
        standing
    }

    /// Rules in short: `Observation.rs [a] ?category=c @Practitioner/1`, `… @ServiceRequest` for
    /// patients with such an order.
    fn short(rules: &[Rule]) -> Vec<String> {
        let one = |rule: &Rule| {
            let scope = ResourceScope {
                level: Level::User,
                kind: rule.kind,
                rights: rule.rights,
                constraints: rule.constraints.clone(),
                v1: false,
            };
            let relation = match &rule.relation {
                None => String::new(),
                Some(Relation::Care(who)) => format!(" @{who}"),
                Some(Relation::Order { kind, .. }) => format!(" @{kind}"),
            };
            format!("{scope} {:?}{relation}", rule.patients).replace('"', "")
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
        assert_eq!(rules[0].relation, Some(Relation::Care(String::new())));
    }

    #[test]
    fn orders_bind_with_and_without_a_user_and_beside_care() {
        let free = standing(&[("user/*.rs", false)], &[], Some("Practitioner/d"));
        let lab = with_orders(&free, "ServiceRequest");
        let caring = standing(&[("user/*.rs", true)], &[], Some("Practitioner/d"));
        let both = with_orders(&caring, "ServiceRequest");
        let mut unread = lab.clone();
        unread.grants[0].1.orders = Some(Vec::new());
        let mut broken = both.clone();
        broken.broken_glass = Some("b".to_owned());
        let all = Scopes::parse("user/*.rs");
        let of = "user/*.rs []";
        for (standing, user, role) in [
            (&free, &[of][..], &[of][..]),
            (
                &lab,
                &["user/*.rs [] @ServiceRequest"],
                &["user/*.rs [] @ServiceRequest"],
            ),
            (
                &both,
                &[
                    "user/*.rs [] @Practitioner/d",
                    "user/*.rs [] @ServiceRequest",
                ],
                &["user/*.rs [] @ServiceRequest"],
            ),
            (&caring, &["user/*.rs [] @Practitioner/d"], &[of]),
            // Orders that nobody can read reach nobody.
            (&unread, &[], &[]),
            (
                &broken,
                &["user/*.rs [b]"],
                &["user/*.rs [] @ServiceRequest"],
            ),
        ] {
            let given = short(&rules_of_user(&all, None, standing));
            assert_eq!(given, user, "{standing:?}");
            let given = short(&rules_of_roles(&Scopes::default(), None, standing));
            assert_eq!(given, role, "{standing:?}");
        }
        let in_context = rules_of_user(&Scopes::parse("patient/*.rs"), Some("a"), &lab);
        assert_eq!(short(&in_context), ["user/*.rs [a] @ServiceRequest"]);
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
