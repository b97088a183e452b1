//! Nothing of patient B comes to whoever may see A.

use serde_json::Value;

use crate::{
    client::Answer,
    hospital::{CANARY, OF_B, OF_BOTH, canaries},
    server::DATABASES,
    world::World,
};

/// What of B is in an answer to somebody else, if anything is; or that the server failed.
pub fn check(answer: &Answer, attack: &str) -> Option<String> {
    check_but(answer, attack, &[])
}

/// The same; these resources (`Group/1`) may be shown.
pub fn check_but(answer: &Answer, attack: &str, may_be: &[&str]) -> Option<String> {
    if answer.status >= 500 && answer.status != 501 {
        return Some(format!("{attack}: {} {}", answer.status, answer.text()));
    }
    let headers = answer.headers.iter().map(|(_, value)| value.to_lowercase());
    let headers: String = headers.collect();
    let body = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(mut json) => {
            let mut shown = Vec::new();
            look(&mut json, may_be, &mut shown);
            if !shown.is_empty() {
                return Some(format!("{attack}: shows {shown:?}"));
            }
            json.to_string()
        }
        Err(_) => answer.text(),
    };
    // A refusal repeats in its sentence what was asked; that is the attacker's own word.
    let is_refused = answer.status >= 400;
    let found = canaries().into_iter().find(|canary| {
        let in_body = match canary == CANARY {
            true => body.to_lowercase().contains(CANARY),
            false => body.contains(canary),
        };
        (in_body && !is_refused) || headers.contains(CANARY)
    })?;
    Some(format!("{attack}: {found} in {} {body}", answer.status))
}

/// Collects which resources of B an answer shows, and takes out of it what may be there: those
/// that may be shown, and the links of Bundles, which repeat what was asked.
fn look(json: &mut Value, may_be: &[&str], shown: &mut Vec<String>) {
    if let Some(path) = path_of(json).filter(|path| path.contains(&format!("/{OF_B}"))) {
        if may_be.contains(&path.as_str()) {
            *json = Value::Null;
        } else {
            shown.push(path);
        }
    }
    match json {
        Value::Object(members) => {
            if members
                .get("resourceType")
                .is_some_and(|kind| kind == "Bundle")
            {
                members.remove("link");
            }
            members
                .values_mut()
                .for_each(|value| look(value, may_be, shown));
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|value| look(value, may_be, shown)),
        _ => {}
    }
}

/// `Patient/1`, of a resource or of an entry.
fn path_of(json: &Value) -> Option<String> {
    if let Some(url) = json.get("fullUrl").and_then(Value::as_str) {
        let mut parts = url.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        return Some(format!("{kind}/{id}"));
    }
    let kind = json.get("resourceType")?.as_str()?;
    Some(format!("{kind}/{}", json.get("id")?.as_str()?))
}

