//! A server with users, an app and patients, on a database of its own, whose clock the test moves.

use std::{net::SocketAddr, sync::Arc};

use resources::{Doc, model::ResourceType};
use rotunda::{
    auth::{
        self, Auth,
        client::Client,
        records::{Changes, Found},
        sealed::MasterKey,
        user::{self, Proxy, User},
    },
    clock::ManualClock,
    engine::{Engine, Operation, Settings, Target},
    http::{self, Connections},
    mail::Mailer,
    store::{self, Store},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::support;

/// Where the records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Both databases.
pub const DATABASES: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// The password of everybody.
pub const PASSWORD: &str = "seven tall lighthouses";

/// A verifier of PKCE and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// When the tests begin.
const START: i64 = 1_800_000_000_000;

const SCOPES: &[&str] = &[
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
];

const RESOURCES: &[&str] = &[
    r#"{"resourceType":"Patient","id":"a","name":[{"given":["Ann"],"family":"Able"}],"birthDate":"1970-01-02"}"#,
    r#"{"resourceType":"Patient","id":"b","name":[{"given":["Bob"],"family":"Baker"}],"birthDate":"1980-01-02","identifier":[{"value":"77"}]}"#,
    r#"{"resourceType":"Patient","id":"child","name":[{"given":["Cy"],"family":"Able"}]}"#,
    // In nobody's care.
    r#"{"resourceType":"Patient","id":"z","name":[{"given":["Zed"],"family":"Baker"}],"birthDate":"1980-01-02","identifier":[{"value":"77"}]}"#,
    r#"{"resourceType":"Practitioner","id":"d","name":[{"given":["Dora"],"family":"Dunn"}]}"#,
    r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB","display":"Visit"},"subject":{"reference":"Patient/b"},"period":{"start":"2026-02-03"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}"#,
    r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}"#,
    r#"{"resourceType":"Observation","id":"of-b","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/b"}}"#,
    r#"{"resourceType":"Encounter","id":"of-a","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/a"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}"#,
];

/// A running server and what is in it.
pub struct World {
    pub address: SocketAddr,
    /// The FHIR base URL.
    pub base: String,
    pub issuer: String,
    pub auth: Arc<Auth>,
    pub clock: Arc<ManualClock>,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<usize>,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn new(database: Database) -> Self {
        Self::with(database, http::Settings::default()).await
    }

    /// One that sends mail.
    pub async fn mailing(database: Database, mailer: Mailer) -> Self {
        let settings = http::Settings {
            mailer: Some(mailer),
            ..http::Settings::default()
        };
        Self::with(database, settings).await
    }

    /// One with these settings.
    pub async fn with(database: Database, http: http::Settings) -> Self {
        Self::prepared(database, http, |auth| auth).await
    }

    /// One whose authorization server is made ready by `prepare`.
    pub async fn prepared(
        database: Database,
        http: http::Settings,
        prepare: impl FnOnce(Auth) -> Auth,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => format!("sqlite:{}", folder.path().join("store.db").display()),
            Database::Postgres => support::postgres::database().await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let base = format!("{issuer}/fhir");
        let settings = Settings {
            base_url: base.clone(),
            ..Settings::default()
        };
        let bounds = Connections::from(&settings.limits);
        let store = Store::open(&url, &store::Options::default()).await.unwrap();
        let store = Arc::new(store);
        let clock = Arc::new(ManualClock::at(START));
        let engine = Engine::open(Arc::clone(&store), settings, clock.clone())
            .await
            .unwrap();
        let master = MasterKey::from_file(&folder.path().join("key"), true).unwrap();
        let settings = auth::Settings {
            issuer: issuer.clone(),
            base_url: base.clone(),
            user_token_seconds: 900,
            backend_token_seconds: 300,
            offline_days: 100,
            ..auth::Settings::default()
        };
        let auth = Auth::open(settings, store, engine.clone(), clock.clone(), master)
            .await
            .unwrap();
        let auth = Arc::new(prepare(auth));
        let settings = http::Settings {
            auth: Some(auth.clone()),
            ..http
        };
        let router = http::router(engine.clone(), settings);
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(http::serve(listener, router, bounds, async {
            let _ = stopped.await;
        }));
        let world = Self {
            address,
            base,
            issuer,
            auth,
            clock,
            engine,
            stop,
            running,
            folder,
        };
        world.fill().await;
        world
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.running.await.unwrap();
        drop((self.engine, self.folder));
    }

