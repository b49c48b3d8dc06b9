//! Passwords: argon2id at the OWASP floor (19 MiB, 2 passes, 1 lane), never more at once than there are cores.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version,
    password_hash::SaltString,
};
use domain::{Error, ErrorKind};
use tokio::sync::Semaphore;

use crate::problem::{Answer, Problem};

/// Shortest password of a person who has no second factor (NIST SP 800-63B-4).
const SHORTEST: usize = 15;
/// Longest, so that nobody makes us hash a book.
const LONGEST: usize = 256;
/// Checks that may wait for a core; more are refused, because each needs 19 MiB and some 50 ms.
const WAITING: usize = 64;

fn argon2() -> Argon2<'static> {
    let params =
        Params::new(19_456, 2, 1, None).expect("these parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The PHC string to store for a password. Takes some 50 ms of a core.
///
/// # Errors
/// `password.too_short`, `password.too_long`, `password.too_plain`.
pub fn hash_password(password: &str) -> Result<String, Error> {
    let length = password.chars().count();
    if length < SHORTEST {
        let error = Error::invalid(
            "password.too_short",
            format!("a password has at least {SHORTEST} characters"),
        );
        return Err(error.advise("four unrelated words make a good one"));
    }
    if length > LONGEST {
        return Err(Error::invalid(
            "password.too_long",
            format!("a password has at most {LONGEST} characters"),
        ));
    }
    let distinct: std::collections::BTreeSet<char> = password.chars().collect();
    if distinct.len() < 5 {
        let error = Error::invalid(
            "password.too_plain",
            "a password has at least five different characters",
        );
        return Err(error.advise("four unrelated words make a good one"));
    }
    Ok(hash(password))
}

fn hash(password: &str) -> String {
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).expect("the operating system gives random bytes");
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
    argon2()
        .hash_password(password.as_bytes(), &salt)
        .expect("the parameters are sound")
        .to_string()
}

/// Checks passwords with bounded work.
#[derive(Debug)]
pub(crate) struct Passwords {
    cores: Arc<Semaphore>,
    waiting: AtomicUsize,
    nobodys: OnceLock<String>,
}

impl Passwords {
    /// For a machine with `cores`.
    pub(crate) fn new(cores: usize) -> Self {
        Self {
            cores: Arc::new(Semaphore::new(cores.max(1))),
            waiting: AtomicUsize::new(0),
            nobodys: OnceLock::new(),
        }
    }

    /// Whether `password` is the one that `stored` was made of. Without a stored hash the same work is done and the
    /// answer is no, so that nobody learns from the time which addresses have an account.
    ///
    /// # Errors
    /// `sign_in.busy` when too many checks wait already.
    pub(crate) async fn verify(&self, password: String, stored: Option<String>) -> Answer<bool> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return Err(Problem::new(
                ErrorKind::TooMany,
                "sign_in.busy",
                "too many people are signing in just now",
            )
            .advise("try again in a few seconds"));
        }
        let permit = Arc::clone(&self.cores).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let permit = permit.map_err(|_| {
            Problem::new(
                ErrorKind::Unavailable,
                "sign_in.closed",
                "the server is stopping",
            )
        })?;
        let is_somebodys = stored.is_some();
        let stored = stored.unwrap_or_else(|| {
            self.nobodys
                .get_or_init(|| hash("nobody has this password"))
                .clone()
        });
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            PasswordHash::new(&stored).is_ok_and(|parsed| {
                argon2()
                    .verify_password(password.as_bytes(), &parsed)
                    .is_ok()
            })
        });
        let is_right = checked.await.map_err(|error| {
            tracing::error!(%error, "a password check did not end");
            Problem::new(
                ErrorKind::Unavailable,
                "sign_in.closed",
                "the server is stopping",
            )
        })?;
        Ok(is_right && is_somebodys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_that_is_easy_to_guess_is_refused() {
        assert_eq!(
            hash_password("short").expect_err("short").code,
            "password.too_short"
        );
        assert_eq!(
            hash_password(&"ab".repeat(10)).expect_err("plain").code,
            "password.too_plain"
        );
        assert_eq!(
            hash_password(&"abcde fgh".repeat(50))
                .expect_err("long")
                .code,
            "password.too_long"
        );
    }

    #[tokio::test]
    async fn the_right_password_passes_and_nothing_else_does() {
        let passwords = Passwords::new(1);
        let stored = hash_password("correct horse battery staple").expect("a good password");
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        let verify = |password: &str, stored: Option<&str>| {
            passwords.verify(password.into(), stored.map(Into::into))
        };
        assert!(
            verify("correct horse battery staple", Some(&stored))
                .await
                .expect("checked")
        );
        assert!(
            !verify("correct horse battery stapl", Some(&stored))
                .await
                .expect("checked")
        );
        assert!(
            !verify("correct horse battery staple", Some("not a hash"))
                .await
                .expect("checked")
        );
        assert!(
            !verify("nobody has this password", None)
                .await
                .expect("checked"),
            "nobody's password opens nothing"
        );
    }

    #[tokio::test]
    async fn more_checks_than_can_wait_are_refused_at_once() {
        let passwords = Passwords::new(1);
        let _core = Arc::clone(&passwords.cores)
            .acquire_owned()
            .await
            .expect("open");
        passwords.waiting.store(WAITING, Ordering::Release);
        let refused = passwords
            .verify("x".into(), None)
            .await
            .expect_err("the queue is full");
        assert_eq!(refused.status(), poem::http::StatusCode::TOO_MANY_REQUESTS);
    }
}
