//! Which resources a message is about, type by type: those that others refer to come first.

use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Lost,
    identity::{Identifier, is_registry, json_of, ranked},
    snapshot::Mode,
    work::{Work, content, kind_of},
};

/// Types with a number that is of one patient: it must not be another's.
const NUMBERED: &[&str] = &[
    "Account",
    "ServiceRequest",
    "MedicationRequest",
    "DiagnosticReport",
    "Immunization",
    "DocumentReference",
];

/// What is looked for among those of its patient, and what makes two the same.
const CHILDREN: &[(&str, &[&str])] = &[
    ("Account", &["name"]),
    ("AllergyIntolerance", &["code"]),
    ("Basic", &["code"]),
    ("CareTeam", &["category", "encounter"]),
    (
        "ChargeItem",
        &["code", "context", "occurrenceDateTime", "occurrencePeriod"],
    ),
    ("Condition", &["code", "encounter"]),
    ("Coverage", &["payor", "class", "subscriberId"]),
    (
        "DiagnosticReport",
        &["code", "effectiveDateTime", "basedOn"],
    ),
    ("DocumentReference", &["type", "date", "context"]),
    ("EpisodeOfCare", &["type"]),
    ("Flag", &["code"]),
    ("Immunization", &["vaccineCode", "occurrenceDateTime"]),
    (
        "MedicationAdministration",
        &[
            "medicationCodeableConcept",
            "effectiveDateTime",
            "effectivePeriod",
        ],
    ),
    (
        "MedicationDispense",
        &[
            "medicationCodeableConcept",
            "whenHandedOver",
            "whenPrepared",
            "identifier",
        ],
    ),
    (
        "MedicationRequest",
        &["medicationCodeableConcept", "authoredOn"],
    ),
    (
        "Observation",
        &["code", "encounter", "effectiveDateTime", "partOf"],
    ),
    (
        "Procedure",
        &["code", "encounter", "performedDateTime", "performedPeriod"],
    ),
    ("RelatedPerson", &["relationship", "name"]),
    (
        "ServiceRequest",
        &["code", "authoredOn", "occurrenceDateTime"],
    ),
    ("Specimen", &["type", "collection"]),
];

/// Statuses of a visit that is not over.
pub const OPEN: &[&str] = &["planned", "arrived", "triaged", "in-progress", "onleave"];

