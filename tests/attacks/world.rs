//! A closed server with the hospital in it, and tokens of whoever a test needs.

use rotunda::auth::{
    client::{ApiKey, Client as App},
    grant::{self, Context, Grant, Subject},
    records::{Changes, Records},
    role::Role,
    secret,
    user::{self, User},
};

use crate::{
    client::{Answer, Client},
    hospital,
    server::{Database, Options, Server},
};

pub const FHIR: (&str, &str) = ("Content-Type", "application/fhir+json");
pub const JSON_PATCH: (&str, &str) = ("Content-Type", "application/json-patch+json");
pub const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A running server, and who may enter.
pub struct World {
    pub server: Server,
    /// May see and do everything with resources.
    pub root: String,
}

/// What a request says.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Ask {
    /// `GET Patient/1`: the path is under the FHIR base, unless it begins with a slash.
    pub fn new(line: &str) -> Self {
        let (method, path) = line.split_once(' ').unwrap();
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/fhir/{path}"),
        };
        Self {
            method: method.to_owned(),
            path,
            ..Self::default()
        }
    }

    pub fn header(mut self, (name, value): (&str, &str)) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, of: (&str, &str), body: &str) -> Self {
        self.body = body.to_owned();
        self.header(of)
    }

    pub fn fhir(self, body: &str) -> Self {
        self.body(FHIR, body)
    }
}

impl World {
    pub async fn new(database: Database) -> Self {
        let mut options = Options {
            closed: true,
            ..Options::default()
        };
        // One attacker sends more than one user.
        for bound in ["user", "client", "address"] {
            options.set(&format!("{bound}_requests_per_second"), "0");
        }
        Self::with(database, options).await
    }

    pub async fn with(database: Database, options: Options) -> Self {
        let server = Server::start(database, options).await;
        let mut world = Self {
            server,
            root: String::new(),
        };
        world.role("root", &["system/*.cruds"]).await;
        world.root = world.token_of_roles(&["root"]).await;
        world.role("self-keeper", &["patient/*.cruds"]).await;
        for entry in hospital::resources() {
            let path = format!("PUT {}", entry.path);
            let answer = world
                .ask(&world.root, &Ask::new(&path).fhir(&entry.text))
                .await;
            assert!(answer.status < 300, "{path}: {}", answer.text());
        }
        world
    }

    pub fn records(&self) -> &Records {
        self.server.auth.as_ref().unwrap().records()
    }

    fn now(&self) -> i64 {
        self.server.auth.as_ref().unwrap().now()
    }

    /// Adds a role.
    pub async fn role(&self, name: &str, grants: &[&str]) {
        let role = Role {
            title: name.to_owned(),
            grants: grants.iter().map(|grant| (*grant).to_owned()).collect(),
            ..Role::default()
        };
        let changes = Changes::new().set(name, &role).unwrap();
        self.records().commit(changes).await.unwrap();
    }

    /// A new user; gives the id.
    pub async fn user(&self, roles: &[&str], fhir_user: Option<&str>) -> String {
        let user = User {
            login: secret::fresh_id().unwrap(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            fhir_user: fhir_user.map(str::to_owned),
            ..User::default()
        };
        user::create(self.records(), &user).await.unwrap()
    }

    /// A token of a new user with these roles.
    pub async fn token(
        &self,
        roles: &[&str],
        fhir_user: Option<&str>,
        scopes: &str,
        patient: Option<&str>,
    ) -> String {
        let user = self.user(roles, fhir_user).await;
        let grant = self.grant(Subject::User(user), scopes, patient);
        self.token_from(&grant).await
    }

    /// The token of patient A's own app.
    pub async fn patient(&self, scopes: &str) -> String {
        self.token(&["patient"], Some("Patient/pa"), scopes, Some("pa"))
            .await
    }

    /// The token of patient A, who may write all of the own record.
    pub async fn keeper(&self) -> String {
        let roles = &["self-keeper"];
        self.token(roles, Some("Patient/pa"), "patient/*.cruds", Some("pa"))
            .await
    }

    /// The token of a doctor who treats A and not B.
    pub async fn doctor(&self, scopes: &str) -> String {
        self.token(&["doctor"], Some("Practitioner/dr"), scopes, None)
            .await
    }

    /// A token for what roles give.
    pub async fn token_of_roles(&self, roles: &[&str]) -> String {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let grant = self.grant(Subject::Roles(roles), "", None);
        self.token_from(&grant).await
    }

    /// A token of a backend service.
    pub async fn program(&self, scopes: &str) -> String {
        self.program_asking(scopes, scopes).await
    }

    /// A token with these scopes, of a backend service that may have others.
    pub async fn program_asking(&self, scopes: &str, registered: &str) -> String {
        let id = secret::fresh_id().unwrap();
        let app = App {
            scopes: registered.split(' ').map(str::to_owned).collect(),
            ..App::default()
        };
        let changes = Changes::new().create(&id, &app).unwrap();
        self.records().commit(changes).await.unwrap();
        let grant = Grant {
            client: id,
            ..self.grant(Subject::Client, scopes, None)
        };
        self.token_from(&grant).await
    }

    /// A fixed key.
    pub async fn api_key(&self, scopes: &str) -> String {
        let (id, text) = (secret::fresh_id().unwrap(), secret::fresh("").unwrap());
        let key = ApiKey {
            hash: secret::hash(&text),
            scopes: scopes.split(' ').map(str::to_owned).collect(),
            ..ApiKey::default()
        };
        let changes = Changes::new().create(&id, &key).unwrap();
        self.records().commit(changes).await.unwrap();
        format!("hk_{id}_{text}")
    }

    pub fn grant(&self, subject: Subject, scopes: &str, patient: Option<&str>) -> Grant {
        Grant {
            subject,
            client: String::new(),
            scopes: scopes.to_owned(),
            context: Context {
                patient: patient.map(str::to_owned),
                ..Context::default()
            },
            session: None,
            broken_glass: None,
            identified: false,
            created: self.now(),
            expires: None,
        }
    }

    /// A token with all that the grant has.
    pub async fn token_from(&self, grant: &Grant) -> String {
        let id = secret::fresh_id().unwrap();
        let expires = self.now() + 3_600_000;
        let (text, access) = grant::new_access(&id, grant.scopes.clone(), expires).unwrap();
        let changes = Changes::new().create(&id, grant).unwrap().and(access);
        self.records().commit(changes).await.unwrap();
        text
    }

    /// Sends a request with a token, on a connection of its own.
    pub async fn ask(&self, token: &str, ask: &Ask) -> Answer {
        let bearer = format!("Bearer {token}");
        let ask = ask.clone().header(("Authorization", &bearer));
        self.ask_as_is(&ask).await
    }

    /// Sends a request as it is.
    pub async fn ask_as_is(&self, ask: &Ask) -> Answer {
        let mut client = Client::connect(self.server.address).await;
        let headers = ask.headers.iter();
        let headers: Vec<(&str, &str)> = headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        client
            .send(&ask.method, &ask.path, &headers, ask.body.as_bytes())
            .await
    }

    /// Sends a request without a body.
    pub async fn line(&self, token: &str, line: &str) -> Answer {
        self.ask(token, &Ask::new(line)).await
    }

    /// What stands there now, as the administrator sees it: all versions.
    pub async fn history(&self, path: &str) -> String {
        let answer = self.line(&self.root, &format!("GET {path}/_history")).await;
        answer.json()["entry"].to_string()
    }
}
