//! Encryption of single fields: XChaCha20-Poly1305 with a random nonce, bound to the place it is stored in, so that a
//! ciphertext moved to another row, column or organisation does not open.
//!
//! Stored form: `dc1.<cipher>.<key id>.<nonce>.<ciphertext and tag>`, the last three in hex. Cipher `x` is
//! XChaCha20-Poly1305. Look-ups go through a blind index: HMAC-SHA-256 (RFC 2104) over the normalised value.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use domain::id::OrgId;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Error;

/// The place a field is stored in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// Table.
    pub(crate) table: &'a str,
    /// Column.
    pub(crate) column: &'a str,
    /// Primary key within the organisation.
    pub(crate) row: Uuid,
    /// Organisation.
    pub(crate) org: OrgId,
}

/// Encrypts and decrypts fields with one key.
pub struct Cipher {
    aead: XChaCha20Poly1305,
    index_key: [u8; 32],
    key_id: String,
}

impl std::fmt::Debug for Cipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Cipher {
    /// A cipher over one 256-bit root key. Field key and index key are derived from it and differ.
    pub(crate) fn new(root: &[u8; 32]) -> Self {
        let field_key = hmac_sha256(root, b"digi-cadence field encryption v1");
        Self {
            aead: XChaCha20Poly1305::new(&field_key.into()),
            index_key: hmac_sha256(root, b"digi-cadence blind index v1"),
            key_id: hex::encode(&Sha256::digest(field_key)[..8]),
        }
    }

    fn bound_to(&self, place: Place<'_>) -> Vec<u8> {
        format!(
            "{}|{}|{}|{}|{}",
            place.table,
            place.column,
            place.row.simple(),
            place.org.0.simple(),
            self.key_id
        )
        .into_bytes()
    }

    /// Encrypts `plain` for `place`.
    pub(crate) fn seal(&self, place: Place<'_>, plain: &str) -> Result<String, Error> {
        let mut nonce = [0_u8; 24];
        getrandom::fill(&mut nonce)
            .map_err(|error| Error::internal(format!("no randomness: {error}")))?;
        let sealed = self
            .aead
            .encrypt(
                XNonce::from_slice(&nonce),
                Payload {
                    msg: plain.as_bytes(),
                    aad: &self.bound_to(place),
                },
            )
            .map_err(|_| Error::internal("a field could not be encrypted"))?;
        Ok(format!(
            "dc1.x.{}.{}.{}",
            self.key_id,
            hex::encode(nonce),
            hex::encode(sealed)
        ))
    }

    /// Decrypts a field read from `place`.
    ///
    /// # Errors
    /// Internal, when it was changed, moved, or sealed with another key.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &str) -> Result<String, Error> {
        let refused = |why: &str| {
            Error::internal(format!(
                "{}.{} cannot be decrypted: {why}",
                place.table, place.column
            ))
        };
        let mut parts = sealed.split('.');
        let (Some("dc1"), Some("x"), Some(key), Some(nonce), Some(text), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(refused("it does not have the form of an encrypted field"));
        };
        if key != self.key_id {
            return Err(refused("it was encrypted with another key"));
        }
        let nonce: [u8; 24] = hex::decode(nonce)
            .ok()
            .and_then(|n| n.try_into().ok())
            .ok_or_else(|| refused("its nonce is malformed"))?;
        let text = hex::decode(text).map_err(|_| refused("it is not hex"))?;
        let plain = self
            .aead
            .decrypt(
                XNonce::from_slice(&nonce),
                Payload {
                    msg: &text,
                    aad: &self.bound_to(place),
                },
            )
            .map_err(|_| refused("it was changed or moved"))?;
        String::from_utf8(plain).map_err(|_| refused("it is not text"))
    }

    /// The blind index of a value in a column: equal values give equal indexes, and nothing else can be learnt.
    pub(crate) fn index(&self, column: &str, value: &str) -> Vec<u8> {
        hmac_sha256(
            &self.index_key,
            format!("{column}|{}", value.trim().to_lowercase()).as_bytes(),
        )[..16]
            .to_vec()
    }
}

/// HMAC-SHA-256 as in RFC 2104, for keys of at most one block.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut inner = [0x36_u8; 64];
    let mut outer = [0x5c_u8; 64];
    for (index, byte) in key.iter().enumerate() {
        inner[index] ^= byte;
        outer[index] ^= byte;
    }
    let digest = Sha256::new()
        .chain_update(inner)
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(outer)
        .chain_update(digest)
        .finalize()
        .into()
}

