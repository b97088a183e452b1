//! A server with users, apps and patients, on a database of its own, whose clock the test moves.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use rotunda::{
    auth::{
        self, Auth,
        client::{Client, HashedSecret},
        code::Choice,
        external::External,
        grant::{self, Grant, Subject},
        records::{Changes, Found},
        sealed::MasterKey,
        secret,
        session::{Arrival, Session},
        user::{self, User},
    },
    clock::{Clock, ManualClock},
    engine::{Engine, Settings},
    fetch::Fetcher,
    http::{self, Connections},
    store::{self, Store},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    assertion::{Keys, With},
    client::{Answer, Client as Http},
    support,
};

/// Where the records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Both databases.
pub const DATABASES: [Database; 2] = [Database::Sqlite, Database::Postgres];

/// A verifier of PKCE and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Where apps get their answers.
pub const CALLBACK: &str = "https://app.example/callback";

/// The secret of the app `web`.
pub const SECRET: &str = "a-secret-of-the-web-app";

/// When the tests begin.
const START: i64 = 1_800_000_000_000;

/// A running server and what is in it.
pub struct World {
    pub address: SocketAddr,
    /// The FHIR base URL.
    pub base: String,
    pub issuer: String,
    pub auth: Arc<Auth>,
    pub clock: Arc<ManualClock>,
    pub keys: &'static Keys,
    engine: Arc<Engine>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<usize>,
    folder: tempfile::TempDir,
    /// For values that must not repeat.
    count: AtomicU64,
}

/// What a client may ask for in these tests.
const SCOPES: &[&str] = &[
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
];

impl World {
    pub async fn new(database: Database) -> Self {
        Self::with(database, None, Vec::new()).await
    }

    /// One that fetches with `fetcher` and takes tokens of other issuers.
    pub async fn with(
        database: Database,
        fetcher: Option<Fetcher>,
        external: Vec<External>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = match database {
            Database::Sqlite => {
                format!("sqlite:{}", folder.path().join("store.db").display())
            }
            Database::Postgres => support::postgres::database().await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let issuer = format!("http://{address}");
        let base = format!("{issuer}/fhir");
        let mut settings = Settings {
            base_url: base.clone(),
            ..Settings::default()
        };
        // Drills send as fast as the machine can.
        settings.limits.client_requests_per_second = 0;
        settings.limits.user_requests_per_second = 0;
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
            external,
            ..auth::Settings::default()
        };
        let auth = Auth::open(settings, store, engine.clone(), clock.clone(), master)
            .await
            .unwrap();
        let auth = Arc::new(match fetcher {
            Some(fetcher) => auth.with_fetcher(Arc::new(fetcher)),
            None => auth,
        });
        let settings = http::Settings {
            auth: Some(auth.clone()),
            ..http::Settings::default()
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
            keys: Keys::get(),
            engine,
            stop,
            running,
            folder,
            count: AtomicU64::new(0),
        };
        world.fill().await;
        world
    }

    pub async fn stop(self) {
        let _ = self.stop.send(());
        self.running.await.unwrap();
        drop((self.engine, self.folder));
    }

    /// What the files of the database hold.
    pub fn database_files(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let paths = files.map(|file| file.unwrap().path());
        let of_database = paths.filter(|path| path.to_string_lossy().contains("store.db"));
        of_database
            .flat_map(|path| std::fs::read(path).unwrap())
            .collect()
    }

