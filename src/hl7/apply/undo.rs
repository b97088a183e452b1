//! What a message did is taken back: a merge that was none.

use resources::{Doc, model::ResourceType};
use serde_json::{Value as Json, json};

use super::{
    Applier, Failure, Lost, VersionRef,
    content::Content,
    identity::content_of,
    snapshot::list,
    work::{ALL, MESSAGE},
};
use crate::{
    access::Booking,
    engine::{BundleOptions, MessageId, Return},
};
use mllp::ack::Problem;

impl Applier {
    /// Takes back what a message did, in one transaction: each resource that it changed is again
    /// as before, but for what has changed since. What it has made stays.
    ///
    /// # Errors
    /// The message is not known or did nothing; somebody changes the same resources.
    pub async fn undo(&self, id: MessageId) -> Result<Vec<VersionRef>, Failure> {
        let mut why = String::new();
        for _ in 0..super::ATTEMPTS {
            match self.try_to_undo(id).await {
                Ok(undone) => return Ok(undone),
                Err(Lost::Again(text)) => why = text,
                Err(Lost::Taken(error)) => return Err(super::failure(&error)),
                Err(Lost::Failed(failure)) => return Err(failure),
            }
        }
        Err(Failure::Later(why))
    }

    async fn try_to_undo(&self, id: MessageId) -> Result<Vec<VersionRef>, Lost> {
        let stored = self.engine.message(id).await?;
        let made = stored.map(|stored| stored.outcome.made).unwrap_or_default();
        let changed: Vec<VersionRef> = made
            .into_iter()
            .filter(|one| one.version > 1 && one.kind.name() != "Provenance")
            .collect();
        if changed.is_empty() {
            let text = "the message has changed nothing that can be as it was before";
            let problem = Problem::error("", "204", text);
            return Err(Lost::Failed(Failure::Content(vec![problem])));
        }
        let keys: Vec<(ResourceType, &str)> = changed
            .iter()
            .map(|one| (one.kind, one.id.as_str()))
            .collect();
        let newest = self.engine.newest_of(&keys, &ALL).await?;
        let source = format!("urn:rotunda:hl7:undo#{id}");
        let mut entries = Vec::new();
        let mut undone = Vec::new();
        for (one, newest) in changed.iter().zip(newest) {
            // What was deleted since stays so.
            let Some(newest) = newest else { continue };
            let before = self
                .engine
                .vread(one.kind, &one.id, one.version - 1, &ALL)
                .await?;
            let after = self
                .engine
                .vread(one.kind, &one.id, one.version, &ALL)
                .await?;
            let mut content = content_of(&newest);
            undo(&mut content, &content_of(&before), &content_of(&after));
            if !content.is_changed() {
                continue;
            }
            entries.push(format!(
                r#"{{"resource":{},"request":{{"method":"PUT","url":"{}/{}","ifMatch":"W/\"{}\""}}}}"#,
                content.write(&one.id, &source),
                one.kind,
                one.id,
                newest.version
            ));
            undone.push(VersionRef {
                version: newest.version + 1,
                ..one.clone()
            });
        }
        if undone.is_empty() {
            return Ok(undone);
        }
        let provenance = self.undo_provenance(id, &undone, &source);
        entries.push(provenance.0);
        let bundle = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
            entries.join(",")
        );
        let doc = Doc::parse_within(bundle, &self.engine.settings().limits.bundle_bounds());
        let doc = doc.map_err(|error| Lost::Failed(Failure::Later(error.to_string())))?;
        let options = BundleOptions {
            prefer: Return::Minimal,
            strict: true,
        };
        let access = ALL.clone().of_facts(Booking::Over);
        self.engine.bundle(doc, &options, &access).await?;
        undone.push(provenance.1);
        Ok(undone)
    }

    fn undo_provenance(
        &self,
        message: MessageId,
        undone: &[VersionRef],
        source: &str,
    ) -> (String, VersionRef) {
        let id = self.engine.fresh_id();
        let targets = undone.iter().map(
            |one| json!({"reference": format!("{}/{}/_history/{}", one.kind, one.id, one.version)}),
        );
        let targets: Vec<Json> = targets.collect();
        let provenance = json!({
            "resourceType": "Provenance",
            "id": id,
            "meta": {"source": source},
            "target": targets,
            "recorded": resources::primitive::format_instant(self.engine.now()),
            "activity": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation",
                "code": "UPDATE",
            }], "text": "undo"},
            "agent": [{"who": {"display": "Rotunda"}}],
            "entity": [{
                "role": "revision",
                "what": {"identifier": {"system": MESSAGE, "value": message.to_string()}},
            }],
        });
        let entry = format!(
            r#"{{"resource":{provenance},"request":{{"method":"PUT","url":"Provenance/{id}","ifNoneMatch":"*"}}}}"#
        );
        let version = VersionRef {
            kind: super::work::kind_of("Provenance"),
            id,
            version: 1,
        };
        (entry, version)
    }
}

/// Takes back in `content` what changed from `before` to `after`: members that nobody has touched
/// since are as before; of lists what was added goes and what was taken away is there again.
fn undo(content: &mut Content, before: &Content, after: &Content) {
    let mut names: Vec<String> = before.names().map(str::to_owned).collect();
    names.extend(
        after
            .names()
            .filter(|name| !before.has(name))
            .map(str::to_owned),
    );
    for name in names {
        if matches!(name.as_str(), "resourceType" | "id" | "meta") {
            continue;
        }
        let (old, new, now) = (before.get(&name), after.get(&name), content.get(&name));
        if old == new {
            continue;
        }
        if now == new {
            content.take(&name, before);
            continue;
        }
        let is_list = |json: &Option<Json>| json.as_ref().is_none_or(Json::is_array);
        if is_list(&old) && is_list(&new) && is_list(&now) {
            let (old, new) = (
                list(&old.unwrap_or_default()),
                list(&new.unwrap_or_default()),
            );
            let mut all = content.list(&name);
            all.retain(|one| old.contains(one) || !new.contains(one));
            for one in old.into_iter().filter(|one| !new.contains(one)) {
                if !all.contains(&one) {
                    all.push(one);
                }
            }
            content.set(&name, Json::Array(all));
        }
    }
}
