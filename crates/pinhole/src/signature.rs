//! Signatures of helpers that are loaded, in minisign's format: `FILE.minisig` beside `FILE`.
//!
//! A [`Trust`] holds the keys that the operator trusts, and whether a file may go without a signature. It reads no files itself. A signature
//! that is there is checked as soon as there is a key to check it with, whether it is required or not: a wrong one is never passed over.

use minisign_verify::{Error, PublicKey, Signature};
use std::fmt;

/// Longest signature file, in bytes.
pub const LONGEST_SIGNATURE: usize = 4096;

/// Whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<PublicKey>,
    is_required: bool,
}

/// Why a file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A signature is required, and there is none.
    #[error(
        "it is not signed, and require-signed is set: there is no file of its name with .minisig behind it"
    )]
    Missing,
    /// The signature file is none.
    #[error("its signature is not in minisign's format")]
    Malformed,
    /// None of the trusted keys has made it.
    #[error("it is signed with a key that is not among the trusted ones")]
    UnknownKey,
    /// A trusted key has made it, for something else.
    #[error("its signature does not fit: the file, the signature or its comment was changed")]
    Wrong,
}

/// A text that is no public key, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not in minisign's format.
    #[error(
        "`{0}` is no public key of minisign: expected the second line of its .pub file, as in RWQf6LRCGA9i5…"
    )]
    Malformed(String),
    /// Signatures are required, and nobody's count.
    #[error("signatures are required, but no key is trusted: no helper could be loaded")]
    None,
}

/// What a valid signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    comment: String,
}

impl fmt::Display for Signed {
    /// The trusted comment. Its signer may be trusted to know what is in the file, not to speak to terminals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.comment.chars().try_for_each(|character| {
            if character.is_control() {
                write!(f, "{}", character.escape_default())
            } else {
                write!(f, "{character}")
            }
        })
    }
}

impl Trust {
    /// Trusts these public keys, in base64 as minisign prints them.
    ///
    /// # Errors
    /// One is none, or signatures are required and there is no key.
    pub fn new(keys: &[String], is_required: bool) -> Result<Self, KeyError> {
        let key = |text: &String| {
            PublicKey::from_base64(text.trim()).map_err(|_| KeyError::Malformed(text.clone()))
        };
        let keys: Vec<PublicKey> = keys.iter().map(key).collect::<Result<_, _>>()?;
        if is_required && keys.is_empty() {
            return Err(KeyError::None);
        }
        Ok(Self { keys, is_required })
    }

