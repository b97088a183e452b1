//! Claims and receipts as parts of the one statement of a commit.

use sqlx::{postgres::PgArguments, query::Query};

use super::super::{
    claims::{Claimed, Numbered, VALUES},
    types::NewReceipt,
};

/// The new claims as columns, and the receipt.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// In the order of [`VALUES`].
    columns: Vec<Vec<i64>>,
    expires: Vec<Option<i64>>,
    receipt: Option<NewReceipt>,
}

impl Claims {
    pub fn new(claimed: &Claimed, receipt: Option<NewReceipt>) -> Self {
        let rows: Vec<_> = claimed.rows.iter().map(Numbered::values).collect();
        let columns = match rows.is_empty() {
            true => Vec::new(),
            false => (0..12)
                .map(|at| rows.iter().map(|row| row[at]).collect())
                .collect(),
        };
        let expires = claimed.rows.iter().map(|one| one.claim.expires);
        Self {
            columns,
            expires: expires.collect(),
            receipt,
        }
    }

    /// What writes them, each a part of a `WITH`; the arguments are numbered from `next`.
    pub fn parts(&self, next: &mut usize) -> Vec<String> {
        let mut parts = Vec::new();
        if !self.columns.is_empty() {
            let arrays: Vec<String> = (0..=self.columns.len())
                .map(|at| format!("${}::bigint[]", *next + at))
                .collect();
            *next += arrays.len();
            parts.push(format!(
                "claimed AS (INSERT INTO claim ({VALUES},expires) SELECT * FROM unnest({}))",
                arrays.join(",")
            ));
        }
        if self.receipt.is_some() {
            parts.push(format!(
                "kept AS (INSERT INTO receipt AS r (key,request,expires,answer)
                   VALUES (${}::bytea,${}::bytea,${}::bigint,${}::bytea)
                   ON CONFLICT (key) DO UPDATE SET request=excluded.request,
                     expires=excluded.expires, answer=excluded.answer)",
                *next,
                *next + 1,
                *next + 2,
                *next + 3
            ));
            *next += 4;
        }
        parts
    }

    /// Adds the arguments of [`Claims::parts`].
    pub fn bind<'q>(
        &'q self,
        mut query: Query<'q, sqlx::Postgres, PgArguments>,
    ) -> Query<'q, sqlx::Postgres, PgArguments> {
        if !self.columns.is_empty() {
            for column in &self.columns {
                query = query.bind(column);
            }
            query = query.bind(&self.expires);
        }
        if let Some(receipt) = &self.receipt {
            query = query
                .bind(&receipt.key[..])
                .bind(&receipt.request[..])
                .bind(receipt.expires)
                .bind(&receipt.answer[..]);
        }
        query
    }
}
