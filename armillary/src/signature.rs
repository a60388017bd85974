//! Signatures on bundles and robot files, in the format of the program `minisign`: whoever has the public key can tell that a file is
//! the one that was signed.
//!
//! The signature of `FILE` is `FILE.minisig`. That of a bundle is over its list of hashes, which covers every other file of it.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use files::OutputError;
use minisign::{PublicKey, PublicKeyBox, SecretKeyBox, SignatureBox};
use world_model::sums::SUMS;
use world_model::{Bundle, BundleError};

/// The longest file that is signed, in bytes. Robot files and lists of hashes are far shorter.
const BYTES_MAX: u64 = 64 << 20;

/// The longest key or signature that is read, in bytes.
const KEY_BYTES_MAX: u64 = 1 << 16;

/// Why something was not signed, or is not believed to be.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// What was given is no key.
    #[error(
        "{given}: {problem}; give the path of a key of minisign's (`minisign -G` makes a pair), or a public key's line of base64"
    )]
    Key {
        /// What was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody has signed it.
    #[error(
        "{file}: is not signed: {signature} cannot be read ({source}), and a signature with key {key_id} is required; have its owner run \
         `armillary sign {named} --key SECRET_KEY`, or leave --require-signature out"
    )]
    Missing {
        /// The file that is to be signed.
        file: PathBuf,
        /// Its signature.
        signature: PathBuf,
        /// What was named: the file, or the bundle.
        named: PathBuf,
        /// The required key.
        key_id: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The signature is another's, or of something else.
    #[error(
        "{file}: its signature {signature} is not one of key {key_id}: {problem}; get the file and its signature again from whoever signed \
         it, or give that person's public key"
    )]
    Wrong {
        /// The signed file.
        file: PathBuf,
        /// Its signature.
        signature: PathBuf,
        /// The required key.
        key_id: String,
        /// What is wrong.
        problem: String,
    },
    /// A bundle without a list of hashes: a signature would cover nothing.
    #[error("{folder}: has no {SUMS} to sign; `armillary seal {folder}` adds it")]
    Unsealed {
        /// The bundle.
        folder: PathBuf,
    },
    /// The bundle is none.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file could not be read.
    #[error("{path}: cannot read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The library could not sign.
    #[error("{path}: cannot be signed: {problem}")]
    Sign {
        /// The file.
        path: PathBuf,
        /// What the library said.
        problem: String,
    },
    /// The signature could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// A public key.
#[derive(Debug, Clone)]
pub struct Key(PublicKey);

impl Key {
    /// Reads a public key: from a file, or from the line of base64 that the file holds.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn read(given: &str) -> Result<Self, SignatureError> {
        let fault = |problem: String| SignatureError::Key {
            given: given.to_owned(),
            problem,
        };
        if let Ok(key) = PublicKey::from_base64(given) {
            return Ok(Self(key));
        }
        let text = read(Path::new(given), KEY_BYTES_MAX).map_err(|error| fault(error.to_string()))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        PublicKeyBox::from_string(&text)
            .and_then(PublicKeyBox::into_public_key)
            .map(Self)
            .map_err(|error| fault(format!("is no public key: {error}")))
    }

    /// The key's number, as minisign writes it.
    pub fn id(&self) -> String {
        key_id(self.0.keynum())
    }

    /// Refuses a robot file, or a bundle's folder, that this key has not signed as it is.
    ///
    /// # Errors
    /// [`SignatureError`], naming file and key.
    pub fn require(&self, named: &Path) -> Result<(), SignatureError> {
        let file = signed_file(named)?;
        let signature_path = signature_of(&file);
        let text = read(&signature_path, KEY_BYTES_MAX).map_err(|source| SignatureError::Missing {
            file: file.clone(),
            signature: signature_path.clone(),
            named: named.to_owned(),
            key_id: self.id(),
            source,
        })?;
        let bytes = read(&file, BYTES_MAX).map_err(|source| SignatureError::Read {
            path: file.clone(),
            source,
        })?;
        let verify = || {
            let signature = SignatureBox::from_string(&String::from_utf8_lossy(&text))
                .map_err(|error| format!("it is no signature: {error}"))?;
            if signature.keynum() != self.0.keynum() {
                return Err(format!("it was made with key {}", key_id(signature.keynum())));
            }
            minisign::verify(&self.0, &signature, Cursor::new(bytes), true, false, false)
                .map_err(|error| format!("the file is not what was signed ({error})"))
        };
        let verified = files::guarded(verify).unwrap_or_else(|panic| Err(panic.to_string()));
        verified.map_err(|problem| SignatureError::Wrong {
            file: file.clone(),
            signature: signature_path,
            key_id: self.id(),
            problem,
        })
    }
}

/// Signs a robot file, or the bundle in a folder, with the secret key in the file `key`. Asks for the key's password on the terminal if
/// it has one. Returns where the signature is, and the number of the key. A signature that is there is replaced.
///
/// # Errors
/// [`SignatureError`].
pub fn sign(named: &Path, key: &Path) -> Result<(PathBuf, String), SignatureError> {
    if named.is_dir() {
        // Nobody signs what does not load.
        Bundle::load(named)?;
    }
    let file = signed_file(named)?;
    let bytes = read(&file, BYTES_MAX).map_err(|source| SignatureError::Read {
        path: file.clone(),
        source,
    })?;
    let fault = |problem: String| SignatureError::Key {
        given: key.display().to_string(),
        problem,
    };
    let text = read(key, KEY_BYTES_MAX).map_err(|error| fault(error.to_string()))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let secret = || SecretKeyBox::from_string(&text);
    let secret = match secret().and_then(SecretKeyBox::into_unencrypted_secret_key) {
        Ok(secret) => secret,
        // One with a password: the library asks for it.
        Err(_) => secret()
            .and_then(|secret| secret.into_secret_key(None))
            .map_err(|error| fault(format!("is no secret key, or the password is another: {error}")))?,
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let comment = format!("timestamp:{}\tfile:{name}\thashed", seconds.as_secs());
    let signature =
        minisign::sign(None, &secret, Cursor::new(bytes), Some(&comment), None).map_err(|error| {
            SignatureError::Sign {
                path: file.clone(),
                problem: error.to_string(),
            }
        })?;
    let path = signature_of(&file);
    // What is there may be replaced only if it is a signature.
    let is_signature = |head: &[u8]| SignatureBox::from_string(&String::from_utf8_lossy(head)).is_ok();
    files::put(&path, signature.into_string().as_bytes(), &is_signature)?;
    Ok((path, key_id(secret.keynum())))
}

/// The file that is signed for what was named: the list of hashes of a bundle, otherwise the file itself.
fn signed_file(named: &Path) -> Result<PathBuf, SignatureError> {
    if !named.is_dir() {
        return Ok(named.to_owned());
    }
    let list = named.join(SUMS);
    if list.is_file() {
        Ok(list)
    } else {
        Err(SignatureError::Unsealed {
            folder: named.to_owned(),
        })
    }
}

/// The path of the signature of `file`.
fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

fn read(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    files::read_at_most(path, bytes_max)
}

/// A key's number as minisign writes it.
fn key_id(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}
