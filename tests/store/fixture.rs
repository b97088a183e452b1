//! Resources to store and an opened store to keep them in.

use std::sync::Arc;

use resources::{
    index::{Entry, ParamId},
    model::ResourceType,
};
use rotunda::{
    access::Access,
    store::{Change, Commit, Committed, Expected, Head, Options, Store, StoreError, Write},
};

/// All that the tests do is internal work.
pub const ALL: Access = Access::system("tests of the store");

/// The n-th parameter of a type.
pub fn param(kind: ResourceType, n: u32) -> ParamId {
    ParamId((kind.number() as u32) << 8 | n)
}

/// An entry of the n-th parameter of a type.
pub fn entry(kind: ResourceType, n: u32, key: &[u8]) -> Entry {
    Entry {
        param: param(kind, n),
        key: key.to_vec(),
    }
}

/// The text of a version.
pub fn body(kind: ResourceType, id: &str, version: i64) -> String {
    format!(r#"{{"resourceType":"{kind}","id":"{id}","meta":{{"versionId":"{version}"}}}}"#)
}

/// A new resource.
pub fn create(kind: ResourceType, id: &str, mut add: Vec<Entry>) -> Write {
    add.sort();
    Write {
        kind,
        id: id.to_owned(),
        expect: None,
        change: Change::Create,
        version: 1,
        updated: 1_000,
        body: body(kind, id, 1),
        add,
        remove: Vec::new(),
    }
}

/// The next version of a resource.
pub fn update(head: &Head, mut remove: Vec<Entry>, mut add: Vec<Entry>) -> Write {
    add.sort();
    remove.sort();
    Write {
        kind: head.kind,
        id: head.id.clone(),
        expect: Some(Expected {
            rid: head.rid,
            version: head.version,
        }),
        change: Change::Update,
        version: head.version + 1,
        updated: head.updated + 1_000,
        body: body(head.kind, &head.id, head.version + 1),
        add,
        remove,
    }
}

/// The end of a resource.
pub fn delete(head: &Head, remove: Vec<Entry>) -> Write {
    Write {
        change: Change::Delete,
        body: String::new(),
        ..update(head, remove, Vec::new())
    }
}

/// Commits writes without guards.
pub async fn put(store: &Store, writes: Vec<Write>) -> Result<Committed, StoreError> {
    store
        .commit(
            Commit {
                writes,
                ..Commit::default()
            },
            &ALL,
        )
        .await
}

/// Commits one write that must succeed.
pub async fn put_one(store: &Store, write: Write) -> Head {
    put(store, vec![write]).await.unwrap().heads.remove(0)
}

/// A store in a folder of its own.
pub struct Fixture {
    pub store: Arc<Store>,
    pub url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Fixture {
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("store.db").display());
        let store = Store::open(&url, &Options::default()).await.unwrap();
        Self {
            store: Arc::new(store),
            url,
            _folder: Some(folder),
        }
    }

    pub async fn postgres() -> Self {
        let url = crate::support::postgres::database().await;
        let store = Store::open(&url, &Options::default()).await.unwrap();
        Self {
            store: Arc::new(store),
            url,
            _folder: None,
        }
    }
}
