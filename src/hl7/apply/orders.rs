//! Orders: what each control code does, and what answers it. The placer speaks for what has its
//! number, the filler for what has the filler's.

use bytes::Bytes;
use jiff::Timestamp;
use mllp::ack::{self, Answer, Code, Problem};
use resources::model::ResourceType;
use serde_json::{Value as Json, json};

use super::{
    Lost,
    identity::Identifier,
    snapshot::Mode,
    work::{Work, content},
};

/// Who sends a control code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Placer,
    Filler,
}

/// What a control code does to the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is there, and active.
    Begins,
    /// It is changed.
    Changes,
    /// It gets this status.
    Becomes(&'static str),
    /// Its status is that of ORC-5.
    Told,
    /// It gets a number.
    Numbers,
    /// It has a parent: the order with PA before it.
    Child,
    /// Nothing; it is noted.
    Nothing(&'static str),
}

use Effect::{Becomes, Begins, Changes, Child, Nothing, Numbers, Told};
use Side::{Filler, Placer};

/// A control code: who sends it, what it does, and what answers if it can be done, and if not.
struct Control(&'static str, Side, Effect, &'static str, &'static str);

/// Table 0119.
const CONTROLS: &[Control] = &[
    Control("NW", Placer, Begins, "OK", "UA"),
    Control("CA", Placer, Becomes("revoked"), "CR", "UC"),
    Control("DC", Placer, Becomes("revoked"), "DR", "UD"),
    Control("XO", Placer, Changes, "XR", "UX"),
    Control("HD", Placer, Becomes("on-hold"), "HR", "UH"),
    Control("RL", Placer, Becomes("active"), "OR", "UR"),
    Control("RP", Placer, Becomes("revoked"), "RQ", "UM"),
    Control("RO", Placer, Begins, "OK", "UA"),
    Control("RF", Placer, Changes, "FL", "UF"),
    Control("SN", Filler, Numbers, "NA", ""),
    Control("NA", Placer, Numbers, "", ""),
    Control("OK", Filler, Begins, "", ""),
    Control("AF", Placer, Changes, "", ""),
    Control("DF", Placer, Nothing("the refill was refused"), "", ""),
    Control("UA", Filler, Becomes("revoked"), "", ""),
    Control("OC", Filler, Becomes("revoked"), "", ""),
    Control("CR", Filler, Becomes("revoked"), "", ""),
    Control("OD", Filler, Becomes("revoked"), "", ""),
    Control("DR", Filler, Becomes("revoked"), "", ""),
    Control("OH", Filler, Becomes("on-hold"), "", ""),
    Control("HR", Filler, Becomes("on-hold"), "", ""),
    Control("OE", Filler, Becomes("active"), "", ""),
    Control("OR", Filler, Becomes("active"), "", ""),
    Control("XX", Filler, Changes, "", ""),
    Control("XR", Filler, Changes, "", ""),
    Control("RQ", Filler, Becomes("revoked"), "", ""),
    Control("RU", Filler, Becomes("revoked"), "", ""),
    Control("SC", Filler, Told, "", ""),
    Control("SR", Filler, Told, "", ""),
    Control("RE", Filler, Told, "", ""),
    Control("PA", Filler, Changes, "", ""),
    Control("CH", Filler, Child, "", ""),
    Control("PR", Filler, Changes, "", ""),
    Control(
        "UC",
        Filler,
        Nothing("the filler could not cancel the order"),
        "",
        "",
    ),
    Control(
        "UD",
        Filler,
        Nothing("the filler could not discontinue the order"),
        "",
        "",
    ),
    Control(
        "UH",
        Filler,
        Nothing("the filler could not put the order on hold"),
        "",
        "",
    ),
    Control(
        "UR",
        Filler,
        Nothing("the filler could not release the order"),
        "",
        "",
    ),
    Control(
        "UX",
        Filler,
        Nothing("the filler could not change the order"),
        "",
        "",
    ),
    Control(
        "UM",
        Filler,
        Nothing("the filler could not replace the order"),
        "",
        "",
    ),
    Control(
        "UN",
        Filler,
        Nothing("the order is no longer linked"),
        "",
        "",
    ),
    Control("LI", Filler, Nothing("the order is linked"), "", ""),
    Control(
        "DE",
        Filler,
        Nothing("the filler found an error in the order"),
        "",
        "",
    ),
    Control(
        "SS",
        Placer,
        Nothing("the status of the order is asked for"),
        "SR",
        "",
    ),
];

/// Statuses in which nothing is done any more.
const OVER: &[&str] = &[
    "completed",
    "revoked",
    "cancelled",
    "stopped",
    "entered-in-error",
];

/// What became of one ORC.
struct Settled {
    segment: usize,
    control: String,
    placer: String,
    filler: String,
}

impl Work<'_> {
    /// ORM, OML, OMG, OMP, RDE, RDS, RAS and their like.
    pub async fn orders(&mut self) -> Result<(), Lost> {
        self.only_fill(&["Patient", "Encounter", "Account", "Coverage"]);
        self.join_orders();
        self.look_up().await?;
        let groups = self.groups();
        let mut settled = Vec::new();
        let mut parent: Option<String> = None;
        let mut has_answer = false;
        let mut problems = Vec::new();
        for (orc, items) in groups {
            let Some(segment) = self.message.segment(orc) else {
                continue;
            };
            let code = segment.field(1).text().trim().to_ascii_uppercase();
            let known = CONTROLS.iter().find(|control| control.0 == code);
            if known.is_none() && !code.is_empty() {
                self.note(
                    "ORC-1",
                    format!("the control code {code} is not known; the order is stored as it is"),
                );
            }
            let effect = known.map_or(Changes, |control| control.2);
            let side = known.map_or(Placer, |control| control.1);
            let status = segment.field(5).text().trim().to_ascii_uppercase();
            let orders: Vec<usize> = items
                .iter()
                .copied()
                .filter(|at| is_order(self.items[*at].kind))
                .collect();
            let mut is_able = true;
            for at in &orders {
                self.check_owner(*at, side)?;
                is_able &= self.control(*at, effect, &status, &code);
            }
            match effect {
                Child => {
                    for at in &orders {
                        let made = &mut self.items[*at].made;
                        if let Some(parent) = &parent
                            && made.get("basedOn").is_none()
                        {
                            made["basedOn"] = json!([{"reference": parent}]);
                        }
                    }
                }
                Nothing(text) => self.note("ORC-1", text),
                _ => {}
            }
            if code == "PA" {
                parent = orders
                    .first()
                    .map(|at| self.items[self.root(*at)].reference());
            }
            if !is_able {
                let text = format!("{code} cannot be done: there is no such order, or it is over");
                problems.push(Problem::warning("ORC-2", "204", text.clone()));
                self.note("ORC-2", text);
                for at in &items {
                    self.items[*at].is_left_out |= self.items[*at].version == 0;
                }
            }
            let answer = known.map_or("", |control| if is_able { control.3 } else { control.4 });
            has_answer |= !answer.is_empty();
            let mut placer = segment.field(2).raw().to_owned();
            if code == "SN" {
                placer = self.number_order(&orders, &placer);
            }
            settled.push(Settled {
                segment: orc,
                control: if answer.is_empty() {
                    "OK".to_owned()
                } else {
                    answer.to_owned()
                },
                placer,
                filler: segment.field(3).raw().to_owned(),
            });
        }
        self.lay_all();
        if has_answer {
            self.answer = self.order_answer(&settled, &problems);
        }
        Ok(())
    }

    /// ORC and the segment behind it (OBR, RXO) are about one order: what comes of the second is
    /// joined to what comes of the first.
    fn join_orders(&mut self) {
        for (_, items) in self.groups() {
            let requests: Vec<usize> = items
                .into_iter()
                .filter(|at| self.items[*at].kind.name() == "ServiceRequest")
                .collect();
            let Some((first, others)) = requests.split_first() else {
                continue;
            };
            for at in others {
                let own = Identifier::all(&self.items[*at].made);
                let known = Identifier::all(&self.items[*first].made);
                let is_other = own.iter().any(|one| {
                    known
                        .iter()
                        .any(|other| other.kind == one.kind && other.value != one.value)
                });
                if is_other {
                    continue;
                }
                let made = self.items[*at].made.take();
                let into = &mut self.items[*first].made;
                if let (Json::Object(made), Some(into)) = (made, into.as_object_mut()) {
                    for (name, value) in made {
                        if name != "status" && !into.contains_key(&name) {
                            into.insert(name, value);
                        }
                    }
                }
                self.items[*at].same_as = Some(*first);
                self.items[*at].is_settled = true;
            }
        }
    }

    /// The segments ORC, each with the items that come of it and of what follows it.
    fn groups(&self) -> Vec<(usize, Vec<usize>)> {
        let mut groups: Vec<(usize, Vec<usize>)> = Vec::new();
        for segment in self.message.segments() {
            if segment.name() == "ORC" {
                groups.push((segment.at(), Vec::new()));
            }
        }
        let starts: Vec<usize> = groups.iter().map(|(at, _)| *at).collect();
        for at in 0..self.items.len() {
            let Some(segment) = self.items[at].segment else {
                continue;
            };
            let group = starts.iter().rposition(|start| *start <= segment);
            let is_about = !super::identity::is_registry(self.items[at].kind)
                && !matches!(self.items[at].kind.name(), "Patient" | "Encounter");
            if let (Some(group), true) = (group, is_about) {
                groups[group].1.push(at);
            }
        }
        groups
    }

    /// Does to an order what the code says; false if that cannot be done.
    fn control(&mut self, at: usize, effect: Effect, orc5: &str, code: &str) -> bool {
        let root = self.root(at);
        let kind = self.items[root].kind;
        let stored = self.items[root].content.text("status").unwrap_or_default();
        let is_new = self.items[root].version == 0;
        let is_over = !is_new && OVER.contains(&stored.as_str());
        let is_request = matches!(kind.name(), "ServiceRequest" | "MedicationRequest");
        if !is_request {
            return true;
        }
        let Some(made) = self.items[at].made.as_object_mut() else {
            return true;
        };
        let told = told(kind, orc5);
        let made_status = made.remove("status");
        let status = match effect {
            Begins if is_over => None,
            Begins => Some(told.unwrap_or("active").to_owned()),
            Becomes(status) => {
                let status = match (code, of_kind(kind, status)) {
                    // What has not begun is cancelled, what has is stopped.
                    ("CA" | "CR" | "OC" | "UA", "stopped") => "cancelled".to_owned(),
                    (_, status) => status.to_owned(),
                };
                let is_request_to_change = matches!(code, "CA" | "DC" | "HD" | "RL" | "RP");
                if is_request_to_change && (is_new && code != "RP" || is_over && stored != status) {
                    return false;
                }
                Some(status)
            }
            Changes if code == "XO" && (is_new || is_over) => return false,
            Told => told.map(str::to_owned),
            _ => None,
        };
        // A new order must have one.
        let status = status.or_else(|| {
            let made = made_status.and_then(|status| status.as_str().map(str::to_owned));
            is_new.then(|| made.unwrap_or_else(|| "active".to_owned()))
        });
        if let Some(status) = status {
            made.insert("status".to_owned(), json!(status));
        }
        if matches!(effect, Nothing(_)) && !is_new {
            self.items[at].mode = Mode::Fill;
        }
        true
    }

    /// Refuses to give an order another number of the other side: who has made a number changes it.
    fn check_owner(&self, at: usize, side: Side) -> Result<(), Lost> {
        let root = self.root(at);
        if self.items[root].version == 0 {
            return Ok(());
        }
        let (foreign, place) = match side {
            Side::Placer => ("FILL", "ORC-3"),
            Side::Filler => ("PLAC", "ORC-2"),
        };
        let of = |all: Vec<Identifier>| {
            let mut all = all
                .into_iter()
                .filter(|one| one.kind == foreign && !one.is_old);
            all.next()
        };
        let stored = of(Identifier::all(&self.items[root].content.json()));
        let told = of(Identifier::all(&self.items[at].made));
        if let (Some(stored), Some(told)) = (stored, told)
            && stored.value != told.value
        {
            let text = format!(
                "the order has the number {} there, and only who has given it may change it to {}",
                stored.value, told.value
            );
            return Err(content(place, "204", text));
        }
        Ok(())
    }

    /// SN: the filler asks for a placer's number; gives one if the order has none.
    fn number_order(&mut self, orders: &[usize], placer: &str) -> String {
        if !placer.is_empty() {
            return placer.to_owned();
        }
        let Some(at) = orders.first() else {
            return String::new();
        };
        let number = self.items[self.root(*at)].id.clone();
        let identifier = json!({
            "system": "urn:rotunda:order",
            "value": number,
            "type": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0203",
                "code": "PLAC",
            }]},
        });
        let made = &mut self.items[*at].made;
        match made.get_mut("identifier") {
            Some(Json::Array(all)) => all.push(identifier),
            _ => made["identifier"] = json!([identifier]),
        }
        number
    }

    /// ORR and its kin: each order with what became of it.
    fn order_answer(&self, settled: &[Settled], problems: &[Problem]) -> Option<Bytes> {
        let (code, event) = match (self.header.code.as_str(), self.header.event.as_str()) {
            ("ORM", _) => ("ORR", "O02"),
            ("OML", "O21") => ("ORL", "O22"),
            ("OML", "O33") => ("ORL", "O34"),
            ("OML", "O35") => ("ORL", "O36"),
            ("OMG", _) => ("ORG", "O20"),
            ("OMP", _) => ("ORP", "O10"),
            ("RDE", "O11") => ("RRE", "O12"),
            ("RDE", "O01") => ("RRE", "O02"),
            ("RDS", _) => ("RRD", "O14"),
            _ => return None,
        };
        let structure = format!("{code}_{event}");
        let mut writer = self.reply(&[code, event, &structure], Code::AA, problems);
        for one in settled {
            let mut orc = writer.segment("ORC");
            orc.text(1, &one.control)
                .raw(2, &one.placer)
                .raw(3, &one.filler);
            let segment = self.message.segment(one.segment);
            if let Some(group) = segment.map(|segment| segment.field(4).raw()) {
                orc.raw(4, group);
            }
        }
        Some(writer.finish())
    }

    /// The beginning of an answer with content.
    pub fn reply(&self, kind: &[&str], code: Code, problems: &[Problem]) -> mllp::write::Writer {
        let id = self.context.id.to_string().replace('-', "");
        let now = Timestamp::from_millisecond(self.engine.now()).unwrap_or_default();
        let now = now.to_zoned_datetime(self.context.channel.zone.clone());
        let answer = Answer {
            code,
            problems,
            // MSH-10 has 20 characters in older versions.
            control_id: &id[id.len().saturating_sub(20)..],
            time: &now.strftime("%Y%m%d%H%M%S%z").to_string(),
            expected_sequence: None,
        };
        ack::reply(self.message, &answer, kind)
    }
}

fn is_order(kind: ResourceType) -> bool {
    matches!(
        kind.name(),
        "ServiceRequest" | "MedicationRequest" | "MedicationDispense" | "MedicationAdministration"
    )
}

/// The status that ORC-5 says (table 0038).
fn told(kind: ResourceType, orc5: &str) -> Option<&'static str> {
    let status = match orc5 {
        "A" | "IP" | "SC" => "active",
        "CM" => "completed",
        "CA" | "DC" | "RP" => "revoked",
        "HD" => "on-hold",
        "ER" => "entered-in-error",
        _ => return None,
    };
    Some(of_kind(kind, status))
}

/// The same status as the type of resource calls it.
fn of_kind(kind: ResourceType, status: &'static str) -> &'static str {
    match (kind.name(), status) {
        ("MedicationRequest", "revoked") => "stopped",
        _ => status,
    }
}
