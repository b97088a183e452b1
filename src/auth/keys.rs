//! The keys with which the server signs: RS256 for id_tokens (OpenID Connect Core 1.0), ES384 for
//! what it says of itself: its own assertions, the anchors of the audit.
//!
//! A key is published a day before it is used, so that whoever keeps the key set for a while has
//! it by then, and stays published for as long as what it signed is valid.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Auth,
    error::AuthError,
    records::{Changes, Found, Kept},
    sealed::MasterKey,
    secret,
};

const DAY_MS: i64 = 86_400_000;
/// Milliseconds for which a key signs.
const AGE_MS: i64 = 90 * DAY_MS;
/// Milliseconds for which a key is published before it signs.
const AHEAD_MS: i64 = DAY_MS;
/// Milliseconds for which a key stays published after it last signed an id_token: no token lives
/// longer.
const AFTER_MS: i64 = 2 * 3_600_000;
/// Milliseconds after which the keys are read again: another node may have made one.
const FRESH_MS: i64 = 60_000;

/// How something is signed (RFC 7518).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
}

impl Algorithm {
    /// All that the server signs with.
    const ALL: [Self; 2] = [Self::Rs256, Self::Es384];

    /// As headers name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es384 => "ES384",
        }
    }

    /// For how long a key stays published after it signed. What ES384 signs is checked long
    /// after.
    const fn after(self) -> Option<i64> {
        match self {
            Self::Rs256 => Some(AFTER_MS),
            Self::Es384 => None,
        }
    }
}

/// A signing key as it is kept; its name is the algorithm and a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    algorithm: Algorithm,
    /// The public half (RFC 7517).
    public: Value,
    /// The private half in PKCS #8, sealed; base64.
    sealed: String,
    /// When it begins to sign; milliseconds since 1970.
    from: i64,
    /// Until when it is published, once there is a next one.
    until: Option<i64>,
}

impl Kept for SigningKey {
    const KIND: i64 = 24;
    const NAME: &'static str = "signing key";

    fn owner(&self) -> &str {
        self.algorithm.name()
    }

