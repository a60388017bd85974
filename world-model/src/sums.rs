//! `SHA256SUMS`: the list of hashes that covers every file of a bundle, the manifest included.
//!
//! It has the form of the program `sha256sum`, so that `sha256sum -c SHA256SUMS` checks a bundle without this program.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::BundleError;

/// Name of the list's file.
pub const SUMS: &str = "SHA256SUMS";

/// The longest list that is read, in bytes.
pub(crate) const SUMS_BYTES_MAX: u64 = 1 << 20;

/// Between hash and name: the second blank says that the file is read as it is on every system.
const SEPARATOR: &str = "  ";

/// The list of files and their hashes in hexadecimal: a line a file, in the order of their names.
pub fn text(hashes: &BTreeMap<String, String>) -> String {
    hashes
        .iter()
        .map(|(name, hash)| format!("{hash}{SEPARATOR}{name}\n"))
        .collect()
}

/// Names and hashes of a list. Nothing is tolerated: what is spelled in any other way than [`text`] spells it is damage.
///
/// # Errors
/// [`BundleError::Sums`], naming the line.
pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, String>, BundleError> {
    let refuse = |problem: String| BundleError::Sums {
        path: path.to_owned(),
        problem,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| refuse("is no text".to_owned()))?;
    let mut hashes = BTreeMap::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let refuse = |problem: &str| refuse(format!("line {}: {problem}", index + 1));
        let line = line
            .strip_suffix('\n')
            .ok_or_else(|| refuse("does not end, so that the list may be cut off"))?;
        let (hash, name) = line
            .split_once(SEPARATOR)
            .ok_or_else(|| refuse("is no hash, two blanks and a name"))?;
        let is_hash = hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_hash {
            return Err(refuse(
                "does not begin with a SHA-256 in 64 small hexadecimal digits",
            ));
        }
        if !files::is_plain_name(name) {
            return Err(refuse("names no file of this folder"));
        }
        if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
            return Err(refuse("names a file for the second time"));
        }
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_spelled_otherwise_is_refused_by_its_line() {
        let hash = "0123456789abcdef".repeat(4);
        let hashes = BTreeMap::from([("a".to_owned(), hash.clone()), ("b c".to_owned(), hash.clone())]);
        let good = text(&hashes);
        assert_eq!(parse(Path::new(SUMS), good.as_bytes()).unwrap(), hashes);
        for (bad, line) in [
            (format!("{hash}  a\n{hash}  b"), "line 2"),
            (format!("{hash}  a\n\n"), "line 2"),
            (format!("{hash} *a\n"), "line 1"),
            (format!("{}  a\n", hash.to_uppercase()), "line 1"),
            (format!("{}  a\n", &hash[1..]), "line 1"),
            (format!("{hash}  a\n{hash}  a\n"), "line 2"),
            (format!("{hash}  ../a\n"), "line 1"),
            (format!("{hash}  /a\n"), "line 1"),
            (format!("{hash}  \n"), "line 1"),
        ] {
            let error = parse(Path::new(SUMS), bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(SUMS) && error.contains(line), "{bad}: {error}");
        }
        assert!(parse(Path::new(SUMS), b"\xff").is_err());
    }
}
