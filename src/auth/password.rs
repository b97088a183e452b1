//! Passwords: what is accepted, and how they are kept (argon2id, RFC 9106).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::SaltString,
};
use tokio::sync::Semaphore;

use super::{AuthError, secret};

/// Memory of one hash in KiB.
const MEMORY: u32 = 19 << 10;
/// Passes over the memory.
const PASSES: u32 = 2;
/// Hashes that are worked on at a time: each takes a core.
const AT_A_TIME: usize = 2;
/// Requests that may wait for theirs: about two seconds.
const WAITING: usize = 64;
/// Characters of a password.
const SHORTEST: usize = 12;
const LONGEST: usize = 200;

/// No password has this hash; it costs what others cost.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyB0aGlz\
                       $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What people choose most when they must take twelve characters, and what stands in examples.
const COMMON: &[&str] = &[
    "123456789012",
    "1234567890123",
    "12345678901234",
    "123456789abc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "qwertyuiopas",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwerty123456",
    "qwertyqwerty",
    "qazwsxedcrfv",
    "zaq12wsxcde3",
    "asdfghjkl123",
    "asdfghjklqwe",
    "abcdefghijkl",
    "abcdefg12345",
    "abc123abc123",
    "password1234",
    "password12345",
    "password123456",
    "password2024",
    "password2025",
    "password2026",
    "passwordpassword",
    "passw0rd1234",
    "p@ssw0rd1234",
    "p@ssword1234",
    "welcome12345",
    "welcome123456",
    "letmein12345",
    "iloveyou1234",
    "iloveyouiloveyou",
    "iloveyousomuch",
    "administrator",
    "administrator1",
    "administrator123",
    "admin1234567",
    "adminadminadmin",
    "changemeplease",
    "changeme1234",
    "changeme12345",
    "trustno1trustno1",
    "correcthorsebatterystaple",
    "correct horse battery staple",
    "hospital1234",
    "hospital2025",
    "hospital2026",
    "rotunda12345",
    "rotundarotunda",
    "sunshine1234",
    "princess1234",
    "football1234",
    "baseball1234",
    "dragon123456",
    "superman1234",
    "michael12345",
    "secretsecret",
    "secret123456",
    "testtesttest",
    "test12345678",
    "monkey123456",
    "master123456",
    "computer1234",
];

/// Why no hash was made.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// As many wait as may.
    #[error("more passwords are being checked than the server can at a time; try again")]
    Busy,
    /// It could not be made at all.
    #[error(transparent)]
    Failed(#[from] AuthError),
}

/// Makes and checks hashes, a few at a time, away from the threads that answer requests.
#[derive(Debug, Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            running: Arc::new(Semaphore::new(AT_A_TIME)),
            waiting: Arc::default(),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It is another password, or there is none.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and its hash should be made anew: the parameters have changed.
    RightButOld,
}

impl Passwords {
    /// The hash of a password, in PHC form.
    ///
    /// # Errors
    /// [`HashError`]
    pub async fn hash(&self, password: &str) -> Result<String, HashError> {
        let password = password.to_owned();
        self.apart(move || hash(&password)).await?
    }

    /// Compares a password with a kept hash. Without one it takes as long.
    ///
    /// # Errors
    /// [`HashError`]
    pub async fn check(&self, password: &str, kept: Option<&str>) -> Result<Checked, HashError> {
        let password = password.to_owned();
        let kept = kept.map(str::to_owned);
        self.apart(move || Ok(check(&password, kept.as_deref())))
            .await?
    }

    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let _place = Place::take(&self.waiting).ok_or(HashError::Busy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await;
        let turn = turn.map_err(|_| HashError::Busy)?;
        let work = move || {
            let done = work();
            // Here, not by who asked: that may have gone while the core was still at work.
            drop(turn);
            done
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| AuthError::Damaged(format!("a password hash: {error}")).into())
    }
}

/// A place among those who wait.
struct Place<'w>(&'w AtomicUsize);