/// Label, attack, path. `Patient/pa` and its chart may be found.
const SEARCHES: &[(&str, &str, &str)] = &[
    ("CL-01", "the own record", "Patient/pa"),
    ("CL-01", "the own values", "Observation?patient=pa"),
    (
        "CL-01",
        "all of the own record",
        "Patient/pa/$everything?_count=1000",
    ),
    ("CL-03", "all patients", "Patient"),
    (
        "CL-03",
        "everything there is",
        "?_type=Patient,Observation,Condition,Encounter,Group,Provenance,List,Binary,Person,Device,Task&_count=1000",
    ),
    (
        "CL-03",
        "everything there is, without types",
        "?_count=1000&_lastUpdated=gt2000-01-01",
    ),
    ("CL-03", "by a name's part", "Patient?name:contains=kanari"),
    ("CL-03", "by a sound", "Patient?phonetic=kanarifam"),
    (
        "CL-03",
        "by either name",
        "Patient?family=amselfam,kanarifam",
    ),
    ("CL-03", "by not being A", "Patient?_id:not=pa"),
    (
        "CL-03",
        "by a name that is missing",
        "Patient?family:missing=false",
    ),
    ("CL-03", "by birth date", "Patient?birthdate=lt1960"),
    ("CL-03", "by tag", "Patient?_tag=kanari"),
    ("CL-03", "by label", "Observation?_security=kanari"),
    ("CL-03", "by either patient", "Observation?patient=pa,pb"),
    (
        "CL-03",
        "by the address of B",
        "Observation?patient={base}/Patient/pb",
    ),
    (
        "CL-03",
        "by a version of B",
        "Observation?patient=Patient/pb/_history/1",
    ),
    (
        "CL-03",
        "by the identifier",
        "Observation?subject:identifier=urn:mrn|kanarimrn7",
    ),
    ("CL-03", "by words", "Observation?_content=kanari"),
    ("CL-03", "by narrative", "Patient?_text=kanari"),
    (
        "CL-03",
        "by filter",
        "Patient?_filter=family%20sw%20%22k%22",
    ),
    (
        "CL-03",
        "by filter over a chain",
        "Observation?_filter=subject.family%20eq%20%22kanarifam%22",
    ),
    (
        "CL-03",
        "by filter with or",
        "Patient?_filter=_id%20eq%20pa%20or%20_id%20eq%20pb",
    ),
    ("CL-03", "compartment of B", "Patient/pb/Observation"),
    ("CL-03", "compartment of B, all", "Patient/pb/*"),
    (
        "CL-03",
        "compartment of A with a parameter for B",
        "Patient/pa/Observation?patient=pb",
    ),
    (
        "CL-03",
        "compartment of the encounter",
        "Encounter/pb-enc/Observation",
    ),
    (
        "CL-03",
        "compartment of the practitioner",
        "Practitioner/other/Encounter",
    ),
    (
        "CL-03",
        "compartment of the practitioner, all",
        "Practitioner/other/*",
    ),
    (
        "CL-03",
        "compartment of A's practitioner",
        "Practitioner/dr/*",
    ),
    (
        "CL-03",
        "compartment of the device",
        "Device/pb-dev/Observation",
    ),
    (
        "CL-03",
        "compartment of the relative",
        "RelatedPerson/pb-kin/*",
    ),
    (
        "CL-04",
        "include of the results",
        "DiagnosticReport?_id=pa-into-b&_include=DiagnosticReport:result",
    ),
    (
        "CL-04",
        "include of all",
        "DiagnosticReport?_id=pa-into-b&_include=*",
    ),
    (
        "CL-04",
        "include of all, again and again",
        "DiagnosticReport?_include=*&_include:iterate=Observation:*&_revinclude:iterate=*",
    ),
    (
        "CL-04",
        "include of all types' all",
        "Observation?_include=*:*",
    ),
    (
        "CL-04",
        "include of members",
        "Observation?_id=pa-into-b&_include=Observation:has-member&_include=Observation:derived-from&_include=Observation:device",
    ),
    ("CL-04", "what refers to A", "Patient?_id=pa&_revinclude=*"),
    (
        "CL-04",
        "what refers to A, by each way",
        "Patient?_id=pa&_revinclude=Observation:focus&_revinclude=Group:member&_revinclude=Provenance:target&_revinclude=List:item&_revinclude=Appointment:actor&_revinclude=Account:subject&_revinclude=Person:link&_revinclude=Person:patient&_revinclude=Patient:link&_revinclude=Schedule:actor",
    ),
    (
        "CL-04",
        "through the practitioner",
        "Patient?_id=pa&_include=Patient:general-practitioner&_revinclude:iterate=Patient:general-practitioner&_revinclude:iterate=Encounter:practitioner",
    ),
    (
        "CL-04",
        "through the organization",
        "Patient?_id=pa&_include=Patient:organization&_revinclude:iterate=Patient:organization",
    ),
    (
        "CL-04",
        "what refers to the practitioner",
        "Practitioner?_revinclude=*&_revinclude:iterate=Observation:patient",
    ),
    (
        "CL-04",
        "what refers to the organization",
        "Organization?_revinclude=*",
    ),
    (
        "CL-04",
        "what refers to the ward",
        "Location?_revinclude=Encounter:location",
    ),
    (
        "CL-04",
        "what refers to the medication",
        "Medication?_revinclude=MedicationRequest:medication",
    ),
    (
        "CL-04",
        "through the group",
        "Patient?_id=pa&_revinclude=Group:member&_include:iterate=Group:member",
    ),
    (
        "CL-04",
        "through the appointment",
        "Appointment?_include=Appointment:patient&_include=Appointment:actor",
    ),
    (
        "CL-04",
        "through the link",
        "Patient?_id=pa&_revinclude=Patient:link&_include:iterate=Patient:link",
    ),
    (
        "CL-05",
        "from the practitioner",
        "Practitioner?_has:Patient:general-practitioner:family=kanarifam",
    ),
    ("CL-06", "number of patients", "Patient?_summary=count"),
    (
        "CL-07",
        "sorted by what is hidden",
        "Observation?_sort=subject",
    ),
    (
        "CL-07",
        "sorted by a name through a chain",
        "Observation?_sort=patient.family",
    ),
    (
        "CL-07",
        "sorted by words",
        "Patient?_text=kanari&_sort=_score",
    ),
    ("CL-08", "history of all", "_history?_count=1000"),
    ("CL-08", "history of patients", "Patient/_history"),
    (
        "CL-08",
        "history of values",
        "Observation/_history?_count=1000",
    ),
    (
        "CL-08",
        "history since",
        "Observation/_history?_since=2020-01-01T00:00:00Z",
    ),
    (
        "CL-08",
        "history at",
        "Observation/_history?_at=2100-01-01T00:00:00Z",
    ),
    (
        "CL-08",
        "history of what was B's",
        "Observation/pa-was-of-b/_history",
    ),
    (
        "CL-08",
        "first version of what was B's",
        "Observation/pa-was-of-b/_history/1",
    ),
    (
        "CL-08",
        "include of the version that was B's",
        "DiagnosticReport?_id=pa-old&_include=DiagnosticReport:result",
    ),
    (
        "CL-08",
        "chain to the version that was B's",
        "DiagnosticReport?result.code:text=kanari",
    ),
    ("CL-08", "history of audit events", "AuditEvent/_history"),
    (
        "CL-08",
        "history of what went to B",
        "Observation/pb-was-of-a/_history",
    ),
    (
        "CL-08",
        "meta of what was B's",
        "Observation/pa-was-of-b/_history/1/$meta",
    ),
    ("CL-09", "meta of all", "$meta"),
    ("CL-09", "meta of patients", "Patient/$meta"),
    ("CL-09", "meta of values", "Observation/$meta"),
    (
        "CL-09",
        "everything of all patients",
        "Patient/$everything?_count=1000",
    ),
    (
        "CL-09",
        "everything of B's encounter",
        "Encounter/pb-enc/$everything",
    ),
    (
        "CL-09",
        "everything of A's encounter",
        "Encounter/pa-enc/$everything",
    ),
    (
        "CL-09",
        "everything of A since",
        "Patient/pa/$everything?_since=2000-01-01T00:00:00Z&_type=Group,Provenance,List,Observation,Appointment",
    ),
    (
        "CL-09",
        "values in a row",
        "Observation/$lastn?patient=pb&category=laboratory",
    ),
    ("CL-09", "a match", "Patient/$match"),
    ("CL-09", "a graph", "Patient/pb/$graph?graph=x"),
    ("CL-10", "group", "Group"),
    ("CL-10", "provenance", "Provenance"),
    ("CL-10", "provenance of A", "Provenance?patient=pa"),
    ("CL-10", "list", "List"),
    ("CL-10", "list of A", "Patient/pa/List"),
    ("CL-10", "appointment", "Appointment"),
    ("CL-10", "account", "Account"),
    ("CL-10", "person", "Person"),
    ("CL-10", "schedule", "Schedule"),
    ("CL-10", "on the list of B", "Observation?_list=pb-list"),
    (
        "CL-10",
        "on a list in use",
        "Observation?_list=$current-problems",
    ),
    ("CL-11", "binary", "Binary/pb-bin"),
    ("CL-11", "binaries", "Binary"),
    (
        "CL-11",
        "own document into B's binary",
        "DocumentReference?_id=pa-into-b&_include=*",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn no_route_leads_to_another_patient() {
    for database in DATABASES {
        let world = World::new(database).await;
        let tokens = [
            ("the patient", world.patient("patient/*.rs").await),
            (
                "the patient as user",
                world
                    .token(&["patient"], Some("Patient/pa"), "user/*.rs", None)
                    .await,
            ),
            ("a doctor", world.doctor("user/*.rs").await),
            (
                "a doctor's app for A",
                world
                    .token(
                        &["doctor"],
                        Some("Practitioner/dr"),
                        "patient/*.rs",
                        Some("pa"),
                    )
                    .await,
            ),
            (
                "a nurse's app for A",
                world
                    .token(&["nurse"], None, "patient/*.rs", Some("pa"))
                    .await,
            ),
            (
                "an app for the patient only",
                world.patient("patient/Patient.rs").await,
            ),
        ];
        let mut wrong = Vec::new();
        for (who, token) in &tokens {
            for (label, attack, path) in SEARCHES {
                let path = path.replace("{base}", &world.server.base);
                let answer = world.line(token, &format!("GET {path}")).await;
                let may_be = if *who == "a doctor" { OF_BOTH } else { &[] };
                wrong.extend(check_but(
                    &answer,
                    &format!("{label} {attack}, {who}"),
                    may_be,
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{database:?}: {} leaks\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// The tables find what there is to find: who may see B is shown B.
#[tokio::test(flavor = "multi_thread")]
async fn the_tables_find_a_leak_where_there_is_one() {
    let world = World::new(DATABASES[0]).await;
    let mut found = 0;
    for (_, attack, path) in SEARCHES {
        let path = path.replace("{base}", &world.server.base);
        let answer = world.line(&world.root, &format!("GET {path}")).await;
        found += usize::from(check(&answer, attack).is_some());
    }
    assert!(found > SEARCHES.len() / 2, "{found} of {}", SEARCHES.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_of_one_patient_is_not_shown_what_names_another() {
    let world = World::new(DATABASES[0]).await;
    let doctor = world.doctor("user/*.rs").await;
    let mut wrong = Vec::new();
    for path in OF_BOTH {
        let answer = world.line(&doctor, &format!("GET {path}")).await;
        wrong.extend(check(&answer, path));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