    async fn fill(&self) {
        let app = |name: &str| Client {
            name: name.to_owned(),
            redirect_uris: vec![CALLBACK.to_owned(), "https://app.example/b?x=1".to_owned()],
            launch_uri: Some("https://app.example/launch".to_owned()),
            origins: vec!["https://spa.example".to_owned()],
            scopes: SCOPES.iter().map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        };
        let web = Client {
            secrets: vec![HashedSecret {
                hash: secret::hash(SECRET),
                expires: None,
            }],
            ..app("Web")
        };
        let keyed = Client {
            jwks: Some(self.keys.set()),
            ..app("Keyed")
        };
        let backend = |scopes: &[&str]| Client {
            name: "Backend".to_owned(),
            jwks: Some(self.keys.set()),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            ..Client::default()
        };
        for (id, client) in [
            ("app", app("App")),
            ("other", app("Other")),
            ("web", web.clone()),
            ("keyed", keyed),
            ("backend", backend(&["system/*.rs"])),
            ("backend2", backend(&["system/*.cruds"])),
            (
                "secretive",
                Client {
                    scopes: vec!["system/*.rs".to_owned()],
                    redirect_uris: Vec::new(),
                    ..web
                },
            ),
        ] {
            self.put(id, &client).await;
        }
        for (login, roles, fhir_user) in [
            ("ann", "patient", "Patient/a"),
            ("bob", "patient", "Patient/b"),
            ("dora", "nurse", "Practitioner/d"),
            ("root", "administrator", ""),
        ] {
            let person = User {
                login: login.to_owned(),
                name: login.to_owned(),
                roles: vec![roles.to_owned()],
                fhir_user: Some(fhir_user.to_owned()).filter(|text| !text.is_empty()),
                ..User::default()
            };
            user::create(self.auth.records(), &person).await.unwrap();
        }
        let token = self.token_of_roles(&["interface-engine"]).await;
        for (path, body) in [
            ("Patient/a", r#"{"resourceType":"Patient","id":"a"}"#),
            ("Patient/b", r#"{"resourceType":"Patient","id":"b"}"#),
            (
                "Practitioner/d",
                r#"{"resourceType":"Practitioner","id":"d"}"#,
            ),
            (
                "Encounter/e",
                r#"{"resourceType":"Encounter","id":"e","status":"in-progress","class":{"code":"AMB"},"subject":{"reference":"Patient/a"},"participant":[{"individual":{"reference":"Practitioner/d"}}]}"#,
            ),
        ] {
            let answer = self.fhir("PUT", path, &token, body).await;
            assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        }
    }

    /// Keeps a client under this id.
    pub async fn put(&self, id: &str, client: &Client) {
        let changes = Changes::new().set(id, client).unwrap();
        self.auth.records().commit(changes).await.unwrap();
    }

    /// A token for roles, as an administrator makes one.
    pub async fn token_of_roles(&self, roles: &[&str]) -> String {
        let id = secret::fresh_id().unwrap();
        let end = self.clock.now() + 1_000_000_000;
        let grant = Grant {
            subject: Subject::Roles(roles.iter().map(|&role| role.to_owned()).collect()),
            client: String::new(),
            scopes: String::new(),
            context: grant::Context::default(),
            session: None,
            broken_glass: None,
            identified: false,
            created: self.clock.now(),
            expires: Some(end),
        };
        let (text, changes) = grant::new_access(&id, String::new(), end).unwrap();
        let changes = changes.create(&id, &grant).unwrap();
        self.auth.records().commit(changes).await.unwrap();
        text
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut http = Http::connect(self.address).await;
        http.send(method, path, headers, body.as_bytes()).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// A request to the FHIR API with a token.
    pub async fn fhir(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", bearer.as_str())];
        if !body.is_empty() {
            headers.push(("Content-Type", "application/fhir+json"));
        }
        self.send(method, &format!("/fhir/{path}"), &headers, body)
            .await
    }

    /// A form to an endpoint.
    pub async fn form(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        self.form_with(path, &[], pairs).await
    }

    pub async fn form_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        pairs: &[(&str, &str)],
    ) -> Answer {
        let mut all = vec![("Content-Type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send("POST", path, &all, &encode(pairs)).await
    }

    /// The user with this log-in name, logged in: the session and its cookie.
    pub async fn log_in(&self, login: &str) -> (Found<Session>, String) {
        let found = user::by_login(self.auth.records(), login).await.unwrap();
        let arrival = Arrival {
            user: found.expect("the user is there").id,
            amr: vec!["pwd".to_owned()],
            address: "127.0.0.1".to_owned(),
            agent: "test".to_owned(),
        };
        let (cookie, session) = self.auth.begin_session(arrival).await.unwrap();
        (session, format!("rotunda={cookie}"))
    }

    /// The parameters of an authorization request that is in order.
    pub fn asking<'w>(&'w self, client: &'w str, scope: &'w str) -> Vec<(&'w str, &'w str)> {
        vec![
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("scope", scope),
            ("state", "some state"),
            ("aud", &self.base),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("nonce", "some nonce"),
        ]
    }

    /// Asks, and gives the name under which the request waits.
    pub async fn ask(&self, pairs: &[(&str, &str)]) -> String {
        let answer = self.authorize(pairs).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let location = answer.header("location").unwrap().to_owned();
        let name = location.split_once("?request=");
        let (page, name) = name.unwrap_or_else(|| panic!("{location}"));
        assert_eq!(page, format!("{}/auth/login", self.issuer));
        name.to_owned()
    }

    pub async fn authorize(&self, pairs: &[(&str, &str)]) -> Answer {
        self.get(&format!("/auth/authorize?{}", encode(pairs)))
            .await
    }

    /// Asks as `client` and agrees as the user with `login`: a code.
    pub async fn code(&self, client: &str, scope: &str, login: &str) -> String {
        self.code_for(&self.asking(client, scope), login, Some("a"))
            .await
    }

    /// Asks so and agrees, with this patient: a code.
    pub async fn code_for(
        &self,
        pairs: &[(&str, &str)],
        login: &str,
        patient: Option<&str>,
    ) -> String {
        let name = self.ask(pairs).await;
        let (session, _) = self.log_in(login).await;
        let request = self.auth.request(&name).await.unwrap().unwrap();
        let choice = Choice {
            scopes: request.value.asked(),
            patient: patient.map(str::to_owned),
            encounter: None,
        };
        let url = self.auth.approve(&request, &session, choice).await.unwrap();
        query_of(&url, "code").unwrap_or_else(|| panic!("{url}"))
    }

    /// The parameters that bring a code of `client`.
    pub fn bringing<'w>(&'w self, client: &'w str, code: &'w str) -> Vec<(&'w str, &'w str)> {
        vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ]
    }

    /// Tokens of the public app for a user.
    pub async fn tokens(&self, scope: &str, login: &str) -> Value {
        let code = self.code("app", scope, login).await;
        let answer = self.form("/auth/token", &self.bringing("app", &code)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Brings a refresh token.
    pub async fn refresh(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Answer {
        let mut pairs = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token),
        ];
        pairs.extend(more);
        self.form("/auth/token", &pairs).await
    }

    /// Claims with which a client proves itself.
    pub fn claims(&self, client: &str) -> Value {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        json!({
            "iss": client, "sub": client, "aud": format!("{}/auth/token", self.issuer),
            "exp": self.clock.now() / 1_000 + 200, "jti": format!("jti {number}"),
        })
    }

    /// With what a client proves itself.
    pub fn assertion(&self, client: &str) -> String {
        let header = json!({ "alg": "RS384", "kid": "r", "typ": "JWT" });
        self.keys.sign(With::Rs384, &header, &self.claims(client))
    }

    /// The claims of an id_token, whose signature is checked with the published keys.
    pub async fn opened(&self, token: &str) -> Value {
        opened_with(&self.get("/auth/jwks").await.json(), token)
    }

    /// The name of the key that signed a token.
    pub fn kid_of(&self, token: &str) -> String {
        part_of(token, 0)["kid"].as_str().unwrap().to_owned()
    }
}

/// The claims of an id_token, whose signature is checked with the keys of a set.
pub fn opened_with(set: &Value, token: &str) -> Value {
    let kid = part_of(token, 0)["kid"].clone();
    let keys = set["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == kid).unwrap();
    let part = |name: &str| key[name].as_str().unwrap();
    let key = jsonwebtoken::DecodingKey::from_rsa_components(part("n"), part("e")).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let algorithm = jsonwebtoken::Algorithm::RS256;
    let right = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm);
    assert!(right.unwrap(), "{token}");
    part_of(token, 1)
}

fn part_of(token: &str, at: usize) -> Value {
    let part = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&BASE64URL.decode(part).unwrap()).unwrap()
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
    pairs
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// The same parameters, with one of another value; none removes it.
pub fn with<'p>(
    pairs: &[(&'p str, &'p str)],
    name: &'p str,
    value: Option<&'p str>,
) -> Vec<(&'p str, &'p str)> {
    let others = pairs.iter().filter(|(known, _)| *known != name).copied();
    others.chain(value.map(|value| (name, value))).collect()
}
