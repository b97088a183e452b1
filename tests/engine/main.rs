//! The engine over a real store: what clients are promised, without HTTP, on both databases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what fails here fails the test"
)]

#[path = "../support/mod.rs"]
mod support;

/// Makes two tests of each function.
macro_rules! on_both_databases {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Sqlite).await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::fixture::Database::Postgres).await;
            })+
        }
    };
}

mod access;
mod answers;
mod audit;
mod audit_chain;
mod audit_report;
mod bundles;
mod conditions;
mod fixture;
mod grants;
mod leaks;
mod minimal;
mod operations;
mod parameters;
mod reads;
mod schedule;
mod searches;
mod slots;
mod upkeep;
mod writes;
