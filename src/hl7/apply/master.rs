//! MFN: staff, places and other master files. Here what is otherwise only named is changed.

use serde_json::json;

use super::{
    Lost,
    identity::is_registry,
    snapshot::Mode,
    work::{Work, content},
};

/// What MFE-1 does (table 0180): whether what it is about is in use from then on.
const ACTIONS: &[(&str, bool)] = &[
    ("MAD", true),
    ("MUP", true),
    ("MAC", true),
    ("MDC", false),
    ("MDL", false),
];

impl Work<'_> {
    /// MFN.
    pub async fn master_files(&mut self) -> Result<(), Lost> {
        for item in &mut self.items {
            if is_registry(item.kind) {
                item.mode = Mode::Update;
            }
        }
        let entries: Vec<(usize, String)> = self
            .message
            .segments()
            .filter(|segment| segment.name() == "MFE")
            .map(|segment| {
                (
                    segment.at(),
                    segment.field(1).text().trim().to_ascii_uppercase(),
                )
            })
            .collect();
        if entries.is_empty() {
            return Err(content(
                "MFE",
                "100",
                "the segment that says what to do is missing",
            ));
        }
        self.look_up().await?;
        self.lay_all();
        for (number, (start, action)) in entries.iter().enumerate() {
            let Some((_, is_active)) = ACTIONS.iter().find(|(own, _)| own == action) else {
                let place = format!("MFE[{}]-1", number + 1);
                let text = format!("{action} is no action of a master file");
                return Err(content(&place, "103", text));
            };
            let end = entries.get(number + 1).map_or(usize::MAX, |(at, _)| *at);
            for at in 0..self.items.len() {
                let is_of = self.items[at]
                    .segment
                    .is_some_and(|at| (*start..end).contains(&at));
                // The first of an entry is what it is about; the others are what that names.
                if !is_of || self.items[at].is_left_out {
                    continue;
                }
                let root = self.root(at);
                let item = &mut self.items[root];
                match item.kind.name() {
                    "Practitioner" | "PractitionerRole" | "HealthcareService"
                        if !is_active || item.content.has("active") =>
                    {
                        item.content.set("active", json!(is_active));
                    }
                    "Location" if !is_active => {
                        let is_within = item.content.has("partOf") || entries.len() == 1;
                        if is_within {
                            item.content.set("status", json!("inactive"));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
