//! The second factor: codes of an authenticator app (RFC 6238), and recovery codes for when it is
//! lost.

use std::fmt::Write as _;

use totp_rs::{Builder, Secret};

use super::{
    Auth, AuthError,
    records::Found,
    secret,
    user::{Totp, User},
};

/// The purpose under which seeds are sealed.
const PURPOSE: &str = "second factor";
/// Seconds of a time step.
const STEP: u64 = 30;
/// Recovery codes that are made at a time.
const CODES: usize = 10;

/// A seed for an authenticator app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed([u8; 20]);

impl Seed {
    /// What the app takes when it is typed in.
    pub fn text(&self) -> String {
        base32(&self.0)
    }

    /// What the app takes from a QR code.
    pub fn address(&self, issuer: &str, login: &str) -> String {
        let encoded = |text| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let (issuer, login) = (encoded(issuer), encoded(login));
        format!(
            "otpauth://totp/{issuer}:{login}?secret={}&issuer={issuer}",
            self.text()
        )
    }

    /// The time step whose code this is: the one of `now`, the one before or the one after.
    fn step(&self, code: &str, now: i64) -> Option<i64> {
        let totp = Builder::new()
            .with_secret(Secret::new_stack(self.0))
            .with_skew(1)
            .with_step_duration(STEP)
            .build()
            .ok()?;
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let seconds = u64::try_from(now / 1_000).ok()?;
        let step = totp.check(&digits, seconds)?;
        i64::try_from(step).ok()
    }
}

impl Auth {
    /// Gives a user a new seed, which counts when [`Auth::confirm_totp`] has seen a code of it.
    ///
    /// # Errors
    /// [`AuthError::Invalid`] if there is a second factor already; the store refuses.
    pub async fn new_totp(&self, user: &str) -> Result<Seed, AuthError> {
        let seed = Seed(secret::random()?);
        let sealed = self.master.seal(PURPOSE, &seed.0)?;
        let set = |user: &mut User| {
            if user.totp.as_ref().is_some_and(|totp| totp.confirmed) {
                return Err(AuthError::Invalid(
                    "There is a second factor already; turn it off first.".to_owned(),
                ));
            }
            user.totp = Some(Totp {
                seed: sealed.clone(),
                used: 0,
                confirmed: false,
            });
            Ok(())
        };
        self.records.update::<User>(user, set).await?;
        Ok(seed)
    }

    /// The seed that waits to be confirmed.
    ///
    /// # Errors
    /// The seed cannot be opened.
    pub fn waiting_seed(&self, user: &User) -> Result<Option<Seed>, AuthError> {
        match &user.totp {
            Some(totp) if !totp.confirmed => self.seed(totp).map(Some),
            _ => Ok(None),
        }
    }

    /// Turns the second factor on, if `code` is one of the new seed; gives the recovery codes.
    ///
    /// # Errors
    /// The store refuses; the seed cannot be opened.
    pub async fn confirm_totp(
        &self,
        user: &str,
        code: &str,
    ) -> Result<Option<Vec<String>>, AuthError> {
        let found = self.records.get::<User>(user).await?;
        if self.waiting_seed(&found.value)?.is_none() || !self.use_step(&found, code).await? {
            return Ok(None);
        }
        self.new_recovery_codes(user).await.map(Some)
    }

    /// Turns the second factor off.
    ///
    /// # Errors
    /// The store refuses.
    pub async fn remove_totp(&self, user: &str) -> Result<(), AuthError> {
        let remove = |user: &mut User| {
            user.totp = None;
            user.recovery = Vec::new();
            Ok(())
        };
        self.records.update::<User>(user, remove).await?;
        Ok(())
    }

    /// Recovery codes in the place of those that there were; they are kept as hashes.
    ///
    /// # Errors
    /// The store refuses; the computer has no randomness.
    pub async fn new_recovery_codes(&self, user: &str) -> Result<Vec<String>, AuthError> {
        let codes: Result<Vec<String>, AuthError> = (0..CODES).map(|_| recovery_code()).collect();
        let codes = codes?;
        let set = |user: &mut User| {
            user.recovery = codes.iter().map(|code| recovery_hash(code)).collect();
            Ok(())
        };
        self.records.update::<User>(user, set).await?;
        Ok(codes)
    }

