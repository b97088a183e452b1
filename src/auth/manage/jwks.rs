//! Key sets of clients (RFC 7517): public signature keys that SMART App Launch names.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::form::Form;

/// Members that only private and symmetric keys have (RFC 7518, section 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
/// Keys of one client.
const MOST: usize = 20;
/// Bits of an RSA modulus.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// Checks a key set under `element`.
pub fn check(form: &mut Form, element: &str, set: &Value) {
    let keys = set.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| (1..=MOST).contains(&keys.len())) else {
        let reason = "must be a key set: an object with 1 to 20 public keys under \"keys\"";
        return form.check(element, Some(reason));
    };
    let mut ids = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let place = format!("{element}.keys[{at}]");
        let Some(key) = key.as_object() else {
            form.check(place, Some("must be an object"));
            continue;
        };
        form.check(&place, wrong_key(key));
        let id = text(key, "kid");
        let is_new = !id.is_empty() && !ids.contains(&id);
        ids.push(id);
        let reason = "must have a \"kid\" that no other key has: assertions name their key by it";
        form.check(place, (!is_new).then_some(reason));
    }
}

fn text<'k>(key: &'k Map<String, Value>, name: &str) -> &'k str {
    key.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn wrong_key(key: &Map<String, Value>) -> Option<&'static str> {
    if PRIVATE.iter().any(|name| key.contains_key(*name)) {
        return Some(
            "is a private or symmetric key, and now known to others: make a new one, and give the \
             public part only",
        );
    }
    if key.get("use").is_some_and(|of| of != "sig") {
        return Some("must be for signatures (\"use\": \"sig\")");
    }
    let wrong = match text(key, "kty") {
        "RSA" => wrong_rsa(key),
        "EC" => wrong_curve(key),
        _ => return Some("must be an RSA or EC key (\"kty\")"),
    };
    let (algorithms, reason): (&[&str], _) = match text(key, "kty") {
        "RSA" => (&["RS384"], "an RSA key signs with \"alg\": \"RS384\""),
        _ => (&["ES384"], "an EC key signs with \"alg\": \"ES384\""),
    };
    let named = key.get("alg").and_then(Value::as_str);
    let fits = named.is_none_or(|named| algorithms.contains(&named));
    wrong.or((!fits).then_some(reason))
}

fn bytes(key: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text(key, name)).ok()
}

fn wrong_rsa(key: &Map<String, Value>) -> Option<&'static str> {
    let (Some(modulus), Some(exponent)) = (bytes(key, "n"), bytes(key, "e")) else {
        return Some("must have \"n\" and \"e\" in base64url");
    };
    let significant = modulus.iter().position(|byte| *byte != 0);
    let bits = significant.map_or(0, |at| {
        let rest = &modulus[at..];
        rest.len() * 8 - rest[0].leading_zeros() as usize
    });
    if !RSA_BITS.contains(&bits) {
        return Some("is too short or too long: an RSA key has 2048 to 8192 bits");
    }
    let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
    let is_small = exponent.len() <= 4 && exponent != [1];
    let fits = is_odd(&modulus) && is_odd(&exponent) && is_small;
    (!fits).then_some("is no RSA key: the modulus or exponent cannot be one")
}

fn wrong_curve(key: &Map<String, Value>) -> Option<&'static str> {
    if text(key, "crv") != "P-384" {
        return Some("must be on the curve P-384");
    }
    let is_coordinate = |name| bytes(key, name).is_some_and(|bytes| bytes.len() == 48);
    let fits = is_coordinate("x") && is_coordinate("y");
    (!fits).then_some("must have \"x\" and \"y\" of 48 bytes in base64url")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(set: &Value) -> Vec<String> {
        let mut form = Form::default();
        check(&mut form, "jwks", set);
        form.0
            .into_iter()
            .map(|one| format!("{}: {}", one.element, one.reason))
            .collect()
    }

    fn rsa(bytes: usize) -> Value {
        let modulus = BASE64_URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        json!({"kty": "RSA", "kid": "a", "n": modulus, "e": "AQAB", "alg": "RS384"})
    }

    fn curve() -> Value {
        let half = BASE64_URL_SAFE_NO_PAD.encode([7; 48]);
        json!({"kty": "EC", "kid": "b", "crv": "P-384", "x": half, "y": half, "use": "sig"})
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    #[test]
    fn only_public_signature_keys_of_good_size_are_taken() {
        for (keys, expected) in [
            (vec![rsa(256)], None),
            (vec![rsa(256), curve()], None),
            (vec![], Some("jwks: must be a key set")),
            (vec![rsa(128)], Some("jwks.keys[0]: is too short")),
            (
                vec![with(rsa(256), "d", json!("AQAB"))],
                Some("is a private or symmetric key"),
            ),
            (
                vec![json!({"kty": "oct", "kid": "k", "k": "AAAA"})],
                Some("is a private or symmetric"),
            ),
            (
                vec![json!({"kty": "oct", "kid": "k"})],
                Some("must be an RSA or EC key"),
            ),
            (vec![with(rsa(256), "alg", json!("HS256"))], Some("RS384")),
            (vec![with(rsa(256), "alg", json!("none"))], Some("RS384")),
            (
                vec![with(rsa(256), "e", json!("AQ"))],
                Some("is no RSA key"),
            ),
            (vec![with(rsa(256), "n", json!("!"))], Some("in base64url")),
            (
                vec![with(rsa(256), "use", json!("enc"))],
                Some("for signatures"),
            ),
            (vec![with(curve(), "crv", json!("P-256"))], Some("P-384")),
            (vec![with(curve(), "x", json!("AAAA"))], Some("48 bytes")),
            (
                vec![curve(), curve()],
                Some("jwks.keys[1]: must have a \"kid\""),
            ),
            (
                vec![with(curve(), "kid", json!(""))],
                Some("must have a \"kid\""),
            ),
            (vec![json!(1)], Some("jwks.keys[0]: must be an object")),
        ] {
            let found = wrong(&json!({"keys": keys}));
            match expected {
                None => assert_eq!(found, Vec::<String>::new(), "{keys:?}"),
                Some(part) => assert!(
                    found.iter().any(|one| one.contains(part)),
                    "{part}: {found:?}"
                ),
            }
        }
        assert!(!wrong(&json!([])).is_empty());
    }
}