/// Reads the key file, or makes it with mode 0600. Two processes that start together end up with the same key.
pub(crate) fn key_from_file(path: &Path) -> Result<[u8; 32], Error> {
    match read_key(path) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => {}
        Err(error) => return Err(error),
    }
    let mut key = [0_u8; 32];
    let mut tag = [0_u8; 8];
    getrandom::fill(&mut key)
        .and_then(|()| getrandom::fill(&mut tag))
        .map_err(|error| Error::internal(format!("no randomness: {error}")))?;
    let draft = PathBuf::from(format!("{}.{}", path.display(), hex::encode(tag)));
    let made =
        write_private(&draft, &hex::encode(key)).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    // The draft has served its purpose whether or not the link was made; a leftover would only be an unused key.
    let _ = fs::remove_file(&draft);
    made.map_err(|error| {
        Error::Config(format!(
            "the key file {} cannot be written: {error}",
            path.display()
        ))
    })?;
    read_key(path)?.ok_or_else(|| {
        Error::Config(format!(
            "the key file {} disappeared while it was made",
            path.display()
        ))
    })
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn read_key(path: &Path) -> Result<Option<[u8; 32]>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::Config(format!(
                "the key file {} cannot be read: {error}",
                path.display()
            )));
        }
    };
    let key = hex::decode(text.trim())
        .ok()
        .and_then(|k| k.try_into().ok());
    key.map(Some).ok_or_else(|| {
        Error::Config(format!(
            "the key file {} does not hold 64 hex digits; restore it from your backup",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: u128, org: &str) -> Place<'static> {
        Place {
            table: "users",
            column: "email",
            row: Uuid::from_u128(row),
            org: OrgId::derive(&[org]),
        }
    }

    #[test]
    fn hmac_agrees_with_an_independent_implementation() {
        // Python: hmac.new(bytes(range(32)), b"digi-cadence", hashlib.sha256).hexdigest()
        let key: [u8; 32] = std::array::from_fn(|i| u8::try_from(i).expect("small"));
        assert_eq!(hex::encode(hmac_sha256(&key, b"digi-cadence")), HMAC_ORACLE);
    }

    const HMAC_ORACLE: &str = "592fab51329bdf5c35e7ddd989feecdfd7d4678c94db40612194deabb7a07898";

    #[test]
    fn a_sealed_field_opens_in_its_place() {
        let cipher = Cipher::new(&[7; 32]);
        let sealed = cipher
            .seal(place(1, "a"), "ada@example.org")
            .expect("seals");
        assert!(!sealed.contains("ada"));
        assert_eq!(
            cipher.open(place(1, "a"), &sealed).expect("opens"),
            "ada@example.org"
        );
        assert_ne!(
            sealed,
            cipher
                .seal(place(1, "a"), "ada@example.org")
                .expect("seals"),
            "nonces are fresh"
        );
    }

    #[test]
    fn a_field_moved_to_another_row_column_or_organisation_does_not_open() {
        let cipher = Cipher::new(&[7; 32]);
        let sealed = cipher
            .seal(place(1, "a"), "ada@example.org")
            .expect("seals");
        assert!(cipher.open(place(2, "a"), &sealed).is_err());
        assert!(cipher.open(place(1, "b"), &sealed).is_err());
        assert!(
            cipher
                .open(
                    Place {
                        column: "name",
                        ..place(1, "a")
                    },
                    &sealed
                )
                .is_err()
        );
        assert!(
            cipher
                .open(
                    Place {
                        table: "sessions",
                        ..place(1, "a")
                    },
                    &sealed
                )
                .is_err()
        );
        assert!(Cipher::new(&[8; 32]).open(place(1, "a"), &sealed).is_err());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let cipher = Cipher::new(&[7; 32]);
        let sealed = cipher.seal(place(1, "a"), "x").expect("seals");
        let (head, body) = sealed.rsplit_once('.').expect("has parts");
        let bytes = hex::decode(body).expect("hex");
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(
                cipher
                    .open(place(1, "a"), &format!("{head}.{}", hex::encode(changed)))
                    .is_err(),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn an_index_is_the_same_for_the_same_address_only() {
        let cipher = Cipher::new(&[7; 32]);
        assert_eq!(
            cipher.index("email", " Ada@Example.org"),
            cipher.index("email", "ada@example.org")
        );
        assert_ne!(
            cipher.index("email", "ada@example.org"),
            cipher.index("email", "bob@example.org")
        );
        assert_ne!(
            cipher.index("email", "ada@example.org"),
            cipher.index("label", "ada@example.org")
        );
    }
}