    /// Whether `code` is a code of the user's app or a recovery code. It is used up by that.
    ///
    /// # Errors
    /// The store refuses; the seed cannot be opened.
    pub async fn use_code(&self, found: &Found<User>, code: &str) -> Result<bool, AuthError> {
        Ok(self.use_step(found, code).await? || self.use_recovery(&found.id, code).await?)
    }

    async fn use_step(&self, found: &Found<User>, code: &str) -> Result<bool, AuthError> {
        let Some(totp) = &found.value.totp else {
            return Ok(false);
        };
        let Some(step) = self.seed(totp)?.step(code, self.now()) else {
            return Ok(false);
        };
        let seed = &totp.seed;
        // Of several who come with the same code at the same time, one gets in.
        let used = self.records.update::<User>(&found.id, |user| {
            let same = user.totp.as_mut().filter(|totp| totp.seed == *seed);
            let totp = same.filter(|totp| totp.used < step).ok_or_else(spent)?;
            totp.used = step;
            totp.confirmed = true;
            Ok(())
        });
        was_used(used.await)
    }

    async fn use_recovery(&self, user: &str, code: &str) -> Result<bool, AuthError> {
        let hash = recovery_hash(code);
        let used = self.records.update::<User>(user, |user| {
            let at = user.recovery.iter().position(|kept| *kept == hash);
            user.recovery.remove(at.ok_or_else(spent)?);
            Ok(())
        });
        was_used(used.await)
    }

    fn seed(&self, totp: &Totp) -> Result<Seed, AuthError> {
        let plain = self.master.open(PURPOSE, &totp.seed)?;
        let seed = plain.try_into();
        let damaged = |_| AuthError::Damaged("a second factor's seed".to_owned());
        seed.map(Seed).map_err(damaged)
    }
}

fn spent() -> AuthError {
    AuthError::Invalid("the code was used before".to_owned())
}

fn was_used(result: Result<Found<User>, AuthError>) -> Result<bool, AuthError> {
    match result {
        Ok(_) => Ok(true),
        Err(AuthError::Invalid(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// 80 bits in groups that can be read out.
fn recovery_code() -> Result<String, AuthError> {
    let letters = base32(&secret::random::<10>()?).to_lowercase();
    let mut code = String::new();
    for (at, letter) in letters.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            code.push('-');
        }
        code.push(letter);
    }
    Ok(code)
}

fn recovery_hash(code: &str) -> String {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    secret::hash(&letters.collect::<String>().to_lowercase())
}

/// RFC 4648, section 6, for lengths that need no padding.
fn base32(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let number = group
            .iter()
            .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let at = usize::try_from(number >> (5 * place) & 31).unwrap_or(0);
            let _ = write!(text, "{}", char::from(LETTERS[at]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, in six digits.
    #[test]
    fn codes_are_those_of_the_standard_one_step_around() {
        let seed = Seed(*b"12345678901234567890");
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            for (skew, taken) in [
                (-60, false),
                (-30, true),
                (0, true),
                (30, true),
                (60, false),
            ] {
                let found = seed.step(code, (second + skew) * 1_000);
                let expected = taken.then_some(second / 30);
                assert_eq!(found, expected, "{code} {skew} s away");
            }
        }
        for nonsense in ["", "28708", "2870820", "28708a", "２８７０８２"] {
            assert_eq!(seed.step(nonsense, 59_000), None, "{nonsense}");
        }
        assert!(seed.step(" 287 082", 59_000).is_some());
    }

    #[test]
    fn seeds_and_codes_are_written_as_people_can_type_them() {
        let seed = Seed(*b"12345678901234567890");
        assert_eq!(seed.text(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let address = seed.address("fhir.example.org", "kate s");
        assert!(
            address.starts_with("otpauth://totp/fhir%2Eexample%2Eorg:kate%20s?secret=GEZD"),
            "{address}"
        );
        let code = recovery_code().unwrap();
        assert_eq!(code.len(), 19);
        let typed = code.to_uppercase().replace('-', " ");
        assert_eq!(recovery_hash(&code), recovery_hash(&typed));
    }
}
