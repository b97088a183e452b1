//! A practice where patients book, and what is asked of it.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    hospital::CANARY,
    world::{Ask, World},
};

pub const RULES: &str = "urn:rotunda:StructureDefinition:scheduling-parameters";
pub const OVERBOOKED: &str = "urn:rotunda:StructureDefinition:overbooked";
/// What the app of a patient asks for.
pub const APP: &str = "launch/patient patient/*.cruds";

/// A practice: a doctor with hours, another one who wants to be asked, one without hours; and B
/// has booked with the first.
pub struct Practice {
    pub world: World,
    /// Patient A's app.
    pub a: String,
    /// Patient B's.
    pub b: String,
    /// The id of B's Appointment.
    pub of_b: String,
}

pub fn minutes(count: u32) -> Value {
    json!({"value": count, "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"})
}

pub fn reference(to: &str) -> Value {
    json!({ "reference": to })
}

pub fn parameters(of: &[(&str, Value)]) -> String {
    let of = of.iter().map(|(name, value)| {
        let kind = match value {
            Value::Bool(_) => "valueBoolean",
            Value::String(_) => "valueString",
            one if one.get("resourceType").is_some() => "resource",
            _ => "valueReference",
        };
        json!({"name": name, kind: value})
    });
    json!({"resourceType": "Parameters", "parameter": of.collect::<Vec<_>>()}).to_string()
}

pub fn operation(line: &str, of: &[(&str, Value)]) -> Ask {
    Ask::new(line).fhir(&parameters(of))
}

/// An Appointment at the time of a proposal.
pub fn at(time: &Value, status: &str, who: &[&str]) -> Value {
    let participants: Vec<Value> = who
        .iter()
        .map(|who| json!({"actor": reference(who), "status": "accepted"}))
        .collect();
    json!({"resourceType": "Appointment", "status": status, "start": time["start"], "end": time["end"],
        "participant": participants})
}

pub fn post(resource: &Value) -> Ask {
    let kind = resource["resourceType"].as_str().unwrap();
    Ask::new(&format!("POST {kind}")).fhir(&resource.to_string())
}

pub fn proposal(time: &Value) -> Value {
    reference(&format!("Appointment/{}", time["id"].as_str().unwrap()))
}

/// The Appointment of an answer that is one or a Bundle.
pub fn appointment(answer: &Answer) -> Value {
    let json = answer.json();
    match json["resourceType"].as_str() {
        Some("Bundle") => json["entry"][0]["resource"].clone(),
        _ => json,
    }
}

pub fn code(answer: &Answer) -> String {
    let json = match answer.json() {
        // IHE's clients get the outcome inside a Bundle.
        json if json["resourceType"] == "Bundle" => json["entry"][0]["resource"].clone(),
        json => json,
    };
    let code = &json["issue"][0]["details"]["coding"][0]["code"];
    code.as_str().unwrap_or_default().to_owned()
}

impl Practice {
    pub async fn new(world: World) -> Self {
        let open =
            json!({"url": "availableTime", "extension": [{"url": "allDay", "valueBoolean": true}]});
        let rules = |more: &[Value]| {
            let mut all = vec![
                json!({"url": "duration", "valueDuration": minutes(30)}),
                open.clone(),
            ];
            all.extend_from_slice(more);
            json!([{"url": RULES, "extension": all}])
        };
        let duration = json!([{"url": RULES, "extension": [{"url": "duration", "valueDuration": minutes(30)},
                {"url": "overbook", "valueUnsignedInt": 1}]}]);
        let all_day = json!([{"allDay": true}]);
        for body in [
            json!({"resourceType": "Practitioner", "id": "idle", "name": [{"family": "Ohne"}]}),
            json!({"resourceType": "PractitionerRole", "id": "dr-role", "practitioner": reference("Practitioner/dr"), "availableTime": all_day}),
            json!({"resourceType": "PractitionerRole", "id": "other-role", "practitioner": reference("Practitioner/other")}),
            json!({"resourceType": "Schedule", "id": "dr-hours", "actor": [reference("PractitionerRole/dr-role")], "extension": duration}),
            json!({"resourceType": "Schedule", "id": "other-hours", "actor": [reference("PractitionerRole/other-role")],
                "extension": rules(&[json!({"url": "needsApproval", "valueBoolean": true})])}),
        ] {
            let path = format!(
                "PUT {}/{}",
                body["resourceType"].as_str().unwrap(),
                body["id"].as_str().unwrap()
            );
            let answer = world
                .ask(&world.root, &Ask::new(&path).fhir(&body.to_string()))
                .await;
            assert!(answer.status < 300, "{path}: {}", answer.text());
        }
        let app = |id: &'static str| {
            let world = &world;
            async move {
                let own = format!("Patient/{id}");
                world.token(&["patient"], Some(&own), APP, Some(id)).await
            }
        };
        let (a, b) = (app("pa").await, app("pb").await);
        let mut practice = Self {
            world,
            a,
            b,
            of_b: String::new(),
        };
        let time = practice.times("dr-hours", "").await.remove(0);
        let booked = operation(
            "POST Appointment/$book",
            &[
                ("appointment-reference", proposal(&time)),
                ("patient-reference", reference("Patient/pb")),
                ("comment", json!(CANARY)),
            ],
        );
        let booked = practice.world.ask(&practice.b, &booked).await;
        assert_eq!(booked.status, 201, "{}", booked.text());
        practice.of_b = appointment(&booked)["id"].as_str().unwrap().to_owned();
        practice
    }

    /// Free times of a Schedule as the administrator finds them, for a patient or for nobody.
    pub async fn times(&self, schedule: &str, patient: &str) -> Vec<Value> {
        let for_whom = match patient {
            "" => String::new(),
            id => format!("&patient={id}"),
        };
        let line = format!("GET Appointment/$find?schedule={schedule}&_count=60{for_whom}");
        self.found(&self.world.root, &line).await
    }

    pub async fn found(&self, token: &str, line: &str) -> Vec<Value> {
        let answer = self.world.line(token, line).await;
        assert_eq!(answer.status, 200, "{line}: {}", answer.text());
        let json = answer.json();
        let entries = json["entry"].as_array().cloned().unwrap_or_default();
        entries
            .into_iter()
            .map(|entry| entry["resource"].clone())
            .filter(|one| one["resourceType"] == "Appointment")
            .collect()
    }

    /// All Appointments, and what of the doctors' time is free: nothing of it may change.
    pub async fn state(&self) -> (String, Vec<Value>) {
        let root = &self.world.root;
        let all = self.world.line(root, "GET Appointment?_count=100").await;
        let all = all.json()["entry"].to_string();
        let mut free = self.times("dr-hours", "").await;
        free.extend(self.times("other-hours", "").await);
        // The minute of the proposal is in its id.
        let last = |one: &Value| one["start"].clone();
        let mut free: Vec<Value> = free.iter().map(last).collect();
        free.truncate(40);
        (all, free)
    }

    pub async fn ask(&self, token: &str, ask: &Ask) -> Answer {
        self.world.ask(token, ask).await
    }
}
