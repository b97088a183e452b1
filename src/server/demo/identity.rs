//! Users of every role and clients of every kind for the demo hospital. Nothing by which they
//! prove who they are is the same in two stores, or after the next start: there are no default
//! passwords.

use std::collections::BTreeMap;

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ACCESS, StartError, orders::orders, put};
use crate::{
    auth::{
        Auth, AuthError,
        client::{ApiKey, Client},
        manage::{
            ClientDraft, KeyDraft, Managed, Management, ProxyDraft, TokenOrder, UserDraft, Wish,
        },
        records::{Changes, Found, Kept},
        secret,
        user::User,
    },
    engine::Engine,
};

/// The demo's users and clients with all that they prove themselves with; shown once.
#[derive(Debug, Serialize)]
pub struct Cast {
    /// The password of all demo users.
    pub password: String,
    /// Log-in name, which is the role, and the user's own resource.
    pub users: Vec<(&'static str, &'static str)>,
    /// The secret of `demo-confidential`.
    pub secret: String,
    /// The private key of `demo-backend`, as a JWK.
    pub private_key: Value,
    /// An API key of an interface engine.
    pub api_key: String,
    /// A token of the doctor, for the first request.
    pub token: String,
}

/// Log-in name and role, own resource, name, and patients for whom they act.
type Member = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

const USERS: &[Member] = &[
    ("patient", "Patient/patient-01", "Ada Hollander", &[]),
    (
        "proxy",
        "RelatedPerson/parent-of-patient-37",
        "Robin Thistlewood",
        &["patient-37"],
    ),
    (
        "doctor",
        "Practitioner/practitioner-01",
        "Dr. Ines Okafor",
        &[],
    ),
    ("nurse", "Practitioner/practitioner-09", "Grace Amadi", &[]),
    (
        "receptionist",
        "Practitioner/demo-receptionist",
        "Rhea Castellan",
        &[],
    ),
    (
        "laboratory",
        "Practitioner/demo-laboratory",
        "Lars Bohm",
        &[],
    ),
    (
        "radiology",
        "Practitioner/demo-radiology",
        "Dr. Rana Gupta",
        &[],
    ),
    (
        "pharmacist",
        "Practitioner/demo-pharmacist",
        "Pia Marchetti",
        &[],
    ),
    ("billing", "Practitioner/demo-billing", "Bela Farkas", &[]),
    (
        "privacy-officer",
        "Practitioner/demo-privacy-officer",
        "Priya Venn",
        &[],
    ),
    (
        "researcher",
        "Practitioner/demo-researcher",
        "Reza Alavi",
        &[],
    ),
    (
        "administrator",
        "Practitioner/demo-administrator",
        "Alma Dorn",
        &[],
    ),
];

/// Clients: public, with a secret, with a key.
pub const APP: &str = "demo-app";
const CONFIDENTIAL: &str = "demo-confidential";
const BACKEND: &str = "demo-backend";

/// Where the sample apps are: what tutorials and libraries take first.
const REDIRECTS: [&str; 3] = [
    "http://127.0.0.1:3000/callback",
    "http://127.0.0.1:3000/",
    "http://localhost:3000/callback",
];
const SCOPES: &str = "launch launch/patient openid fhirUser profile offline_access online_access \
                      patient/*.cruds user/*.cruds";

/// What the demo made, so that it changes nobody else's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Made {
    users: BTreeMap<String, String>,
    key: Option<String>,
}

impl Kept for Made {
    const KIND: i64 = 41;
    const NAME: &'static str = "demo";
}

/// Makes what is missing, and gives all of them new passwords, secrets and keys.
pub async fn cast(engine: &Engine, auth: &Auth) -> Result<Cast, StartError> {
    let desk = auth.management();
    let records = auth.records();
    let mut made = match records.find::<Made>("demo").await? {
        Some(found) => found.value,
        None => {
            resources(engine).await?;
            Made::default()
        }
    };
    let password = secret::fresh_password()?;
    let users = users(desk, &mut made, &password).await?;
    client(desk, CONFIDENTIAL, "Demo app with a secret", None).await?;
    client(desk, APP, "Demo app", None).await?;
    let (private_key, public_key) = key_pair()?;
    client(desk, BACKEND, "Demo backend service", Some(public_key)).await?;
    let secret = new_secret(desk).await?;
    let api_key = api_key(desk, &mut made).await?;
    records.commit(Changes::new().set("demo", &made)?).await?;
    let order = TokenOrder {
        user: made.users.get("doctor").cloned(),
        ttl: Some("12h".to_owned()),
        ..TokenOrder::default()
    };
    let token = match order.user {
        Some(_) => desk.make_token(&order).await?.token,
        None => String::new(),
    };
    Ok(Cast {
        password,
        users,
        secret,
        private_key,
        api_key,
        token,
    })
}

/// What the hospital lacks: the resources of those who have none, the ward of the nurse, and what
/// laboratory and radiology have to do.
async fn resources(engine: &Engine) -> Result<(), StartError> {
    let practitioners = USERS.iter().filter_map(|(_, reference, name, _)| {
        let id = reference.strip_prefix("Practitioner/")?;
        id.starts_with("demo-").then(|| {
            json!({
                "resourceType": "Practitioner",
                "id": id,
                "active": true,
                "name": [{ "text": name }],
            })
        })
    });
    let ward = (1..=10).map(|number| {
        json!({
            "resourceType": "CareTeam",
            "id": format!("demo-ward-{number:02}"),
            "status": "active",
            "name": "Cardiology ward",
            "subject": { "reference": format!("Patient/patient-{number:02}") },
            "participant": [{ "member": { "reference": "Practitioner/practitioner-09" } }],
        })
    });
    let operations: Result<Vec<_>, _> = practitioners
        .chain(ward)
        .chain(orders())
        .map(|resource| put(resource.to_string()))
        .collect();
    engine.submit(operations?, &ACCESS).await?;
    Ok(())
}

