//! Results, documents and vaccinations: what is sent again corrects what was sent before.

use mllp::Segment;
use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Lost,
    identity::{Identifier, json_of},
    work::{Item, Work, kind_of},
};

/// The system of what tells an observation of a report from the others: the report's number, the
/// code (OBX-3), the part (OBX-4), and which of several.
pub const RESULT: &str = "urn:rotunda:hl7:result";

const OBSERVATION: ResourceType = ResourceType::OBSERVATION;

/// Elements of an Observation that an OBX says as a whole: a value that is corrected must not keep
/// the flag of the wrong one.
const WHOLE: &[&str] = &[
    "interpretation",
    "referenceRange",
    "dataAbsentReason",
    "component",
    "note",
];

/// Who refers to an order, a visit or a patient, and is not about them, adds what is missing only.
const NAMED: &[&str] = &[
    "Patient",
    "Encounter",
    "Account",
    "ServiceRequest",
    "Coverage",
];

impl Work<'_> {
    /// ORU, OUL and whatever else has reports.
    pub async fn results(&mut self) -> Result<(), Lost> {
        self.only_fill(NAMED);
        self.number_results();
        self.look_up().await?;
        self.whole_values();
        self.lay_all();
        self.link_parents().await
    }

    /// VXU: vaccinations; RXA-21 takes one back.
    pub async fn vaccinations(&mut self) -> Result<(), Lost> {
        self.only_fill(&["Encounter", "Account"]);
        self.look_up().await?;
        for at in self.of(kind_of("Immunization")) {
            let action = self
                .segment_of(at, "RXA")
                .map(|rxa| rxa.field(21).text().into_owned());
            if action.as_deref() == Some("D") {
                self.items[at].made["status"] = json!("entered-in-error");
            }
        }
        self.lay_all();
        Ok(())
    }

    /// MDM: documents, and what becomes of them.
    pub async fn documents(&mut self) -> Result<(), Lost> {
        self.only_fill(&["Patient", "Encounter", "Account", "ServiceRequest"]);
        let event = self.event();
        for at in self.of(kind_of("DocumentReference")) {
            // How documents stand to each other is said below, by the event.
            if let Some(made) = self.items[at].made.as_object_mut() {
                made.remove("relatesTo");
            }
        }
        self.look_up().await?;
        self.complete_documents();
        self.lay_all();
        let documents = self.of(kind_of("DocumentReference"));
        let Some(at) = documents.first().map(|at| self.root(*at)) else {
            return Ok(());
        };
        let parent = self.parent_document(at).await?;
        match (event.as_str(), parent) {
            ("T05" | "T06", Some(parent)) => self.relate(at, parent, "appends"),
            ("T09" | "T10", Some(parent)) => {
                self.relate(at, parent, "replaces");
                self.items[parent]
                    .content
                    .set("status", json!("superseded"));
            }
            ("T11", parent) => {
                let is_new = self.items[at].version == 0;
                let gone = parent.filter(|_| is_new).unwrap_or(at);
                if gone != at {
                    self.items[at].is_left_out = true;
                }
                self.items[gone]
                    .content
                    .set("status", json!("entered-in-error"));
            }
            ("T05" | "T06" | "T09" | "T10", None) => {
                self.note("TXA-13", "the document that this one is about is not known");
            }
            _ => {}
        }
        Ok(())
    }

    /// A document of which only the head comes keeps the content that it has.
    fn complete_documents(&mut self) {
        for at in self.of(kind_of("DocumentReference")) {
            let is_new = self.items[self.root(at)].version == 0;
            let Some(made) = self.items[at].made.as_object_mut() else {
                continue;
            };
            let Some(Json::Array(contents)) = made.get_mut("content") else {
                continue;
            };
            let has_none = |one: &Json| one.get("attachment").is_none();
            if !is_new && contents.iter().all(has_none) {
                made.remove("content");
                continue;
            }
            for one in contents {
                if has_none(one) {
                    *one = json!({"attachment": one});
                }
            }
        }
    }

    fn relate(&mut self, at: usize, parent: usize, how: &str) {
        let target = self.items[parent].reference();
        let relation = json!({"code": how, "target": {"reference": target}});
        let content = &mut self.items[at].content;
        let mut all = content.list("relatesTo");
        if !all.contains(&relation) {
            all.push(relation);
            content.set("relatesTo", Json::Array(all));
        }
    }

    /// The document of TXA-13, whose number is mapped as that of TXA-12 is.
    async fn parent_document(&mut self, at: usize) -> Result<Option<usize>, Lost> {
        let Some(txa) = self.segment_of(at, "TXA") else {
            return Ok(None);
        };
        let raw = txa.field(13).raw().to_owned();
        let mapped = self.map_field(("MDM", "T02"), "TXA", 12, &raw);
        let document = mapped
            .iter()
            .find(|item| item.kind == kind_of("DocumentReference"));
        let numbers = document
            .map(|item| Identifier::all(&item.made))
            .unwrap_or_default();
        if numbers.is_empty() {
            return Ok(None);
        }
        let tokens: Vec<String> = numbers.iter().map(Identifier::token).collect();
        let found = self
            .matching(
                kind_of("DocumentReference"),
                &[("identifier", &tokens.join(","))],
                5,
            )
            .await?;
        let own = self.items[at].id.clone();
        let found = found.into_iter().find(|one| one.id != own);
        Ok(found.map(|found| self.item_of(&found)))
    }

    /// The segment of an item, if it has this name.
    pub fn segment_of(&self, at: usize, name: &str) -> Option<Segment<'_>> {
        let segment = self.message.segment(self.items[at].segment?)?;
        (segment.name() == name).then_some(segment)
    }

    /// The first segment of a name from that of an item on; before it there is no other ORC.
    fn following(&self, at: usize, name: &str) -> Option<Segment<'_>> {
        let start = self.items[at].segment?;
        let mut from = self.message.segments().skip(start).enumerate();
        let (_, found) = from.find(|(number, segment)| {
            segment.name() == name || *number > 0 && segment.name() == "ORC"
        })?;
        (found.name() == name).then_some(found)
    }

    /// Gives the observations of a report numbers, so that they are found when they come again.
    fn number_results(&mut self) {
        for report in self.of(kind_of("DiagnosticReport")) {
            let made = &self.items[report].made;
            let numbers = super::lookup::numbers(kind_of("DiagnosticReport"), made);
            let Some(number) = numbers.first() else {
                continue;
            };
            let number = number.clone();
            let results = made.get("result").and_then(Json::as_array).cloned();
            let mut before: Vec<String> = Vec::new();
            for result in results.unwrap_or_default() {
                let Some(at) = self.named(&result) else {
                    continue;
                };
                let Some(obx) = self.segment_of(at, "OBX") else {
                    continue;
                };
                let mut value = result_number(&number, obx);
                let same = before.iter().filter(|other| **other == value).count();
                before.push(value.clone());
                if same > 0 {
                    value = format!("{value}#{}", same + 1);
                }
                let identifier = json!({"system": RESULT, "value": value});
                let made = &mut self.items[at].made;
                match made.get_mut("identifier") {
                    Some(Json::Array(all)) => all.insert(0, identifier),
                    _ => made["identifier"] = json!([identifier]),
                }
            }
        }
    }

    /// What is corrected is said as a whole.
    fn whole_values(&mut self) {
        for at in self.of(OBSERVATION) {
            let Some(obx) = self.segment_of(at, "OBX") else {
                continue;
            };
            if obx.field(5).is_empty() {
                continue;
            }
            let root = self.root(at);
            for name in WHOLE {
                if self.items[at].made.get(*name).is_none() {
                    self.items[root].content.remove(name);
                }
            }
        }
    }

    /// A report that another result gave rise to (OBR-26 and OBR-29): its observations derive from
    /// that result.
    async fn link_parents(&mut self) -> Result<(), Lost> {
        for report in self.of(kind_of("DiagnosticReport")) {
            let Some(obr) = self.following(report, "OBR") else {
                continue;
            };
            let (result, order) = (obr.field(26), obr.field(29));
            if !result.is_valued() || !order.is_valued() {
                continue;
            }
            let code = result.component(1).subcomponent(1).text().into_owned();
            let part = result.component(2).text().into_owned();
            // The filler's number is the second component of EIP; senders also give it alone.
            let mut wanted: Vec<String> = Vec::new();
            for number in [order.component(2), order.component(1)] {
                if number.is_valued() {
                    wanted.push(number.subcomponent(1).text().into_owned());
                }
            }
            let is_parent = |value: &str| {
                wanted
                    .iter()
                    .any(|number| value.contains(&format!("|{number}/{code}/{part}")))
            };
            let mut parent = self.of(OBSERVATION).into_iter().find_map(|at| {
                let item = &self.items[self.root(at)];
                let own = Identifier::all(&item.content.json());
                own.iter()
                    .any(|one| one.system == RESULT && is_parent(&one.value))
                    .then(|| item.reference())
            });
            if parent.is_none() {
                parent = self.stored_parent(report, &code, &is_parent).await?;
            }
            let Some(parent) = parent else {
                self.note(
                    "OBR-26",
                    "the result that this one follows from is not known",
                );
                continue;
            };
            let results = self.items[report]
                .made
                .get("result")
                .cloned()
                .unwrap_or_default();
            let references: Vec<String> = results
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| Some(one.get("reference")?.as_str()?.to_owned()))
                .collect();
            for at in self.of(OBSERVATION) {
                let at = self.root(at);
                if !references.contains(&self.items[at].reference()) {
                    continue;
                }
                let content = &mut self.items[at].content;
                let derived = json!({"reference": parent});
                let mut all = content.list("derivedFrom");
                if !all.contains(&derived) {
                    all.push(derived);
                    content.set("derivedFrom", Json::Array(all));
                }
            }
        }
        Ok(())
    }

    async fn stored_parent(
        &self,
        report: usize,
        code: &str,
        is_parent: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Option<String>, Lost> {
        let Some(owner) = self.owner(report) else {
            return Ok(None);
        };
        if self.items[owner].version == 0 {
            return Ok(None);
        }
        let patient = self.items[owner].reference();
        let code = super::identity::escaped(code);
        let found = self
            .matching(OBSERVATION, &[("patient", &patient), ("code", &code)], 200)
            .await?;
        let found = found.into_iter().find(|one| {
            let own = Identifier::all(&json_of(one));
            own.iter()
                .any(|one| one.system == RESULT && is_parent(&one.value))
        });
        Ok(found.map(|one| format!("Observation/{}", one.id)))
    }

    /// Finds the observations of reports: one search for all of a patient.
    pub async fn identify_results(&mut self) -> Result<(), Lost> {
        let open = |item: &Item| {
            let own = Identifier::all(&item.made);
            let own = own.into_iter().find(|one| one.system == RESULT);
            own.filter(|_| !item.is_settled)
        };
        let mut wanted: Vec<(usize, Identifier)> = Vec::new();
        for at in self.of(OBSERVATION) {
            wanted.extend(open(&self.items[at]).map(|own| (at, own)));
        }
        for part in wanted.chunks(50) {
            let owner = part.first().and_then(|(at, _)| self.owner(*at));
            let patient = owner
                .map(|owner| &self.items[owner])
                .filter(|owner| owner.version > 0);
            let patient = patient.map(Item::reference);
            let found = match patient {
                Some(patient) => {
                    let tokens: Vec<String> = part.iter().map(|(_, own)| own.token()).collect();
                    let tokens = tokens.join(",");
                    let params = [
                        ("identifier", tokens.as_str()),
                        ("patient", patient.as_str()),
                    ];
                    self.matching(OBSERVATION, &params, 200).await?
                }
                None => Vec::new(),
            };
            for (at, own) in part {
                let same = found.iter().find(|one| {
                    let all = Identifier::all(&json_of(one));
                    all.iter()
                        .any(|one| one.system == RESULT && one.value == own.value)
                });
                match same {
                    Some(same) => self.settle(*at, same),
                    // The report itself is guarded.
                    None => {
                        let id = self.engine.fresh_id();
                        self.items[*at].make(id, None);
                    }
                }
            }
        }
        Ok(())
    }
}

fn result_number(report: &Identifier, obx: Segment<'_>) -> String {
    let code = obx.field(3);
    let part = obx.field(4).text();
    let code = code.component(1).text();
    format!("{}|{}/{code}/{part}", report.system, report.value)
}