impl Work<'_> {
    /// Finds out, for all that the message makes, which resource it is.
    pub async fn look_up(&mut self) -> Result<(), Lost> {
        self.look_up_patients().await?;
        self.identify_registry().await?;
        for kind in [kind_of("Account"), ResourceType::ENCOUNTER] {
            for at in self.of(kind) {
                match kind {
                    ResourceType::ENCOUNTER => self.identify_visit(at).await?,
                    _ => self.identify(at).await?,
                }
            }
        }
        self.identify_results().await?;
        // Numbered ones first: others are told apart by them.
        for numbered in [true, false] {
            for at in 0..self.items.len() {
                let item = &self.items[at];
                let is_numbered = NUMBERED.contains(&item.kind.name());
                if !item.is_left_out && !item.is_settled && is_numbered == numbered {
                    self.identify(at).await?;
                }
            }
        }
        Ok(())
    }

    /// Finds the patients.
    pub async fn look_up_patients(&mut self) -> Result<(), Lost> {
        for at in self.of(ResourceType::PATIENT) {
            if self.items[at].is_settled {
                continue;
            }
            let wanted = ranked(&self.items[at].made);
            if wanted.is_empty() {
                let text = "the patient has no identifier, so it cannot be said who it is";
                return Err(content("PID-3", "101", text));
            }
            let twin = self.of(ResourceType::PATIENT).into_iter().find(|other| {
                let other = &self.items[*other];
                other.is_settled && other.same_as.is_none() && other.value == wanted[0].token()
            });
            if let Some(twin) = twin {
                self.items[at].same_as = Some(twin);
                self.items[at].is_settled = true;
                continue;
            }
            let found = self.find_patient(&wanted, "PID-3").await?;
            let id = self.engine.fresh_id();
            self.items[at].value = wanted[0].token();
            match found {
                Some(found) => self.settle(at, &found),
                None => {
                    let guard = vec![("identifier".to_owned(), wanted[0].token())];
                    self.items[at].make(id, Some(guard));
                }
            }
        }
        Ok(())
    }

    /// Whose an item is: the place of the patient.
    pub fn owner(&self, at: usize) -> Option<usize> {
        let made = &self.items[at].made;
        for name in ["subject", "patient", "beneficiary"] {
            let member = match made.get(name) {
                Some(Json::Array(items)) => items.first(),
                other => other,
            };
            if let Some(owner) = member.and_then(|member| self.named(member))
                && self.items[owner].kind == ResourceType::PATIENT
            {
                return Some(self.root(owner));
            }
        }
        let patient = self.first(ResourceType::PATIENT)?;
        Some(self.root(patient))
    }

    async fn identify(&mut self, at: usize) -> Result<(), Lost> {
        let item = &self.items[at];
        if item.is_settled || is_registry(item.kind) {
            return Ok(());
        }
        let kind = item.kind;
        let owner = self.owner(at);
        let wanted = match kind.name() {
            // The number is that of the prescription, of which there may be several.
            "MedicationDispense" | "MedicationAdministration" => Vec::new(),
            _ => numbers(kind, &item.made),
        };
        let is_numbered = NUMBERED.contains(&kind.name());
        if !wanted.is_empty() && (is_numbered || kind == ResourceType::APPOINTMENT) {
            // An account may be that of several.
            let patient = owner
                .filter(|_| is_numbered && kind.name() != "Account")
                .map(|owner| self.items[owner].reference());
            return self
                .identify_by_number(at, &wanted, patient.as_deref())
                .await;
        }
        if !wanted.is_empty() {
            return self.identify_of_patient(at, &wanted, owner).await;
        }
        let members = CHILDREN.iter().find(|(name, _)| *name == kind.name());
        match members {
            Some((_, members)) => self.identify_child(at, "patient", owner, members).await,
            None => {
                let id = self.engine.fresh_id();
                self.items[at].make(id, None);
                Ok(())
            }
        }
    }

    /// Finds what has a number that others may have, too, among those of its patient.
    async fn identify_of_patient(
        &mut self,
        at: usize,
        wanted: &[Identifier],
        owner: Option<usize>,
    ) -> Result<(), Lost> {
        let kind = self.items[at].kind;
        let owner = owner.map(|owner| &self.items[owner]);
        let tokens: Vec<String> = wanted.iter().map(Identifier::token).collect();
        let tokens = tokens.join(",");
        let id = self.engine.fresh_id();
        let twin = (0..at).find(|other| {
            let other = &self.items[*other];
            other.kind == kind && other.is_settled && other.token == tokens
        });
        if let Some(twin) = twin {
            self.items[at].same_as = Some(self.root(twin));
            self.items[at].is_settled = true;
            return Ok(());
        }
        let patient = owner
            .filter(|owner| owner.version > 0)
            .map(|owner| owner.reference());
        let mut params = vec![("identifier", tokens.as_str())];
        let is_new_patient = owner.is_some() && patient.is_none();
        params.extend(patient.as_deref().map(|patient| ("patient", patient)));
        let found = match is_new_patient {
            true => None,
            false => self.matching(kind, &params, 1).await?.into_iter().next(),
        };
        let guard = params.iter();
        let guard = guard.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let guard: Vec<(String, String)> = guard.collect();
        self.items[at].token.clone_from(&tokens);
        match found {
            Some(found) => self.settle(at, &found),
            None if is_new_patient => self.items[at].make(id, None),
            None => self.items[at].make(id, Some(guard)),
        }
        Ok(())
    }

    /// Finds the visit: by its number; without one by the account, by when it began, or as the one
    /// that is open.
    async fn identify_visit(&mut self, at: usize) -> Result<(), Lost> {
        if self.items[at].is_settled {
            return Ok(());
        }
        self.complete_visit(at);
        let owner = self.owner(at);
        let wanted = numbers(ResourceType::ENCOUNTER, &self.items[at].made);
        let patient = owner.map(|owner| self.items[owner].reference());
        if !wanted.is_empty() {
            return self
                .identify_by_number(at, &wanted, patient.as_deref())
                .await;
        }
        let id = self.engine.fresh_id();
        let is_known = owner.is_some_and(|owner| self.items[owner].version > 0);
        let (Some(patient), true) = (patient, is_known) else {
            self.items[at].make(id, None);
            return Ok(());
        };
        let found = self
            .matching(ResourceType::ENCOUNTER, &[("subject", &patient)], 200)
            .await?;
        let start = self.items[at].made.pointer("/period/start").cloned();
        let by_start = found.iter().find(|one| {
            let own = json_of(one);
            start.is_some() && own.pointer("/period/start") == start.as_ref()
        });
        let mut open = found.iter().filter(|one| {
            let own = json_of(one);
            let status = own.get("status").and_then(Json::as_str).unwrap_or_default();
            OPEN.contains(&status) && own.get("identifier").is_none()
        });
        let by_state = match (open.next(), open.next()) {
            (Some(one), None) if start.is_none() => Some(one),
            _ => None,
        };
        match by_start.or(by_state).cloned() {
            Some(found) => self.settle(at, &found),
            None => self.items[at].make(id, None),
        }
        Ok(())
    }

    /// Gives a visit what it must have.
    fn complete_visit(&mut self, at: usize) {
        let owner = self.owner(at);
        let subject = owner.map(|owner| format!("#{owner}"));
        let made = &mut self.items[at].made;
        if made.get("subject").is_none()
            && let Some(subject) = subject
        {
            made["subject"] = json!({"reference": subject});
        }
    }

    /// How far the message may change what it is not about: a laboratory's system does not know
    /// best where a patient lives.
    pub fn only_fill(&mut self, kinds: &[&str]) {
        for item in &mut self.items {
            if kinds.contains(&item.kind.name()) {
                item.mode = Mode::Fill;
            }
        }
    }
}

/// The numbers of a resource, those of whom it is made by first: a visit's before its account's, a
/// filler's appointment and report, a placer's order.
pub fn numbers(kind: ResourceType, made: &Json) -> Vec<Identifier> {
    let first = match kind.name() {
        "Encounter" => "VN",
        "Appointment" | "DiagnosticReport" | "Immunization" => "FILL",
        _ => "PLAC",
    };
    let mut all = Identifier::all(made);
    all.retain(|one| !one.is_old);
    match kind.name() {
        "Encounter" => all.retain(|one| one.kind != "AN"),
        // The number of a schedule is that of all appointments in it.
        "Appointment"
            if all
                .iter()
                .any(|one| matches!(one.kind.as_str(), "PLAC" | "FILL")) =>
        {
            all.retain(|one| matches!(one.kind.as_str(), "PLAC" | "FILL"));
        }
        // One number groups several orders.
        "ServiceRequest" => all.retain(|one| one.kind != "PGN"),
        _ => {}
    }
    all.sort_by_key(|one| u8::from(one.kind != first));
    all
}
