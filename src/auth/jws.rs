//! Signed tokens of others (RFC 7515, RFC 7519): read strictly, checked with one key of theirs.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

/// Bytes of the longest token that is read.
const LONGEST: usize = 16 << 10;
/// Bits of the shortest RSA modulus that is taken.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// A token in its three parts; nothing of it is proven.
#[derive(Debug)]
pub struct Unproven<'t> {
    signed: &'t str,
    signature: &'t str,
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
}

impl<'t> Unproven<'t> {
    /// The parts of a token.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn read(text: &'t str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("it is too long");
        }
        let (signed, signature) = text.rsplit_once('.').ok_or("it has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no three parts")?;
        if claims.contains('.') || signature.is_empty() {
            return Err("it has no three parts");
        }
        let object = |part: &str| -> Option<Map<String, Value>> {
            serde_json::from_slice(&BASE64URL.decode(part).ok()?).ok()
        };
        let header = object(header).ok_or("its header is no JSON object in base64url")?;
        let claims = object(claims).ok_or("its claims are no JSON object in base64url")?;
        if header.contains_key("crit") {
            return Err("its header has critical extensions, none of which is known");
        }
        Ok(Self {
            signed,
            signature,
            header,
            claims,
        })
    }

    /// A text of the header.
    pub fn of_header(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// A text of the claims.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A time of the claims, in milliseconds since 1970; a time in quotes is none.
    pub fn time(&self, name: &str) -> Option<i64> {
        let seconds = self.claims.get(name)?.as_f64()?;
        (0.0..1e11)
            .contains(&seconds)
            .then_some((seconds * 1_000.0) as i64)
    }

    /// Whether a claim is there that should be a time and is none.
    pub fn has_bad_time(&self) -> bool {
        let times = ["exp", "nbf", "iat"].into_iter();
        times
            .filter(|name| self.claims.contains_key(*name))
            .any(|name| self.time(name).is_none())
    }

    /// Whether the token is for `audience`.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// Whether one of `keys` signed it with one of `algorithms`: the one with the `kid` of the
    /// header and the `kty` of the algorithm, of which there must be no other.
    ///
    /// # Errors
    /// Why it is not proven.
    pub fn check(&self, keys: &[Value], algorithms: &[&str]) -> Result<(), &'static str> {
        let name = self.of_header("alg").unwrap_or_default();
        if !algorithms.contains(&name) {
            return Err("its alg is not one that is taken");
        }
        let algorithm: Algorithm = name.parse().map_err(|_| "its alg is not known")?;
        let kty = match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => "RSA",
            Algorithm::ES256 | Algorithm::ES384 => "EC",
            _ => return Err("its alg is not one that is taken"),
        };
        let kid = self.of_header("kid").ok_or("its header has no kid")?;
        let mut candidates = keys
            .iter()
            .filter(|key| key["kid"] == kid && key["kty"] == kty);
        let key = candidates
            .next()
            .ok_or("there is no key with its kid and the kty of its alg")?;
        if candidates.next().is_some() {
            return Err("there are several keys with its kid and the kty of its alg");
        }
        let key = decoding_key(key, name)?;
        let signed = self.signed.as_bytes();
        match jsonwebtoken::crypto::verify(self.signature, signed, &key, algorithm) {
            Ok(true) => Ok(()),
            _ => Err("its signature does not match"),
        }
    }
}

/// A public key, if it is for signatures with this algorithm and strong enough.
fn decoding_key(key: &Value, algorithm: &str) -> Result<DecodingKey, &'static str> {
    let text = |name: &str| key[name].as_str();
    let is_for_signatures = text("use").is_none_or(|of| of == "sig")
        && text("alg").is_none_or(|of| of == algorithm)
        && key["key_ops"]
            .as_array()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !is_for_signatures {
        return Err("the key is registered for another use");
    }
    let broken = "the key is incomplete";
    if key["kty"] == "RSA" {
        let (n, e) = (text("n").ok_or(broken)?, text("e").ok_or(broken)?);
        let modulus = BASE64URL.decode(n).map_err(|_| broken)?;
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        if !RSA_BITS.contains(&((modulus.len() - zeros) * 8)) {
            return Err("the RSA key must have from 2048 to 8192 bits");
        }
        return DecodingKey::from_rsa_components(n, e).map_err(|_| broken);
    }
    let curve = match algorithm {
        "ES256" => "P-256",
        _ => "P-384",
    };
    if text("crv") != Some(curve) {
        return Err("the curve of the key is not that of the alg");
    }
    let (x, y) = (text("x").ok_or(broken)?, text("y").ok_or(broken)?);
    DecodingKey::from_ec_components(x, y).map_err(|_| broken)
}