/// Adds those who are missing; gives all the password. A log-in name that somebody else has is
/// left to them.
async fn users(
    desk: &Management,
    made: &mut Made,
    password: &str,
) -> Result<Vec<(&'static str, &'static str)>, AuthError> {
    let mut users = Vec::new();
    let mut hash = None;
    for (role, reference, name, patients) in USERS {
        let id = made.users.get(*role);
        let known = match id {
            Some(id) => desk.records().find::<User>(id).await?,
            None => None,
        };
        let user = match known {
            Some(user) => user,
            None => {
                let draft = UserDraft {
                    login: (*role).to_owned(),
                    name: (*name).to_owned(),
                    roles: vec![(*role).to_owned()],
                    fhir_user: Some((*reference).to_owned()),
                    proxies: patients.iter().map(|patient| proxy(patient)).collect(),
                    ..UserDraft::default()
                };
                match User::create(desk, &Wish::default(), draft).await {
                    Ok(made) => made.found,
                    Err(AuthError::Invalid(reason)) => {
                        tracing::warn!(%reason, "the demo leaves a user out");
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        made.users.insert((*role).to_owned(), user.id.clone());
        // One hash for all: it is one password.
        hash = Some(match hash {
            Some(hash) => hash,
            None => desk.hash(password).await?,
        });
        set_hash(desk, user, hash.clone()).await?;
        users.push((*role, *reference));
    }
    Ok(users)
}

fn proxy(patient: &str) -> ProxyDraft {
    ProxyDraft {
        patient: patient.to_owned(),
        until: None,
    }
}

async fn set_hash(
    desk: &Management,
    user: Found<User>,
    hash: Option<String>,
) -> Result<(), AuthError> {
    let changed = desk.records().update::<User>(&user.id, |user| {
        user.password.clone_from(&hash);
        user.must_change_password = false;
        Ok(())
    });
    changed.await.map(drop)
}

/// Registers a client if it is missing; gives one with a key the new one.
async fn client(
    desk: &Management,
    id: &str,
    name: &str,
    key: Option<Value>,
) -> Result<(), AuthError> {
    let jwks = key.map(|key| json!({ "keys": [key] }));
    let is_backend = jwks.is_some();
    if let Some(old) = desk.records().find::<Client>(id).await? {
        if is_backend {
            let draft = ClientDraft {
                jwks,
                ..old.value.draft()
            };
            Client::replace(desk, old, draft).await?;
        }
        return Ok(());
    }
    let scopes = match is_backend {
        true => "system/*.rs",
        false => SCOPES,
    };
    let draft = ClientDraft {
        name: name.to_owned(),
        jwks,
        redirect_uris: match is_backend {
            true => Vec::new(),
            false => REDIRECTS.map(str::to_owned).to_vec(),
        },
        launch_uri: (!is_backend).then(|| "http://127.0.0.1:3000/launch".to_owned()),
        scopes: scopes.split(' ').map(str::to_owned).collect(),
        ..ClientDraft::default()
    };
    let wish = Wish {
        id: Some(id.to_owned()),
        confidential: id == CONFIDENTIAL,
        ..Wish::default()
    };
    Client::create(desk, &wish, draft).await.map(drop)
}

/// The one secret of the confidential client, new.
async fn new_secret(desk: &Management) -> Result<String, AuthError> {
    let cleared = desk.records().update::<Client>(CONFIDENTIAL, |client| {
        client.secrets.clear();
        Ok(())
    });
    let made = desk.add_secret(cleared.await?, None).await?;
    Ok(made.secrets.into_iter().map(|(_, text)| text).collect())
}

async fn api_key(desk: &Management, made: &mut Made) -> Result<String, AuthError> {
    let draft = KeyDraft {
        name: "Demo interface engine".to_owned(),
        scopes: vec!["system/*.crus".to_owned()],
        ..KeyDraft::default()
    };
    let new = ApiKey::create(desk, &Wish::default(), draft).await?;
    if let Some(old) = made.key.replace(new.found.id) {
        desk.records()
            .commit(Changes::new().remove::<ApiKey>(&old))
            .await?;
    }
    Ok(new.secrets.into_iter().map(|(_, text)| text).collect())
}

/// A key pair for ES384: the private key and the public one, as JWKs (RFC 7518, section 6.2).
fn key_pair() -> Result<(Value, Value), AuthError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING);
    let pair = pair.map_err(|_| AuthError::NoRandomness)?;
    let private = pair.private_key().as_be_bytes();
    let private = private.map_err(|_| AuthError::NoRandomness)?;
    // 4, x, y (SEC 1, section 2.3.3).
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let public = json!({
        "kty": "EC", "crv": "P-384", "alg": "ES384", "use": "sig",
        "kid": secret::fresh_id()?, "x": text(x), "y": text(y),
    });
    let mut whole = public.clone();
    whole["d"] = json!(text(private.as_ref()));
    Ok((whole, public))
}
