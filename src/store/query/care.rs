//! Who is in care, looked up once for a query instead of for each resource.

use std::collections::BTreeSet;

use resources::{
    index::key::{read_reference, reference_prefix},
    model::ResourceType,
};

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Sql, Value},
        view::View,
    },
    condition::push_range,
    scope::Scope,
    source::{Source, push_union, sources},
};
use crate::search::{
    Cared,
    plan::{Clause, KeyRange},
};

const PATIENT: ResourceType = ResourceType::PATIENT;

/// More patients than this are not looked up at once.
const MOST: usize = 2_000;

/// Whether who is in care should be looked up at once: asking for each of a few candidates costs
/// less.
pub(super) async fn is_asked_often<S: Session>(
    session: &mut S,
    scopes: &[Scope<'_>],
    view: &View,
) -> Result<bool, StoreError> {
    if view.carers().is_empty() {
        return Ok(false);
    }
    for scope in scopes {
        if scope.looks_at_the_view() && !scope.has_few(session).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The view with who is in care now; `None` if it does not depend on that, or if they, or what
/// says so, are very many.
pub(super) async fn knowing<S: Session>(
    session: &mut S,
    view: &View,
    cap: usize,
    explain: &mut Vec<String>,
) -> Result<Option<View>, StoreError> {
    let mut all = Vec::new();
    for care in view.carers() {
        let Some(found) = cared(session, care, cap).await? else {
            return Ok(None);
        };
        explain.push(format!("Patient: {} are in care", found.ids.len()));
        all.push(found);
    }
    Ok((!all.is_empty()).then(|| view.knowing(all)))
}

async fn cared<S: Session>(
    session: &mut S,
    care: Clause,
    cap: usize,
) -> Result<Option<Cared>, StoreError> {
    let mut sql = Sql::new(session.dialect(), "SELECT k.key FROM (");
    for (at, way) in sources(&care).unwrap_or_default().iter().enumerate() {
        let Source::ReferredBy {
            source,
            param,
            canonical: None,
            inner,
        } = way
        else {
            return Ok(None);
        };
        let (i, e) = (sql.alias('i'), sql.alias('e'));
        let joint = if at > 0 { " UNION ALL " } else { "" };
        sql.push(&format!("{joint}SELECT {e}.key AS key FROM ("));
        push_union(&mut sql, inner, *source);
        sql.push(&format!(
            ") {i} CROSS JOIN entry {e} WHERE {e}.rid={i}.rid AND {e}.param="
        ));
        sql.bind(Value::Param(*param)).push(" AND ");
        push_range(&mut sql, &e, &KeyRange::prefix(reference_prefix(PATIENT)));
    }
    sql.push(") k LIMIT ").int(cap as i64);
    let rows = session.rows(&sql).await?;
    if rows.len() >= cap {
        return Ok(None);
    }
    let mut named = BTreeSet::new();
    for mut row in rows {
        let key = row.bytes()?;
        named.extend(read_reference(&key).map(|(_, id)| id.to_owned()));
    }
    if named.len() > MOST {
        return Ok(None);
    }
    let named: Vec<String> = named.into_iter().collect();
    let mut sql = Sql::new(
        session.dialect(),
        &format!(
            "SELECT r.id, r.deleted FROM resource r WHERE r.type={} AND r.id",
            PATIENT.number()
        ),
    );
    sql.in_texts(&named);
    let (mut ids, mut deleted) = (Vec::new(), Vec::new());
    for mut row in session.rows(&sql).await? {
        let id = row.text()?;
        match row.int()? {
            0 => ids.push(id),
            _ => deleted.push(id),
        }
    }
    Ok(Some(Cared { care, ids, deleted }))
}
