//! `Patient/[id]/$access-report`: who saw or changed a patient's data, when, and why (GDPR 15,
//! HIPAA 164.528).

use std::{borrow::Cow, fmt::Write as _};

use resources::{index::key, model::ResourceType, primitive::format_instant};

use crate::{
    access::{Access, Decision, Right},
    audit::{Code, Found, shape},
    engine::{
        Engine,
        audit::{
            event_text,
            record::{Asked, operation_query},
        },
        bundle_text::{BundleText, Mode},
        cursor::Cursor,
        error::{Error, ErrorKind},
        operation::{AccessReportRequest, Resource},
        search::with_query,
    },
    search::{
        self, About, Scope, encode, granted,
        plan::{Clause, KeyRange, Plan, TotalMode},
    },
};

const EVENT: ResourceType = ResourceType::AUDIT_EVENT;
const PATIENT: ResourceType = ResourceType::PATIENT;
/// Lines of a report as a table.
const LINES: usize = 10_000;

/// A request ready to be answered.
struct Prepared {
    plan: Plan,
    /// What the caller may see of the audit.
    access: Access,
    /// Its address without the page token.
    own: String,
    cursor: Cursor,
}

impl Engine {
    /// A page of the report as the text of a Bundle of AuditEvents, or all of it as a table (CSV):
    /// for the patient, and for whoever may read AuditEvents.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Forbidden`], and as a search.
    pub async fn access_report(
        &self,
        request: &AccessReportRequest,
        access: &Access,
    ) -> Result<String, Error> {
        let report = match request.table {
            true => self.report_table(request, access).await,
            false => self.report_bundle(request, access).await,
        };
        let id = request.id.as_str();
        let query = || operation_query(PATIENT, Some(id), "access-report", &request.params);
        let asked = Asked {
            code: Code::Operation,
            kind: Some(PATIENT),
            id,
            query: Some(&query),
        };
        let about = Resource {
            kind: PATIENT,
            id: id.to_owned(),
            version: 0,
            updated: 0,
            body: bytes::Bytes::new(),
        };
        let seen = report.as_ref().map(|_| std::iter::once(&about));
        self.record(access, asked, seen).await?;
        report
    }

    async fn report_bundle(
        &self,
        request: &AccessReportRequest,
        access: &Access,
    ) -> Result<String, Error> {
        let prepared = self.prepared_report(request, access).await?;
        let Prepared {
            plan,
            access,
            own,
            cursor,
        } = prepared;
        let found = self.event_page(&plan, cursor, &access).await?;
        let mut links = vec![("self", own.clone()), ("first", own.clone())];
        if let Some(cursor) = &found.next {
            let token = self.tokens.seal(&own, &cursor.write());
            links.push(("next", with_query(own, &format!("_page={token}"))));
        }
        let room = found.hits.iter().map(|hit| hit.body.len() + 200).sum();
        let now = self.clock.now();
        let mut bundle = BundleText::new("searchset", &links, found.total, now, room);
        for hit in &found.hits {
            bundle.hit(&self.settings.base_url, hit, hit.text()?, Mode::Match);
        }
        Ok(bundle.finish())
    }

    async fn report_table(
        &self,
        request: &AccessReportRequest,
        access: &Access,
    ) -> Result<String, Error> {
        let prepared = self.prepared_report(request, access).await?;
        let plan = Plan {
            limit: LINES,
            total: TotalMode::None,
            ..prepared.plan
        };
        let events = self.events(&plan, None, &prepared.access).await?;
        let mut out = String::from(HEADER);
        for found in events.iter().take(LINES) {
            line(&mut out, found);
        }
        if events.len() > LINES {
            // A line of its own, since a table has no place for a warning.
            let _ = write!(
                out,
                "\"there are more than {LINES} lines; ask for less with date=\"\r\n"
            );
        }
        Ok(out)
    }