    /// Whether a signature is to be looked for at all.
    pub fn is_of_use(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Judges a file by the text of its signature, if it has one. `None`: it has none, and needs none.
    ///
    /// # Errors
    /// It is not to be loaded.
    pub fn judge(&self, file: &[u8], signature: Option<&str>) -> Result<Option<Signed>, SignatureError> {
        if !self.is_of_use() {
            return Ok(None);
        }
        let Some(text) = signature else {
            return if self.is_required { Err(SignatureError::Missing) } else { Ok(None) };
        };
        let signature = Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
        let mut judged = SignatureError::UnknownKey;
        for key in &self.keys {
            // Older versions of minisign sign the file, newer ones its hash.
            match key.verify(file, &signature, true) {
                Ok(()) => return Ok(Some(Signed { comment: signature.trusted_comment().to_owned() })),
                Err(Error::UnexpectedKeyId) => {}
                Err(_) => judged = SignatureError::Wrong,
            }
        }
        Err(judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // Made with minisign 0.11 of Debian 12: `minisign -GW`, and `minisign -S -t COMMENT -m FILE` (`-l` for the older form).
    const FILE: &[u8] = b"a helper\n";
    const KEY: &str = "RWS/8GuJ7P9uJZRKsmwBt1rX5gqNjYMFZVhBgzKcgF9T9LFdbJCOHgPZ";
    const OTHER_KEY: &str = "RWRwWgrq9kpMRX5QmJzDiki/+1r1sU20NQpk4NALXQL4mEjdOQfgnA2i";
    const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUS/8GuJ7P9uJYfF31UdYtqkFiGpXNv50DvwfOHKPJVMOyxJkoIk7tjBywBPxy7n2HYuLOoc6PPdUGwk8LkdYKgHCFurx/6vPQw=
trusted comment: helper.toml, release 1
xseWCgeMuPfc8hja5RTBmgGUR9FN2F3KlmVFeroxw66dLSaqwYM1+L+Z5zRucvolE1GBrWmwy15qGwSKGKCMAw==
";
    const OLDER: &str = "untrusted comment: signature from minisign secret key
RWS/8GuJ7P9uJUI220hcaZi0aikgYlpf7Wud7KN0SWKyscNJhquH/3JFyNo42ydsDkGUTDEkaGtzBIrMluDjZ6VSs4AtHcZZ0Q8=
trusted comment: legacy
b15Ilg9SdXpEHaMF+gaKYRPq4+NiKtf6CmzexsZZhFNwvSpzcpqc6eUd8bBuCzyyFf/0aBrAJokPT9Vh6XjGBg==
";

    fn trust(keys: &[&str], is_required: bool) -> Trust {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        Trust::new(&keys, is_required).unwrap()
    }

    fn comment(judged: Result<Option<Signed>, SignatureError>) -> String {
        judged.unwrap().unwrap().to_string()
    }

    #[test]
    fn signatures_that_count() {
        for keys in [&[KEY][..], &[OTHER_KEY, KEY], &[KEY, OTHER_KEY]] {
            let judged = trust(keys, true).judge(FILE, Some(SIGNATURE));
            assert_eq!(comment(judged), "helper.toml, release 1");
            assert_eq!(comment(trust(keys, false).judge(FILE, Some(OLDER))), "legacy");
        }
    }

    #[test]
    fn signatures_that_do_not() {
        let trust_key = trust(&[KEY], false);
        let judge = |file: &[u8], signature: &str| trust_key.judge(file, Some(signature)).unwrap_err();
        assert_eq!(judge(b"another\n", SIGNATURE), SignatureError::Wrong);
        assert_eq!(judge(FILE, &SIGNATURE.replace("release 1", "release 2")), SignatureError::Wrong);
        assert_eq!(judge(FILE, "helper"), SignatureError::Malformed);
        assert_eq!(judge(FILE, ""), SignatureError::Malformed);
        assert_eq!(judge(FILE, &SIGNATURE.replace("RUS/", "R")), SignatureError::Malformed);
        let other = trust(&[OTHER_KEY], false);
        assert_eq!(other.judge(FILE, Some(SIGNATURE)), Err(SignatureError::UnknownKey));
    }

    #[test]
    fn files_without_a_signature() {
        assert_eq!(trust(&[KEY], true).judge(FILE, None), Err(SignatureError::Missing));
        assert_eq!(trust(&[KEY], false).judge(FILE, None), Ok(None));
        // Nobody is trusted, so nothing can be said.
        assert_eq!(Trust::default().judge(FILE, Some("helper")), Ok(None));
        assert!(!Trust::default().is_of_use() && trust(&[KEY], false).is_of_use());
    }

    #[test]
    fn keys_that_are_none() {
        for text in ["", "RWQ", "hello", &KEY[1..]] {
            let error = Trust::new(&[text.to_owned()], false).unwrap_err();
            assert_eq!(error, KeyError::Malformed(text.to_owned()));
        }
        assert_eq!(Trust::new(&[], true).unwrap_err(), KeyError::None);
    }

    #[test]
    fn comments_do_not_speak_to_terminals() {
        let signed = Signed { comment: "a\u{1b}[31m\tb".to_owned() };
        assert_eq!(signed.to_string(), "a\\u{1b}[31m\\tb");
    }

    proptest! {
        /// A change anywhere in what is signed, or in the signature, is noticed.
        #[test]
        fn any_change_is_noticed(at in 0..SIGNATURE.len(), to in 0u8..128) {
            let mut bytes = SIGNATURE.as_bytes().to_vec();
            let first_line = SIGNATURE.find('\n').unwrap();
            prop_assume!(at > first_line && bytes[at] != to);
            bytes[at] = to;
            let text = String::from_utf8(bytes).unwrap();
            let judged = trust(&[KEY], true).judge(FILE, Some(&text));
            // The end of the last line, and blanks there, say nothing.
            let same = text.lines().map(str::trim_end).take(4).eq(SIGNATURE.lines());
            prop_assert!(judged.is_err() || same, "{:?}", text);
        }
    }
}
