//! Connections. A connection goes back only when it is known to wait for the next statement;
//! whatever was cut short closes. Unlike the driver's own pool there is no round trip to test a
//! connection before or after each use.

use std::{
    future::Future,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, Executor, Row as _, TypeInfo, ValueRef,
    postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow},
    query::Query,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    super::{
        error::StoreError,
        session::Session,
        sql::{Dialect, Row, Sql, Value},
    },
    failure::{breaks, failure, refused},
};

/// All connections of this process.
#[derive(Debug)]
pub(super) struct Pool {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
    permits: Arc<Semaphore>,
    patience: Duration,
    answer_time: Duration,
}

impl Pool {
    /// A pool of up to `size` connections. `patience` is how long to wait for one of them, and
    /// `answer_time` how long the server may take to answer a statement.
    pub fn new(
        options: PgConnectOptions,
        size: usize,
        patience: Duration,
        answer_time: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            options,
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(size.max(1))),
            patience,
            answer_time,
        })
    }

    /// A connection, as soon as one is free.
    pub async fn lease(self: &Arc<Self>) -> Result<Lease, StoreError> {
        let waiting = Arc::clone(&self.permits).acquire_owned();
        let permit = tokio::time::timeout(self.patience, waiting)
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Unavailable("the store is closed".to_owned()))?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => tokio::time::timeout(self.patience, self.options.connect())
                .await
                .map_err(|_| StoreError::Unavailable("no connection in time".to_owned()))?
                .map_err(refused)?,
        };
        Ok(Lease {
            connection: Some(connection),
            clean: true,
            in_transaction: false,
            answer_time: Some(self.answer_time),
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    /// Closes; what is under way ends first.
    pub async fn close(&self, size: usize) {
        // Fails only if the store is closed already.
        let _all = self.permits.acquire_many(size as u32).await;
        self.permits.close();
        let idle = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for connection in idle {
            // The server notices a closed socket as well as a goodbye.
            let _ = connection.close().await;
        }
    }
}

/// A connection in use.
#[derive(Debug)]
pub(in crate::store) struct Lease {
    connection: Option<PgConnection>,
    clean: bool,
    in_transaction: bool,
    answer_time: Option<Duration>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.clean || self.in_transaction {
            return;
        }
        if let Some(connection) = self.connection.take() {
            self.pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}

impl Lease {
    fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.clean = false;
        let gone = || StoreError::Unavailable("the connection is closed".to_owned());
        self.connection.as_mut().ok_or_else(gone)
    }

    /// Notes whether the connection can be used again after this.
    fn settle<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.clean = match &result {
            Ok(_) => true,
            Err(error) => !breaks(error),
        };
        if !self.clean {
            // Others that wait in the pool are as dead as this one, most likely.
            self.pool
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
        }
        result
    }

    /// Runs statements without arguments, one after the other.
    pub async fn run(&mut self, text: String) -> Result<(), StoreError> {
        let limit = self.answer_time;
        let asked = sqlx::raw_sql(AssertSqlSafe(text)).execute(self.connection()?);
        let done = answer(limit, asked).await;
        self.settle(done).map(drop).map_err(failure)
    }

    /// Runs a prepared query.
    pub async fn query(
        &mut self,
        query: Query<'_, sqlx::Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let limit = self.answer_time;
        let connection = match self.connection() {
            Ok(connection) => connection,
            Err(error) => return Err(sqlx::Error::Protocol(error.to_string())),
        };
        let done = answer(limit, connection.fetch_all(query)).await;
        self.settle(done)
    }

    /// Begins a transaction; `with` runs in the same round trip. Until [`Lease::end`] the
    /// connection closes when it is let go.
    pub async fn begin(&mut self, with: &str) -> Result<(), StoreError> {
        self.in_transaction = true;
        self.run(format!("BEGIN; {with}")).await
    }

    /// True if nothing more can be asked of the connection.
    pub fn is_broken(&self) -> bool {
        !self.clean || self.in_transaction
    }

    /// True between [`Lease::begin`] and [`Lease::end`].
    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Closes the connection instead of giving it back.
    pub fn discard(mut self) {
        self.connection = None;
    }

    /// Lets the statements that follow take as long as they take.
    pub fn take_your_time(&mut self) {
        self.answer_time = None;
    }

    /// Ends the transaction.
    pub async fn end(&mut self, how: &str) -> Result<(), StoreError> {
        self.run(how.to_owned()).await?;
        self.in_transaction = false;
        Ok(())
    }
}

/// Waits for the answer to a statement. The server ends what takes too long by itself: if it
/// says nothing for longer than that, it is gone.
async fn answer<T>(
    limit: Option<Duration>,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    let Some(limit) = limit else {
        return asked.await;
    };
    tokio::time::timeout(limit, asked)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

impl Session for Lease {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn rows(&mut self, sql: &Sql) -> Result<Vec<Row>, StoreError> {
        if sql.args.len() > usize::from(u16::MAX) {
            let count = sql.args.len();
            return Err(StoreError::TooLarge(format!("{count} arguments")));
        }
        let found = self.query(prepare(sql)).await.map_err(failure)?;
        let rows: Result<_, _> = found.iter().map(row).collect();
        rows.map_err(failure)
    }

    async fn rows_within(
        &mut self,
        sql: &Sql,
        room: usize,
    ) -> Result<(Vec<Row>, bool), StoreError> {
        let limit = self.answer_time;
        let mut stream = self.connection()?.fetch(prepare(sql));
        let mut rows = Vec::new();
        let mut taken = 0;
        let read = async {
            while let Some(found) = stream.try_next().await? {
                if taken > room {
                    return Ok(true);
                }
                let row = row(&found)?;
                taken += row.weight();
                rows.push(row);
            }
            Ok(false)
        };
        let done = answer(limit, read).await;
        drop(stream);
        if let Ok(true) = done {
            // The server goes on sending; the connection closes instead of reading all that.
            return Ok((rows, true));
        }
        let cut = self.settle(done).map_err(failure)?;
        Ok((rows, cut))
    }

    async fn execute(&mut self, sql: &Sql) -> Result<u64, StoreError> {
        let limit = self.answer_time;
        let done = answer(limit, self.connection()?.execute(prepare(sql))).await;
        let done = self.settle(done).map_err(failure)?;
        Ok(done.rows_affected())
    }
}

fn prepare(sql: &Sql) -> Query<'_, sqlx::Postgres, PgArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql.text.clone()));
    for value in &sql.args {
        query = match value {
            Value::Null => query.bind(None::<i64>),
            Value::Int(value) => query.bind(*value),
            Value::Param(value) => query.bind(*value as i32),
            Value::Text(value) => query.bind(value.as_str()),
            Value::Bytes(value) => query.bind(value.as_slice()),
            Value::Keys(values) => query.bind(values),
            Value::Ints(values) => query.bind(values),
            Value::Texts(values) => query.bind(values),
        };
    }
    query
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let mut values = Vec::with_capacity(row.len());
    for column in row.columns() {
        values.push(value(row, column.ordinal())?);
    }
    Ok(Row::new(values))
}

fn value(row: &PgRow, at: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(at)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    Ok(match raw.type_info().name() {
        "INT8" => Value::Int(row.try_get(at)?),
        "INT4" => Value::Int(row.try_get::<i32, _>(at)?.into()),
        "INT2" => Value::Int(row.try_get::<i16, _>(at)?.into()),
        "BYTEA" => Value::Bytes(row.try_get(at)?),
        _ => Value::Text(row.try_get(at)?),
    })
}