    async fn prepared_report(
        &self,
        request: &AccessReportRequest,
        access: &Access,
    ) -> Result<Prepared, Error> {
        let access = self.report_access(&request.id, access).await?;
        let registry = self.registry();
        let mut params = Vec::new();
        for (name, value) in &request.params {
            match name.as_str() {
                "date" | "_count" | "_total" | "_page" | "agent" | "outcome" => {
                    params.push((name.clone(), value.clone()));
                }
                "_format" | "_pretty" => {}
                other if request.strict => {
                    return Err(Error::invalid(format!(
                        "$access-report has no parameter '{other}'; it has date, agent, outcome, \
                         _count and _total"
                    )));
                }
                _ => {}
            }
        }
        let parsed = search::Request {
            scope: Scope::Type(EVENT),
            params: &params,
            strict: true,
            base_url: &self.settings.base_url,
            now: self.clock.now(),
        };
        let query = search::parse(&parsed, &registry, &self.search_limits)
            .map_err(|issues| Error::with(ErrorKind::Invalid, issues))?;
        let own = with_query(
            format!(
                "{}/Patient/{}/$access-report",
                self.settings.base_url, request.id
            ),
            &encode(
                query
                    .accepted
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            ),
        );
        let cursor = match &query.page {
            Some(token) => Cursor::read(&self.tokens.open(&own, token)?)?,
            None => Cursor::default(),
        };
        let mut plan = self.compile(&query, &access).await?;
        if let Some(patient) = registry.param(EVENT, "patient") {
            let about = Clause::Keys {
                param: patient.id,
                ranges: vec![KeyRange::exact(key::reference(PATIENT, &request.id))],
            };
            plan.filter = Clause::All(vec![about, plan.filter]);
        }
        Ok(Prepared {
            plan,
            access,
            own,
            cursor,
        })
    }

    /// What a caller may see in the report about a patient: whoever may read AuditEvents what these
    /// are, and the patient all of it.
    async fn report_access(&self, id: &str, access: &Access) -> Result<Access, Error> {
        let all = || Access::system("patients may know who saw their data");
        match access.decision() {
            Decision::System(_) => Ok(access.clone()),
            Decision::Compartment { kind, id: own } if *kind == PATIENT && own == id => Ok(all()),
            Decision::Compartment { .. } => Err(Error::not_found(PATIENT, id)),
            Decision::Granted(grants) => {
                let reading = access.to(Right::Read);
                let rules = &granted(grants, EVENT, reading.rights()).rules;
                if rules.iter().any(|rule| rule.about == About::All) {
                    return Ok(reading);
                }
                // Who may not see the patient learns nothing of him, either.
                self.look_at(PATIENT, id, access).await?;
                if !rules.is_empty() {
                    return Ok(reading);
                }
                let user = access.caller();
                let user = user.and_then(|caller| caller.identity.fhir_user.as_deref());
                if user.and_then(|user| user.strip_prefix("Patient/")) == Some(id) {
                    return Ok(all());
                }
                Err(Error::new(
                    ErrorKind::Forbidden,
                    "forbidden",
                    "the report is for the patient, and for whoever has a scope with AuditEvent.r",
                ))
            }
        }
    }
}

const HEADER: &str = "date,user,fhirUser,roles,client,address,interaction,type,resource,purpose,\
                      reason,outcome,request,event\r\n";

fn line(out: &mut String, found: &Found) {
    let event = &found.event;
    let identity = &event.identity;
    let Some(item) = event.items.first() else {
        return;
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let kind = item.kind.map_or("", ResourceType::name);
    let resource = match item.id.is_empty() {
        true => String::new(),
        false => format!("{kind}/{}", item.id),
    };
    let cells = [
        format_instant(event.at),
        text(&identity.user),
        text(&identity.fhir_user),
        identity.roles.join(" "),
        text(&identity.client),
        event
            .address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        shape(item.code).subtype.1.to_owned(),
        kind.to_owned(),
        resource,
        text(&identity.purpose),
        text(&identity.reason),
        event.outcome.display().to_owned(),
        event.request.to_string(),
        event_text::id_of(found.place),
    ];
    for (at, cell) in cells.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        out.push_str(&quoted(cell));
    }
    out.push_str("\r\n");
}

/// A cell (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe before it.
fn quoted(cell: &str) -> Cow<'_, str> {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !cell.contains(['"', ',', '\n', '\r']) {
        return Cow::Borrowed(cell);
    }
    let mark = if formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", cell.replace('"', "\"\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stay_cells() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"a\"", "\"say \"\"a\"\"\""),
            ("=1+1", "\"'=1+1\""),
            ("", ""),
        ] {
            assert_eq!(quoted(cell), expected);
        }
    }
}
