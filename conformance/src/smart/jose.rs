//! Challenges, `id_token`s and signed assertions.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::{SystemRandom, fill},
    rsa::PublicKeyComponents,
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE};
use serde_json::{Value, json};

/// Seconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the server from outside has a clock of its own"
)]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// 43 letters that nobody guesses.
///
/// # Errors
/// The system gives no random numbers.
pub fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    fill(&mut bytes).map_err(|_| "no random numbers")?;
    Ok(URL_SAFE.encode(bytes))
}

/// RFC 7636, `S256`.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE.encode(digest(&SHA256, verifier.as_bytes()))
}

/// A signed token, its parts read and nothing believed.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// The header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Jwt {
    /// Reads a compact serialization.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(format!("{} parts instead of 3", parts.len()));
        };
        let bytes = |part: &str| URL_SAFE.decode(part).map_err(|error| error.to_string());
        let value = |part: &str| -> Result<Value, String> {
            serde_json::from_slice(&bytes(part)?).map_err(|error| error.to_string())
        };
        Ok(Self {
            header: value(header)?,
            claims: value(claims)?,
            signed: format!("{header}.{claims}"),
            signature: bytes(signature)?,
        })
    }

    /// Checks the signature (RS256) with a key of a key set.
    ///
    /// # Errors
    /// It is not by this key.
    pub fn check(&self, key: &Value) -> Result<(), String> {
        let part = |name: &str| -> Result<Vec<u8>, String> {
            let text = key[name].as_str().unwrap_or_default();
            let bytes = URL_SAFE.decode(text).unwrap_or_default();
            match bytes.is_empty() {
                true => Err(format!("the key has no {name}")),
                false => Ok(bytes),
            }
        };
        let key = PublicKeyComponents {
            n: part("n")?,
            e: part("e")?,
        };
        let signed = self.signed.as_bytes();
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, &self.signature)
            .map_err(|_| "the signature is not by the key that kid names".to_owned())
    }
}

/// What a backend service signs with: a JWK of P-384, for ES384.
pub struct Signer {
    pair: EcdsaKeyPair,
    kid: Value,
}

impl Signer {
    /// Reads a private JWK.
    ///
    /// # Errors
    /// It is none of P-384.
    pub fn read(jwk: &Value) -> Result<Self, String> {
        if jwk["kty"] != "EC" || jwk["crv"] != "P-384" {
            return Err("the key must be a private JWK with kty EC and crv P-384".to_owned());
        }
        let part = |name: &str| URL_SAFE.decode(jwk[name].as_str().unwrap_or_default());
        let part = |name: &str| part(name).map_err(|error| format!("{name}: {error}"));
        let point = [vec![4], part("x")?, part("y")?].concat();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P384_SHA384_FIXED_SIGNING,
            &part("d")?,
            &point,
        );
        Ok(Self {
            pair: pair.map_err(|_| "the private and the public part do not fit")?,
            kid: jwk["kid"].clone(),
        })
    }

    /// A client assertion for `client` at `audience`.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn assertion(&self, client: &str, audience: &str) -> Result<String, String> {
        let part = |value: Value| URL_SAFE.encode(value.to_string());
        let header = json!({"alg": "ES384", "typ": "JWT", "kid": self.kid});
        let claims = json!({
            "iss": client, "sub": client, "aud": audience,
            "exp": now() + 240, "iat": now(), "jti": random()?,
        });
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), signed.as_bytes())
            .map_err(|_| "cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_standard() {
        // RFC 7636, appendix B.
        let challenge = challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in [
            "",
            "a.b",
            "a.b.c",
            "e30.e30",
            "e30.e30.e30.e30",
            "e30.e30.*",
        ] {
            assert!(Jwt::read(text).is_err(), "{text}");
        }
        assert!(Jwt::read("e30.e30.e30").is_ok());
    }
}
