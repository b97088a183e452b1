//! The server is killed while many write: a short form of the crash drill of `conformance/`.

use std::{path::Path, time::Duration};

use conformance::{
    drill::{self, Plan, Report},
    postgres::Postgres,
};

fn plan(folder: &Path, store: String, rounds: usize) -> Plan {
    Plan {
        binary: env!("CARGO_BIN_EXE_rotunda").into(),
        store,
        log: folder.join("server.log"),
        writers: 32,
        rounds,
        longest: Duration::from_millis(1_500),
        seed: 7,
    }
}

fn held(report: &Report) {
    assert_eq!(report.violations, Vec::<String>::new());
    assert!(report.acknowledged > 0, "nothing was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_acknowledged_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), drill::sqlite(folder.path()), 4);
    held(&drill::crash(&plan).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_postgres_acknowledged_survives_sigkill_and_outages() {
    if Postgres::installed().is_none() {
        eprintln!("skipped: PostgreSQL is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut postgres = Postgres::start().unwrap();
    let crash = plan(folder.path(), postgres.database("crash").unwrap(), 2);
    held(&drill::crash(&crash).await.unwrap());
    let outage = plan(folder.path(), postgres.database("outage").unwrap(), 1);
    held(&drill::outage(&outage, &mut postgres).await.unwrap());
}
