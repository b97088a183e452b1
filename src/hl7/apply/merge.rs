//! Records that are one, that move, or that get other numbers.

use mllp::{Message, Segment, message::Value};
use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Lost,
    identity::{Identifier, json_of},
    work::{Item, Work, content, kind_of},
};
use crate::access::Booking;

const PATIENT: ResourceType = ResourceType::PATIENT;

/// A segment MRG and the place of the patient before it.
#[derive(Debug, Clone, Copy)]
struct Pair {
    /// The item of the PID before it.
    patient: usize,
    /// The segment's place.
    segment: usize,
}

impl Work<'_> {
    /// Each MRG with the PID that it follows.
    fn pairs(&self) -> Result<Vec<Pair>, Lost> {
        let mut pairs = Vec::new();
        let mut current = None;
        for segment in self.message.segments() {
            match segment.name() {
                "PID" => {
                    let mut patients = self.of(PATIENT).into_iter();
                    current = patients.find(|at| self.items[*at].segment == Some(segment.at()));
                }
                "MRG" => {
                    let Some(patient) = current else {
                        let text = "MRG stands without the PID of the patient who remains";
                        return Err(content("MRG", "100", text));
                    };
                    pairs.push(Pair {
                        patient: self.root(patient),
                        segment: segment.at(),
                    });
                }
                _ => {}
            }
        }
        match pairs.is_empty() {
            true => Err(content(
                "MRG",
                "100",
                "the segment that names the other record is missing",
            )),
            false => Ok(pairs),
        }
    }

    fn mrg(&self, pair: Pair) -> Segment<'_> {
        self.message
            .segment(pair.segment)
            .unwrap_or_else(|| self.message.msh())
    }

    /// The identifiers that a field of type CX is mapped to, as those of a patient (`PID-3`).
    pub fn identifiers_of(&self, value: Value<'_>) -> Vec<Identifier> {
        let mapped = self.map_field(("ADT", "A08"), "PID", 3, value.raw());
        let patient = mapped.iter().find(|item| item.kind == PATIENT);
        patient
            .map(|item| Identifier::all(&item.made))
            .unwrap_or_default()
    }

    fn former(&self, pair: Pair) -> Result<Vec<Identifier>, Lost> {
        let mrg = self.mrg(pair);
        for field in [1, 4, 2] {
            let found = self.identifiers_of(mrg.field(field));
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Err(content(
            "MRG-1",
            "101",
            "the other patient has no identifier",
        ))
    }

    /// Two patients are one: the one of MRG is replaced by the one of PID, and all that refers to
    /// the former refers to the latter.
    pub async fn merge_patients(&mut self) -> Result<(), Lost> {
        for pair in self.pairs()? {
            let former = self.former(pair)?;
            self.merge_patient(pair.patient, &former).await?;
        }
        Ok(())
    }

    async fn merge_patient(&mut self, remains: usize, former: &[Identifier]) -> Result<(), Lost> {
        self.booking = Booking::Over;
        let found = self.find_patient(former, "MRG-1").await?;
        let same = found
            .as_ref()
            .is_some_and(|found| found.id == self.items[remains].id);
        self.note_former(remains, former);
        let Some(found) = found.filter(|_| !same) else {
            let text = match same {
                true => "it is the same patient already",
                false => "no patient has this identifier; it is kept as a former one",
            };
            self.note("MRG-1", text);
            return Ok(());
        };
        let goes = self.item_of(&found);
        let (from, to) = (
            self.items[goes].reference(),
            self.items[remains].reference(),
        );
        let content = &mut self.items[goes].content;
        content.set("active", json!(false));
        add_link(content, &to, "replaced-by");
        add_link(&mut self.items[remains].content, &from, "replaces");
        self.refer_anew(PATIENT, &from, &to, &|_| true).await
    }

    /// Numbers that were a patient's, and still lead to it.
    fn note_former(&mut self, at: usize, former: &[Identifier]) {
        let content = &mut self.items[at].content;
        let mut all = content.list("identifier");
        for one in former {
            let known = all.iter_mut().find(|own| {
                Identifier::of(own)
                    .is_some_and(|own| own.system == one.system && own.value == one.value)
            });
            match known {
                Some(own) => own["use"] = json!("old"),
                None => all.push(old_identifier(one)),
            }
        }
        content.set("identifier", Json::Array(all));
    }

    /// All that refers to one resource refers to another from now on, if it is `wanted`.
    /// Provenance stays: it tells what was.
    async fn refer_anew(
        &mut self,
        kind: ResourceType,
        from: &str,
        to: &str,
        wanted: &(dyn Fn(&Json) -> bool + Sync),
    ) -> Result<(), Lost> {
        let id = from.rsplit('/').next().unwrap_or_default().to_owned();
        let found = self.referring(kind, &id).await?;
        let (from, to) = (from.to_owned(), to.to_owned());
        for one in found {
            let is_history = matches!(one.kind.name(), "Provenance" | "AuditEvent");
            if is_history || one.kind == PATIENT && kind == PATIENT || !wanted(&json_of(&one)) {
                continue;
            }
            let at = self.item_of(&one);
            self.items[at]
                .content
                .refer(&|old| (old == from).then(|| to.clone()));
        }
        Ok(())
    }

    /// The numbers of accounts or visits in a field of MRG.
    fn numbers_of(&self, pair: Pair, kind: ResourceType) -> Result<Vec<Identifier>, Lost> {
        let mrg = self.mrg(pair);
        let fields: &[usize] = match kind.name() {
            "Account" => &[3],
            _ => &[5, 6],
        };
        for field in fields {
            let found = self.identifiers_of(mrg.field(*field));
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let place = format!("MRG-{}", fields[0]);
        Err(content(
            &place,
            "101",
            format!("the number of the other {kind} is missing"),
        ))
    }

    async fn by_number(
        &self,
        kind: ResourceType,
        numbers: &[Identifier],
        patient: Option<&str>,
    ) -> Result<Option<crate::engine::Resource>, Lost> {
        // Two fields may name the authority in different ways: the value and the patient decide.
        let tokens: Vec<String> = numbers.iter().map(Identifier::token).collect();
        let found = self
            .matching(kind, &[("identifier", &tokens.join(","))], 10)
            .await?;
        let is_theirs = |one: &crate::engine::Resource| {
            let owner = super::identity::patient_of(&json_of(one));
            patient.is_none() || owner.is_none() || owner.as_deref() == patient
        };
        Ok(found.into_iter().find(is_theirs))
    }

    /// Two accounts are one.
    pub async fn merge_accounts(&mut self) -> Result<(), Lost> {
        self.merge_others(kind_of("Account"), "PID", 18, "inactive")
            .await
    }

    /// Two visits are one.
    pub async fn merge_visits(&mut self) -> Result<(), Lost> {
        self.merge_others(ResourceType::ENCOUNTER, "PV1", 19, "entered-in-error")
            .await
    }

    async fn merge_others(
        &mut self,
        kind: ResourceType,
        segment: &str,
        field: usize,
        status: &str,
    ) -> Result<(), Lost> {
        self.booking = Booking::Over;
        for pair in self.pairs()? {
            let former = self.numbers_of(pair, kind)?;
            let remains = self
                .named_by_field(kind, segment, field, pair.patient)
                .await?;
            let goes = self.by_number(kind, &former, None).await?;
            let Some(remains) = remains else {
                self.note(
                    &format!("{segment}-{field}"),
                    format!("the {kind} that remains is not named"),
                );
                continue;
            };
            self.note_former(remains, &former);
            let Some(goes) = goes.filter(|goes| goes.id != self.items[remains].id) else {
                self.note(
                    "MRG",
                    format!("no other {kind} has this number; it is kept as a former one"),
                );
                continue;
            };
            let goes = self.item_of(&goes);
            let (from, to) = (
                self.items[goes].reference(),
                self.items[remains].reference(),
            );
            self.items[goes].content.set("status", json!(status));
            self.refer_anew(kind, &from, &to, &|_| true).await?;
        }
        Ok(())
    }

    /// The account or visit that the message names beside MRG: the one that the mapping makes,
    /// else the one that has the number, else a new one.
    async fn named_by_field(
        &mut self,
        kind: ResourceType,
        segment: &str,
        field: usize,
        patient: usize,
    ) -> Result<Option<usize>, Lost> {
        let made = self
            .of(kind)
            .into_iter()
            .find(|at| self.items[*at].is_settled);
        if let Some(at) = made {
            return Ok(Some(self.root(at)));
        }
        let value = self
            .message
            .first(segment)
            .map(|segment| segment.field(field));
        let numbers = value
            .map(|value| self.identifiers_of(value))
            .unwrap_or_default();
        if numbers.is_empty() {
            return Ok(None);
        }
        if let Some(found) = self.by_number(kind, &numbers, None).await? {
            return Ok(Some(self.item_of(&found)));
        }
        let subject = self.items[patient].reference();
        let mut item = Item::own(kind);
        item.make(self.engine.fresh_id(), Some(super::work::guard(&numbers)));
        let identifiers: Vec<Json> = numbers.iter().map(plain_identifier).collect();
        item.content.set("identifier", Json::Array(identifiers));
        match kind.name() {
            "Account" => {
                item.content.set("status", json!("active"));
                item.content.set("subject", json!([{"reference": subject}]));
            }
            _ => {
                item.content.set("status", json!("unknown"));
                item.content.set("class", super::visit::unknown_class());
                item.content.set("subject", json!({"reference": subject}));
            }
        }
        self.items.push(item);
        Ok(Some(self.items.len() - 1))
    }

    /// Identifiers of PID-3 go from the patient of MRG to that of PID.
    pub async fn move_identifiers(&mut self) -> Result<(), Lost> {
        for pair in self.pairs()? {
            let former = self.former(pair)?;
            let Some(source) = self.find_patient(&former, "MRG-1").await? else {
                self.note("MRG-1", "no patient has this identifier");
                continue;
            };
            let remains = pair.patient;
            if self.items[remains].id == source.id {
                let text = "PID-3 and MRG-1 name the same patient, so nothing can move";
                return Err(content("MRG-1", "204", text));
            }
            let moving = Identifier::all(&self.items[remains].made);
            let at = self.item_of(&source);
            let mut kept = self.items[at].content.list("identifier");
            kept.retain(|own| {
                let own = Identifier::of(own);
                own.is_none_or(|own| {
                    !moving
                        .iter()
                        .any(|one| one.system == own.system && one.value == own.value)
                })
            });
            self.items[at].content.set("identifier", Json::Array(kept));
        }
        Ok(())
    }

    /// An account goes from the patient of MRG to that of PID, with the visits that it is of.
    pub async fn move_account(&mut self) -> Result<(), Lost> {
        self.booking = Booking::Over;
        for pair in self.pairs()? {
            let numbers = self.numbers_of(pair, kind_of("Account"))?;
            let (to, source) = self.movers(pair).await?;
            let Some(account) = self
                .by_number(kind_of("Account"), &numbers, source.as_deref())
                .await?
            else {
                self.note("MRG-3", "no account of that patient has this number");
                continue;
            };
            let at = self.item_of(&account);
            let account = self.items[at].reference();
            let Some(from) = source else { continue };
            self.items[at]
                .content
                .refer(&|old| (old == from).then(|| to.clone()));
            let visits = self
                .matching(ResourceType::ENCOUNTER, &[("account", &account)], 1_000)
                .await?;
            for visit in visits {
                self.take_along(&visit, &from, &to).await?;
            }
        }
        Ok(())
    }

    /// A visit goes from the patient of MRG to that of PID, with all that was done in it.
    pub async fn move_visit(&mut self) -> Result<(), Lost> {
        self.booking = Booking::Over;
        for pair in self.pairs()? {
            let numbers = self.numbers_of(pair, ResourceType::ENCOUNTER)?;
            let (to, source) = self.movers(pair).await?;
            let Some(visit) = self
                .by_number(ResourceType::ENCOUNTER, &numbers, source.as_deref())
                .await?
            else {
                self.note("MRG-5", "no visit of that patient has this number");
                continue;
            };
            let Some(from) = source else { continue };
            self.take_along(&visit, &from, &to).await?;
            // It is no longer looked for: it would be found as that of somebody else.
            let number = Identifier::all(&json_of(&visit));
            let moved = self.item_of(&visit);
            for at in self.of(ResourceType::ENCOUNTER) {
                let own = Identifier::all(&self.items[at].made);
                let is_it = own.iter().any(|own| {
                    number
                        .iter()
                        .any(|one| one.system == own.system && one.value == own.value)
                });
                if is_it && at != moved && !self.items[at].is_settled {
                    self.items[at].same_as = Some(moved);
                    self.items[at].is_settled = true;
                }
            }
        }
        Ok(())
    }

    /// To whom something goes, and from whom.
    async fn movers(&mut self, pair: Pair) -> Result<(String, Option<String>), Lost> {
        let former = self.former(pair)?;
        let source = self.find_patient(&former, "MRG-1").await?;
        let to = self.items[pair.patient].reference();
        if source.is_none() {
            self.note("MRG-1", "no patient has this identifier");
        }
        let source = source.map(|source| format!("Patient/{}", source.id));
        Ok((to.clone(), source.filter(|source| *source != to)))
    }

    /// A visit and all that was done in it get another patient.
    async fn take_along(
        &mut self,
        visit: &crate::engine::Resource,
        from: &str,
        to: &str,
    ) -> Result<(), Lost> {
        let at = self.item_of(visit);
        self.items[at]
            .content
            .refer(&|old| (old == from).then(|| to.to_owned()));
        let found = self.referring(ResourceType::ENCOUNTER, &visit.id).await?;
        for one in found {
            if !matches!(one.kind.name(), "Provenance" | "AuditEvent" | "Patient") {
                let at = self.item_of(&one);
                self.items[at]
                    .content
                    .refer(&|old| (old == from).then(|| to.to_owned()));
            }
        }
        Ok(())
    }

    /// A patient gets other identifiers: the one who had those of MRG has those of PID.
    pub async fn rename_patient(&mut self) -> Result<(), Lost> {
        for pair in self.pairs()? {
            let former = self.former(pair)?;
            let at = pair.patient;
            let found = self.find_patient(&former, "MRG-1").await?;
            match found {
                Some(found) if self.items[at].version == 0 => self.settle(at, &found),
                Some(found) if found.id != self.items[at].id => {
                    let text = format!(
                        "the new identifier is that of another patient, Patient/{}; if the two are \
                         one, send a merge (A40)",
                        self.items[at].id
                    );
                    return Err(content("PID-3", "205", text));
                }
                Some(_) => {}
                None => self.note("MRG-1", "no patient has this identifier"),
            }
            self.note_former(at, &former);
            self.note_current(at);
        }
        Ok(())
    }

    /// Numbers that the message says are in use, whatever they were.
    fn note_current(&mut self, at: usize) {
        let current = Identifier::all(&self.items[at].made);
        let content = &mut self.items[at].content;
        let mut all = content.list("identifier");
        for own in &mut all {
            let is_current = Identifier::of(own).is_some_and(|own| {
                current
                    .iter()
                    .any(|one| one.system == own.system && one.value == own.value)
            });
            if let (true, Some(own)) = (is_current, own.as_object_mut()) {
                own.remove("use");
            }
        }
        content.set("identifier", Json::Array(all));
    }

    /// A visit or an account gets another number.
    pub async fn rename(&mut self, kind: ResourceType) -> Result<(), Lost> {
        // A06 and A07 need no MRG.
        if self.message.first("MRG").is_none() {
            return Ok(());
        }
        for pair in self.pairs()? {
            let Ok(former) = self.numbers_of(pair, kind) else {
                continue;
            };
            let Some(found) = self.by_number(kind, &former, None).await? else {
                self.note("MRG", format!("no {kind} has the former number"));
                continue;
            };
            let Some(at) = self.first(kind) else {
                // The mapping makes none: the number goes to the stored one.
                let at = self.item_of(&found);
                self.note_former(at, &former);
                continue;
            };
            let numbers = super::lookup::numbers(kind, &self.items[at].made);
            match self.by_number(kind, &numbers, None).await? {
                Some(other) if other.id != found.id => {
                    let text = format!("{kind}/{} has the new number already", other.id);
                    self.note("MRG", text);
                }
                _ => self.settle(at, &found),
            }
            if self.items[at].is_settled {
                self.note_former(at, &former);
            }
        }
        Ok(())
    }

    /// Patients that follow each other in a message are linked, or no longer are.
    pub fn link(&mut self, is_linked: bool) {
        let patients = self.of(PATIENT);
        for (number, first) in patients.iter().enumerate() {
            for second in &patients[number + 1..] {
                let (first, second) = (self.root(*first), self.root(*second));
                if first == second {
                    continue;
                }
                for (one, other) in [(first, second), (second, first)] {
                    let reference = self.items[other].reference();
                    let content = &mut self.items[one].content;
                    match is_linked {
                        true => add_link(content, &reference, "seealso"),
                        false => remove_link(content, &reference),
                    }
                }
            }
        }
    }

    /// What a field of a segment is mapped to, by the tables of the channel.
    pub fn map_field(&self, kind: (&str, &str), name: &str, field: usize, raw: &str) -> Vec<Item> {
        if raw.is_empty() {
            return Vec::new();
        }
        let delimiter = char::from(self.message.delimiters().field);
        let between: String = std::iter::repeat_n(delimiter, field).collect();
        self.map_segments(kind, &format!("{name}{between}{raw}"))
    }

    /// A place of type PL, and those that it is in, become items; where the innermost is.
    pub fn map_place(&mut self, raw: &str) -> Option<usize> {
        let delimiter = char::from(self.message.delimiters().field);
        let visit = format!("PV1{delimiter}1{delimiter}I{delimiter}{raw}");
        let mut items = self.map_segments(("ADT", "A08"), &visit);
        let at = items
            .iter()
            .position(|item| item.kind == ResourceType::ENCOUNTER)?;
        let bed = items[at]
            .made
            .pointer("/location/0/location/reference")?
            .as_str()?;
        let bed: usize = bed.strip_prefix('#')?.parse().ok()?;
        for item in &mut items {
            item.is_left_out |= item.kind != ResourceType::LOCATION;
        }
        Some(self.adopt(items) + bed)
    }

    /// What segments are mapped to that stand in a message of this sender.
    pub fn map_segments(&self, (code, event): (&str, &str), segments: &str) -> Vec<Item> {
        let msh = self.message.msh();
        let delimiter = char::from(self.message.delimiters().field);
        let component = char::from(self.message.delimiters().component);
        let mut fields: Vec<&str> = vec![""; 18];
        for (number, field) in fields.iter_mut().enumerate() {
            if matches!(number + 1, 3..=7 | 11 | 12) {
                *field = msh.field(number + 1).raw();
            }
        }
        let kind = format!("{code}{component}{event}");
        fields[8] = &kind;
        fields[9] = "1";
        fields[17] = "UNICODE UTF-8";
        let text = format!(
            "MSH{delimiter}{}{delimiter}{}\r{segments}\r",
            msh.field(2).raw(),
            fields[2..].join(&delimiter.to_string()),
        );
        let reading = mllp::message::Reading::default();
        match Message::parse(text.into(), &reading) {
            Ok(message) => {
                let mapped = self.applier.map(&message, self.context);
                let made = mapped.resources.iter();
                made.map(|made| Item::of(made, &message)).collect()
            }
            Err(_) => Vec::new(),
        }
    }
}

/// MSH of a message whose text is decoded.
pub fn decoded_head(message: &Message) -> String {
    let field = char::from(message.delimiters().field);
    let mut fields: Vec<&str> = message.msh().raw().split(field).collect();
    fields.resize(fields.len().max(18), "");
    fields[17] = "UNICODE UTF-8";
    fields.join(&field.to_string())
}

fn old_identifier(one: &Identifier) -> Json {
    let mut json = plain_identifier(one);
    json["use"] = json!("old");
    json
}

fn plain_identifier(one: &Identifier) -> Json {
    let mut json = json!({"value": one.value});
    if !one.system.is_empty() {
        json["system"] = json!(one.system);
    }
    if !one.kind.is_empty() {
        json["type"] = json!({"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
            "code": one.kind,
        }]});
    }
    json
}

fn add_link(content: &mut super::content::Content, reference: &str, kind: &str) {
    let link = json!({"other": {"reference": reference}, "type": kind});
    let mut links = content.list("link");
    if !links.contains(&link) {
        links.push(link);
        content.set("link", Json::Array(links));
    }
}

fn remove_link(content: &mut super::content::Content, reference: &str) {
    let mut links = content.list("link");
    links.retain(|link| {
        let other = link.pointer("/other/reference").and_then(Json::as_str);
        other != Some(reference)
    });
    content.set("link", Json::Array(links));
}
