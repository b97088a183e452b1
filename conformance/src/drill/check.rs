//! Afterwards: is everything there, whole, and once?

use serde_json::Value;

use super::writer::{Doubt, OBSERVATIONS, Owned, Writer};
use crate::client::{Base, Connection, entries};

/// Of what was checked before, so many are checked again.
const AGAIN: usize = 10;

/// Of all that a writer owns, for so many the audit is looked through.
const AUDITED: usize = 8;

impl Writer {
    /// Compares what the server has with what it must have; settles what was in doubt. Gives
    /// what must not be.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn check(&mut self, base: &Base, everything: bool) -> Result<Vec<String>, String> {
        let mut connection = Connection::new(base, &[]);
        let mut found = Vec::new();
        for at in 0..self.owned.len() {
            let one = &self.owned[at];
            let known = !one.fresh && one.doubt.is_none();
            if known && !everything && self.rng.below(self.owned.len()) >= AGAIN {
                continue;
            }
            let audited = everything && self.rng.below(self.owned.len()) < AUDITED;
            let mut one = self.owned[at].clone();
            found.extend(check_owned(&mut connection, &mut one, audited).await?);
            self.owned[at] = one;
        }
        for at in 0..self.bundles.len() {
            let known = !self.bundles[at].fresh;
            if known && !everything && self.rng.below(self.bundles.len()) >= AGAIN {
                continue;
            }
            let (name, acknowledged) =
                (self.bundles[at].name.clone(), self.bundles[at].acknowledged);
            let whole = check_bundle(&mut connection, &name, acknowledged, &mut found).await?;
            self.bundles[at].acknowledged = whole;
            self.bundles[at].fresh = false;
        }
        for (name, mark) in std::mem::take(&mut self.unsure) {
            self.settle_create(&mut connection, name, mark, &mut found)
                .await?;
        }
        Ok(found)
    }

    /// A create whose answer never came is sent again: then there is exactly one.
    async fn settle_create(
        &mut self,
        connection: &mut Connection,
        name: String,
        mark: u64,
        found: &mut Vec<String>,
    ) -> Result<(), String> {
        let before = search(connection, "Patient", "urn:drill", &name).await?;
        if before.len() > 1 {
            found.push(format!("create {name}: made {} times", before.len()));
        }
        self.create_named(connection, name.clone(), mark).await;
        let after = search(connection, "Patient", "urn:drill", &name).await?;
        if after.len() != 1 {
            found.push(format!(
                "create {name}: {} after it was sent again",
                after.len()
            ));
        }
        if let Some(one) = self.owned.iter_mut().find(|one| one.name == name) {
            found.extend(check_owned(connection, one, false).await?);
        }
        Ok(())
    }
}

async fn check_owned(
    connection: &mut Connection,
    one: &mut Owned,
    audited: bool,
) -> Result<Option<String>, String> {
    let path = format!("/Patient/{}", one.id);
    let reply = connection.send("GET", &path, None, &[]).await?;
    let body = reply.json();
    let version: i64 = body["meta"]["versionId"]
        .as_str()
        .and_then(|version| version.parse().ok())
        .unwrap_or(-1);
    let gone = reply.status == 410;
    let holds = |version_wanted: i64, mark: u64| {
        let mark = format!("mark-{mark}");
        reply.status == 200
            && version == version_wanted
            && body["name"][0]["family"] == Value::String(mark.clone())
            && body["address"][0]["text"] == Value::String(mark)
            && body["identifier"][0]["value"] == Value::String(one.name.clone())
    };
    let unchanged = if one.deleted {
        gone
    } else {
        holds(one.version, one.mark)
    };
    let changed = match one.doubt {
        None => false,
        Some(Doubt::Update(mark)) => holds(one.version + 1, mark),
        Some(Doubt::Delete) => gone,
    };
    let wrong = (!unchanged && !changed).then(|| {
        format!(
            "{path}: version {} with mark {} (deleted: {}, in doubt: {:?}) was to be there, but \
             the answer is {}",
            one.version,
            one.mark,
            one.deleted,
            one.doubt,
            reply.brief()
        )
    });
    if changed {
        match one.doubt {
            Some(Doubt::Update(mark)) => {
                one.version += 1;
                one.mark = mark;
            }
            Some(Doubt::Delete) => one.deleted = true,
            None => {}
        }
    }
    one.doubt = None;
    one.fresh = false;
    if wrong.is_none() && audited {
        let missed = check_audit(connection, one).await?;
        if missed.is_some() {
            return Ok(missed);
        }
    }
    if wrong.is_some() || one.deleted {
        return Ok(wrong);
    }
    let hits = search(connection, "Patient", "urn:drill", &one.name).await?;
    let found_once = matches!(&hits[..], [hit] if hit["resource"]["id"] == one.id.as_str());
    Ok((!found_once).then(|| format!("{path}: a search finds it {} times", hits.len())))
}

/// Each version was written by one request, and the audit has it once.
async fn check_audit(connection: &mut Connection, one: &Owned) -> Result<Option<String>, String> {
    let id = &one.id;
    let path = format!("/AuditEvent?entity=Patient/{id}&action=C,U,D&outcome=0&_count=1000");
    let reply = connection.send("GET", &path, None, &[]).await?;
    if !reply.status.is_success() {
        return Err(format!("{path}: {}", reply.brief()));
    }
    let events = entries(&reply.body)?;
    let mut versions: Vec<String> = events
        .iter()
        .flat_map(|entry| entry["resource"]["entity"].as_array())
        .flatten()
        .filter(|entity| entity["role"]["code"] == "4")
        .filter_map(|entity| Some(entity["what"]["reference"].as_str()?.to_owned()))
        .filter(|reference| reference.contains("/_history/"))
        .collect();
    versions.sort();
    // Whoever is deleted has one version more than is counted here.
    let last = one.version + i64::from(one.deleted);
    let mut expected: Vec<String> = (1..=last)
        .map(|version| format!("Patient/{id}/_history/{version}"))
        .collect();
    expected.sort();
    Ok((versions != expected)
        .then(|| format!("Patient/{id}: the audit has {versions:?} instead of {expected:?}")))
}

/// All of a transaction, or nothing of it; whether it is there.
async fn check_bundle(
    connection: &mut Connection,
    name: &str,
    acknowledged: bool,
    found: &mut Vec<String>,
) -> Result<bool, String> {
    let patients = search(connection, "Patient", "urn:drill-t", name).await?;
    let observations = search(connection, "Observation", "urn:drill-t", name).await?;
    let counts = (patients.len(), observations.len());
    let whole = counts == (1, OBSERVATIONS);
    if !whole && (acknowledged || counts != (0, 0)) {
        found.push(format!(
            "transaction {name} (acknowledged: {acknowledged}): {counts:?} of (1, {OBSERVATIONS})"
        ));
    }
    if let [patient] = &patients[..] {
        let wanted = format!(
            "Patient/{}",
            patient["resource"]["id"].as_str().unwrap_or("?")
        );
        if observations
            .iter()
            .any(|one| one["resource"]["subject"]["reference"] != wanted.as_str())
        {
            found.push(format!("transaction {name}: a reference leads elsewhere"));
        }
    }
    Ok(whole)
}

async fn search(
    connection: &mut Connection,
    kind: &str,
    system: &str,
    name: &str,
) -> Result<Vec<Value>, String> {
    let path = format!("/{kind}?identifier={system}%7C{name}&_count=50");
    let reply = connection.send("GET", &path, None, &[]).await?;
    if !reply.status.is_success() {
        return Err(format!("{path}: {}", reply.brief()));
    }
    entries(&reply.body)
}