impl<'w> Place<'w> {
    fn take(waiting: &'w AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn argon2() -> Result<Argon2<'static>, AuthError> {
    let params = Params::new(MEMORY, PASSES, 1, None);
    let params = params.map_err(|error| AuthError::Damaged(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of a password, in PHC form; takes a core for some 50 ms.
///
/// # Errors
/// The computer has no randomness.
fn hash(password: &str) -> Result<String, HashError> {
    let failed = |error| AuthError::Damaged(format!("a password hash: {error}"));
    let salt = SaltString::encode_b64(&secret::random::<16>()?).map_err(failed)?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(failed)?.to_string())
}

fn check(password: &str, kept: Option<&str>) -> Checked {
    let parsed = PasswordHash::new(kept.unwrap_or(NOBODYS));
    let (Ok(parsed), Ok(argon2)) = (parsed, argon2()) else {
        tracing::error!("a password hash in the database is damaged");
        return Checked::Wrong;
    };
    let is_right = argon2.verify_password(password.as_bytes(), &parsed).is_ok();
    if !is_right || kept.is_none() {
        return Checked::Wrong;
    }
    let of_today = parsed.algorithm.as_str() == "argon2id"
        && Params::try_from(&parsed)
            .is_ok_and(|of| (of.m_cost(), of.t_cost(), of.p_cost()) == (MEMORY, PASSES, 1));
    if of_today {
        Checked::Right
    } else {
        Checked::RightButOld
    }
}

/// What is wrong with a new password, as a sentence that says what to do.
pub fn problem(password: &str, login: &str) -> Option<&'static str> {
    let length = password.chars().count();
    if length < SHORTEST {
        return Some("The password is too short: take at least 12 characters.");
    }
    if length > LONGEST {
        return Some("The password is too long: take at most 200 characters.");
    }
    let lower = password.to_lowercase();
    let letters = |text: &str| -> String { text.chars().filter(|c| c.is_alphabetic()).collect() };
    let login = login.trim().to_lowercase();
    if lower == login || (!letters(&login).is_empty() && letters(&lower) == letters(&login)) {
        return Some("The password must not be the log-in name, also not with digits around it.");
    }
    let mut different: Vec<char> = lower.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < 5 || COMMON.contains(&lower.as_str()) {
        return Some("The password is one that is guessed first: take another.");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_says_how_it_was_made() {
        let passwords = Passwords::default();
        let kept = passwords.hash("a long password").await.unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        let again = passwords.hash("a long password").await.unwrap();
        assert_ne!(kept, again, "each has a salt of its own");
        for (password, kept, expected) in [
            ("a long password", Some(kept.as_str()), Checked::Right),
            ("a long passwort", Some(kept.as_str()), Checked::Wrong),
            ("a long password", None, Checked::Wrong),
            ("", Some(""), Checked::Wrong),
            ("", Some("nonsense"), Checked::Wrong),
        ] {
            let found = passwords.check(password, kept).await.unwrap();
            assert_eq!(found, expected, "{password} {kept:?}");
        }
    }

    #[test]
    fn a_hash_with_other_parameters_is_to_be_made_anew() {
        let params = Params::new(64, 1, 1, None).unwrap();
        let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        let kept = old.hash_password(b"secret", &salt).unwrap().to_string();
        assert_eq!(check("secret", Some(&kept)), Checked::RightButOld);
        assert_eq!(check("other", Some(&kept)), Checked::Wrong);
    }

    #[test]
    fn nobodys_hash_is_one() {
        let parsed = PasswordHash::new(NOBODYS).unwrap();
        let params = Params::try_from(&parsed).unwrap();
        assert_eq!((params.m_cost(), params.t_cost()), (MEMORY, PASSES));
    }

    #[tokio::test]
    async fn who_waits_is_bounded() {
        let passwords = Passwords::default();
        passwords.waiting.store(WAITING, Ordering::Relaxed);
        let refused = passwords.check("a", None).await;
        assert!(matches!(refused, Err(HashError::Busy)));
        assert_eq!(passwords.waiting.load(Ordering::Relaxed), WAITING);
    }

    #[test]
    fn passwords_that_are_guessed_first_are_refused() {
        for (password, login, accepted) in [
            ("elevenchars", "kate", false),
            ("twelve chars", "kate", true),
            ("zwölf Ölfässer", "kate", true),
            ("Password1234", "kate", false),
            ("aaaaaaaaaaaab", "kate", false),
            ("katherine.smith", "Katherine.Smith", false),
            ("Katherinesmith99", "katherine.smith", false),
            ("katherine smith likes tea", "katherine.smith", true),
            ("long numbers 1", "12345", true),
        ] {
            let problem = problem(password, login);
            assert_eq!(problem.is_none(), accepted, "{password}: {problem:?}");
        }
        assert!(problem(&"ab cd ef".repeat(30), "kate").is_some());
    }
}
