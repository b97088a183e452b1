//! The search parameters that users posted: one list for all nodes.

use resources::{index::ParamId, model::ResourceType};

use super::{
    error::StoreError,
    generation, read,
    session::Session,
    sql::{Dialect, Sql, Value},
    types::{Parameter, ParameterState},
    view::View,
};

/// The generation, and the parameters. The generation comes first: what is read after it is at
/// least as new.
pub(super) async fn all<S: Session>(session: &mut S) -> Result<(i64, Vec<Parameter>), StoreError> {
    let generation = generation::newest(session).await?;
    Ok((generation, rows(session).await?))
}

async fn rows<S: Session>(session: &mut S) -> Result<Vec<Parameter>, StoreError> {
    let sql = Sql::new(
        session.dialect(),
        "SELECT param, base, code, definition, state, done FROM parameter ORDER BY param",
    );
    let mut found = Vec::new();
    for mut row in session.rows(&sql).await? {
        let damaged = || StoreError::Damaged("a row of the table parameter".to_owned());
        found.push(Parameter {
            id: ParamId(u32::try_from(row.int()?).map_err(|_| damaged())?),
            base: ResourceType::from_number(row.int()?).ok_or_else(damaged)?,
            code: row.text()?,
            definition: row.text()?,
            state: match row.int()? {
                0 => ParameterState::Indexing,
                1 => ParameterState::Ready,
                2 => ParameterState::Retired,
                _ => return Err(damaged()),
            },
            done: row.int()?,
        });
    }
    Ok(found)
}

/// Puts what `decide` says. Needs a transaction around it.
pub(super) async fn change<S: Session>(
    session: &mut S,
    ids: Vec<String>,
    decide: impl FnOnce(Vec<Parameter>, Vec<(String, Option<String>)>) -> Vec<Parameter>,
    view: &View,
) -> Result<Vec<Parameter>, StoreError> {
    if session.dialect() == Dialect::Postgres {
        let lock = "LOCK TABLE parameter IN SHARE ROW EXCLUSIVE MODE";
        session.execute(&Sql::new(Dialect::Postgres, lock)).await?;
    }
    let rows = rows(session).await?;
    let keys: Vec<(ResourceType, &str)> = ids
        .iter()
        .map(|id| (ResourceType::SEARCH_PARAMETER, id.as_str()))
        .collect();
    let found = read::current(session, &keys, view).await?;
    let texts = found.into_iter().map(|stored| {
        let stored = stored.filter(|stored| !stored.head.deleted)?;
        Some(String::from_utf8_lossy(&stored.body).into_owned())
    });
    let texts: Vec<Option<String>> = texts.collect();
    let changed = decide(rows, ids.into_iter().zip(texts).collect());
    for parameter in &changed {
        put(session, parameter).await?;
    }
    Ok(changed)
}

/// Sets state and progress, if the parameter is still in the state `from`.
pub(super) async fn mark<S: Session>(
    session: &mut S,
    id: ParamId,
    from: ParameterState,
    (to, done): (ParameterState, i64),
) -> Result<bool, StoreError> {
    let mut sql = Sql::new(session.dialect(), "UPDATE parameter SET state=");
    sql.int(number_of(to)).push(", done=").int(done);
    sql.push(" WHERE param=").int(id.0.into());
    sql.push(" AND state=").int(number_of(from));
    Ok(session.execute(&sql).await? > 0)
}

fn number_of(state: ParameterState) -> i64 {
    match state {
        ParameterState::Indexing => 0,
        ParameterState::Ready => 1,
        ParameterState::Retired => 2,
    }
}

/// Adds or replaces a search parameter.
async fn put<S: Session>(session: &mut S, parameter: &Parameter) -> Result<(), StoreError> {
    let mut sql = Sql::new(
        session.dialect(),
        "INSERT INTO parameter (param, base, code, definition, state, done) VALUES (",
    );
    sql.int(parameter.id.0.into())
        .push(",")
        .int(parameter.base.number())
        .push(",");
    sql.bind(Value::Text(parameter.code.clone())).push(",");
    sql.bind(Value::Text(parameter.definition.clone()))
        .push(",");
    sql.int(number_of(parameter.state));
    sql.push(",").int(parameter.done).push(
        ") ON CONFLICT (param) DO UPDATE SET base=excluded.base, code=excluded.code,
           definition=excluded.definition, state=excluded.state, done=excluded.done",
    );
    session.execute(&sql).await.map(drop)
}