    fn expires(&self) -> Option<i64> {
        self.until
    }
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

/// A key that is ready to sign.
struct Ready {
    kept: SigningKey,
    pair: Pair,
}

/// The keys, ready to sign.
#[derive(Default)]
pub struct Keys(RwLock<Option<(i64, Arc<Vec<Ready>>)>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Auth {
    /// Makes the keys that are missing, and the next ones when it is time.
    ///
    /// # Errors
    /// The store refuses; the computer has no randomness.
    pub async fn tend_keys(&self) -> Result<(), AuthError> {
        for algorithm in Algorithm::ALL {
            match self.tend_key(algorithm).await {
                // Another node was faster.
                Ok(()) | Err(AuthError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn tend_key(&self, algorithm: Algorithm) -> Result<(), AuthError> {
        let now = self.now();
        let kept = self.records().all::<SigningKey>(Some(algorithm.name()));
        let newest = kept.await?.pop();
        let (number, from) = match &newest {
            None => (1, now),
            Some(newest) if now < newest.value.from + AGE_MS - AHEAD_MS => return Ok(()),
            Some(newest) => {
                let from = (newest.value.from + AGE_MS).max(now + AHEAD_MS);
                (number_of(&newest.id) + 1, from)
            }
        };
        let master = self.master_key();
        let made = tokio::task::spawn_blocking(move || make(algorithm, from, &master)).await;
        let key = made.map_err(|_| AuthError::NoRandomness)??;
        let mut changes = Changes::new().create(&name(algorithm, number), &key)?;
        if let (Some(mut old), Some(after)) = (newest, algorithm.after()) {
            old.value.until = Some(from + after);
            changes = changes.replace(&old)?;
        }
        self.records().commit(changes).await?;
        *self.keys.0.write().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    async fn ready(&self) -> Result<Arc<Vec<Ready>>, AuthError> {
        let now = self.now();
        if let Some((at, ready)) = &*self.keys.0.read().unwrap_or_else(PoisonError::into_inner)
            && now < at + FRESH_MS
        {
            return Ok(Arc::clone(ready));
        }
        let kept = self.records().all::<SigningKey>(None).await?;
        let open = |found: Found<SigningKey>| ready(found.value, self.master());
        let all: Result<Vec<Ready>, AuthError> = kept.into_iter().map(open).collect();
        let all = Arc::new(all?);
        let fresh = Some((now, Arc::clone(&all)));
        *self.keys.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(all)
    }

    /// The public halves of the keys of an algorithm: those that sign, signed lately or will.
    ///
    /// # Errors
    /// The store refuses; a key cannot be opened.
    pub async fn public_keys(&self, algorithm: Algorithm) -> Result<Value, AuthError> {
        let now = self.now();
        let ready = self.ready().await?;
        let published = ready
            .iter()
            .map(|key| &key.kept)
            .filter(|key| key.algorithm == algorithm && key.until.is_none_or(|until| now < until));
        let keys: Vec<&Value> = published.map(|key| &key.public).collect();
        Ok(json!({ "keys": keys }))
    }

    /// Signs; gives the key's id and the signature.
    ///
    /// # Errors
    /// The store refuses; a key cannot be opened.
    pub async fn sign(
        &self,
        algorithm: Algorithm,
        message: impl FnOnce(&str) -> Vec<u8>,
    ) -> Result<(Vec<u8>, Vec<u8>), AuthError> {
        let now = self.now();
        let ready = self.ready().await?;
        let usable = ready
            .iter()
            .filter(|key| key.kept.algorithm == algorithm && key.kept.from <= now);
        let key = usable.max_by_key(|key| key.kept.from);
        let key = key.ok_or_else(|| {
            AuthError::Damaged(format!("there is no {} key to sign with", algorithm.name()))
        })?;
        let message = message(key.kept.public["kid"].as_str().unwrap_or_default());
        let signature = key.sign(&message)?;
        Ok((message, signature))
    }

    /// A JWT with these claims (RFC 7519).
    ///
    /// # Errors
    /// As [`Auth::sign`].
    pub async fn jwt(&self, algorithm: Algorithm, claims: &Value) -> Result<String, AuthError> {
        let part = |value: &Value| BASE64URL.encode(value.to_string());
        let head_and_claims = |kid: &str| {
            let head = json!({ "alg": algorithm.name(), "kid": kid, "typ": "JWT" });
            format!("{}.{}", part(&head), part(claims)).into_bytes()
        };
        let (message, signature) = self.sign(algorithm, head_and_claims).await?;
        let message = String::from_utf8_lossy(&message);
        Ok(format!("{message}.{}", BASE64URL.encode(signature)))
    }
}

impl Ready {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AuthError> {
        let random = SystemRandom::new();
        let signed = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
            Pair::Ec(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
        };
        signed.map_err(|_| AuthError::NoRandomness)
    }
}

fn name(algorithm: Algorithm, number: u32) -> String {
    format!("{}-{number:06}", algorithm.name())
}

fn number_of(name: &str) -> u32 {
    let (_, number) = name.split_once('-').unwrap_or_default();
    number.parse().unwrap_or(0)
}

/// What a private key is sealed for.
fn purpose(public: &Value) -> String {
    format!("signing key {}", public["kid"].as_str().unwrap_or_default())
}

fn make(algorithm: Algorithm, from: i64, master: &MasterKey) -> Result<SigningKey, AuthError> {
    let failed = |_| AuthError::NoRandomness;
    let encode = |bytes: &[u8]| BASE64URL.encode(bytes);
    let (mut public, private) = match algorithm {
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            let half = pair.public_key();
            let modulus = half.modulus().big_endian_without_leading_zero();
            let exponent = half.exponent().big_endian_without_leading_zero();
            let public = json!({ "e": encode(exponent), "kty": "RSA", "n": encode(modulus) });
            let der = pair.as_der().map_err(failed)?;
            (public, der.as_ref().to_vec())
        }
        Algorithm::Es384 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).map_err(failed)?;
            // 4, x, y: an uncompressed point.
            let point = pair.public_key().as_ref();
            let (x, y) = point.get(1..).unwrap_or_default().split_at(48);
            let public = json!({ "crv": "P-384", "kty": "EC", "x": encode(x), "y": encode(y) });
            let der = pair.to_pkcs8v1().map_err(failed)?;
            (public, der.as_ref().to_vec())
        }
    };
    // The members that say which key it is, in the order of their names (RFC 7638).
    let kid = secret::digest_base64(&public.to_string());
    if let Some(members) = public.as_object_mut() {
        members.insert("kid".to_owned(), json!(kid));
        members.insert("use".to_owned(), json!("sig"));
        members.insert("alg".to_owned(), json!(algorithm.name()));
    }
    let sealed = master.seal(&purpose(&public), &private)?;
    Ok(SigningKey {
        algorithm,
        sealed: encode(&sealed),
        public,
        from,
        until: None,
    })
}

fn ready(kept: SigningKey, master: &MasterKey) -> Result<Ready, AuthError> {
    let damaged = || AuthError::Damaged(purpose(&kept.public));
    let sealed = BASE64URL.decode(&kept.sealed).map_err(|_| damaged())?;
    let private = master.open(&purpose(&kept.public), &sealed)?;
    let pair = match kept.algorithm {
        Algorithm::Rs256 => RsaKeyPair::from_pkcs8(&private).map(Pair::Rsa),
        Algorithm::Es384 => {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &private).map(Pair::Ec)
        }
    };
    let pair = pair.map_err(|_| damaged())?;
    Ok(Ready { kept, pair })
}