    async fn fill(&self) {
        self.register("app", "https://app.example/callback", false)
            .await;
        self.register("trusted", "https://trusted.example/callback", true)
            .await;
        let hash = self.auth.passwords().hash(PASSWORD).await.unwrap();
        let soon = Proxy {
            patient: "child".to_owned(),
            until: None,
        };
        for (login, name, role, fhir_user, proxies) in [
            ("ann", "Ann Able", "patient", "Patient/a", vec![]),
            ("mum", "Mum Able", "patient", "Patient/a", vec![soon]),
            ("dora", "Dora Dunn", "nurse", "Practitioner/d", vec![]),
        ] {
            let person = User {
                login: login.to_owned(),
                name: name.to_owned(),
                email: Some(format!("{login}@hospital.example")),
                roles: vec![role.to_owned()],
                fhir_user: Some(fhir_user.to_owned()),
                password: Some(hash.clone()),
                proxies,
                ..User::default()
            };
            user::create(self.auth.records(), &person).await.unwrap();
        }
        let operations = RESOURCES.iter().map(|&text| {
            let body = Doc::parse(text.to_owned()).unwrap();
            let id = body
                .root()
                .get("id")
                .unwrap()
                .plain_str()
                .unwrap()
                .to_owned();
            Operation::Update {
                kind: body
                    .resource_type()
                    .and_then(ResourceType::from_name)
                    .unwrap(),
                target: Target::Id(id),
                if_match: None,
                if_none_match_any: false,
                body,
            }
        });
        let access = rotunda::access::Access::system("what tests find");
        let done = self.engine.submit(operations.collect(), &access).await;
        done.unwrap();
    }

    /// Registers an app.
    pub async fn register(&self, id: &str, redirect: &str, trusted: bool) {
        self.put(id, self.client(id, redirect, trusted)).await;
    }

    /// Registers an app as it is given.
    pub async fn put(&self, id: &str, client: Client) {
        let changes = Changes::new().set(id, &client).unwrap();
        self.auth.records().commit(changes).await.unwrap();
    }

    /// A public app.
    pub fn client(&self, id: &str, redirect: &str, trusted: bool) -> Client {
        Client {
            name: format!("The {id} <b>"),
            redirect_uris: vec![redirect.to_owned()],
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            contact: Some("it@app.example".to_owned()),
            trusted,
            ..Client::default()
        }
    }

    /// Changes a user as a test needs them.
    pub async fn change(&self, login: &str, change: impl Fn(&mut User)) -> Found<User> {
        let found = self.user(login).await;
        let changed = self.auth.records().update::<User>(&found.id, |user| {
            change(user);
            Ok(())
        });
        changed.await.unwrap()
    }

    pub async fn user(&self, login: &str) -> Found<User> {
        let found = user::by_login(self.auth.records(), login).await.unwrap();
        found.expect("the user is there")
    }

    /// Moves the clock on.
    pub fn wait(&self, seconds: u32) {
        self.clock.advance(seconds * 1_000);
    }

    /// Where an app sends its user.
    pub fn asking(
        &self,
        client: &str,
        redirect: &str,
        scope: &str,
        more: &[(&str, &str)],
    ) -> String {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect),
            ("scope", scope),
            ("state", "some state"),
            ("aud", self.base.as_str()),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        pairs.extend(more);
        format!("/auth/authorize?{}", encode(&pairs))
    }

    /// Where the app of that name sends its user.
    pub fn app(&self, scope: &str) -> String {
        self.asking("app", "https://app.example/callback", scope, &[])
    }
}

/// A form.
pub fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// A parameter of a URL.
pub fn query_of(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(known, _)| known == name);
    found.map(|(_, value)| value.into_owned())
}
