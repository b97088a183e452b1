//! Keys of clients, and what they sign.

use std::sync::OnceLock;

use aws_lc_rs::{
    encoding::AsDer,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use serde_json::{Value, json};

/// What `client_assertion_type` says.
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client's keys: made once for all tests, since that takes a while.
pub struct Keys {
    pub rsa: RsaKeyPair,
    pub ec: EcdsaKeyPair,
    /// A key that nobody has registered.
    pub foreign: RsaKeyPair,
}

/// With what to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    Rs384,
    Rs256,
    Es384,
    /// With the key that nobody has registered.
    Foreign,
    /// With the RSA public key, in DER, as the secret of an HMAC.
    Hmac,
    /// Not at all.
    Nothing,
}

impl Keys {
    pub fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(|| Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            foreign: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        })
    }

    /// The set that the client registers: `r` is the RSA key, `e` the other; `twice` is there
    /// twice.
    pub fn set(&self) -> Value {
        let ec = self.ec.public_key().as_ref();
        let ec = |kid: &str| {
            json!({
                "kty": "EC", "crv": "P-384", "kid": kid, "key_ops": ["verify"],
                "x": BASE64URL.encode(&ec[1..49]), "y": BASE64URL.encode(&ec[49..]),
            })
        };
        json!({ "keys": [
            rsa(&self.rsa, "r"), ec("e"),
            rsa(&self.rsa, "twice"), rsa(&self.foreign, "twice"),
            rsa(&self.rsa, "both"), ec("both"),
        ] })
    }

    /// A JWT with this header and these claims.
    pub fn sign(&self, with: With, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64URL.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let bytes = message.as_bytes();
        let random = SystemRandom::new();
        let rsa = |key: &RsaKeyPair, padding| {
            let mut signature = vec![0; key.public_modulus_len()];
            key.sign(padding, &random, bytes, &mut signature).unwrap();
            signature
        };
        let signature = match with {
            With::Rs384 => rsa(&self.rsa, &signature::RSA_PKCS1_SHA384),
            With::Rs256 => rsa(&self.rsa, &signature::RSA_PKCS1_SHA256),
            With::Foreign => rsa(&self.foreign, &signature::RSA_PKCS1_SHA384),
            With::Es384 => self.ec.sign(&random, bytes).unwrap().as_ref().to_vec(),
            With::Hmac => {
                let public = self.rsa.public_key().as_der().unwrap();
                let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_ref());
                hmac::sign(&key, bytes).as_ref().to_vec()
            }
            With::Nothing => Vec::new(),
        };
        format!("{message}.{}", BASE64URL.encode(signature))
    }
}

fn rsa(key: &RsaKeyPair, kid: &str) -> Value {
    let public = key.public_key();
    let part = |bytes: &[u8]| BASE64URL.encode(bytes);
    json!({
        "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS384",
        "n": part(public.modulus().big_endian_without_leading_zero()),
        "e": part(public.exponent().big_endian_without_leading_zero()),
    })
}
