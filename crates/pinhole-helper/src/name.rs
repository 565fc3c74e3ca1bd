//! Names of helpers: short, and held by value, because a helper that was loaded may be gone before what it announced is.

use alloc::borrow::Cow;
use core::fmt;
use core::ops::Deref;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A name of at most [`Name::LONGEST`] bytes, in place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl Name {
    /// Bytes of the longest name.
    pub const LONGEST: usize = 31;

    /// A name that is known when the program is compiled; what does not fit is cut off.
    pub const fn new(text: &'static str) -> Self {
        let text = text.as_bytes();
        let mut bytes = [0; Self::LONGEST];
        let mut length = 0;
        while length < text.len() && length < Self::LONGEST {
            bytes[length] = text[length];
            length += 1;
        }
        Self { bytes, length: length as u8 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The bytes of the text.
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.length as usize).0
    }
}

impl TryFrom<&str> for Name {
    type Error = BadName;

    fn try_from(text: &str) -> Result<Self, BadName> {
        let mut bytes = [0; Self::LONGEST];
        let place = bytes.get_mut(..text.len()).filter(|_| !text.is_empty()).ok_or(BadName::Length)?;
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(BadName::Character);
        }
        place.copy_from_slice(text.as_bytes());
        // At most `LONGEST`.
        Ok(Self { bytes, length: text.len() as u8 })
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadName {
    /// Empty, or longer than [`Name::LONGEST`].
    Length,
    /// It holds something else than visible ASCII characters.
    Character,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a name has 1 to 31 bytes",
            Self::Character => "a name consists of visible ASCII characters",
        })
    }
}

impl core::error::Error for BadName {}

/// As a text.
impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::try_from(&*text).map_err(de::Error::custom)
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<Name> for &str {
    fn eq(&self, other: &Name) -> bool {
        *self == other.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_names() {
        for text in ["x", "netbios-ns", "Q.931", "a23456789012345678901234567890_"] {
            assert_eq!(Name::try_from(text).map(|name| name.as_str() == text), Ok(true));
        }
        assert_eq!(Name::new("ftp"), Name::try_from("ftp").unwrap());
        assert_eq!(format!("{:<5}|{:?}", Name::new("ftp"), Name::new("ftp")), "ftp  |\"ftp\"");
    }

    #[test]
    fn texts_that_are_none() {
        assert_eq!(Name::try_from(""), Err(BadName::Length));
        assert_eq!(Name::try_from("a234567890123456789012345678901_"), Err(BadName::Length));
        for text in ["a b", "a\n", "ä", "a\0"] {
            assert_eq!(Name::try_from(text), Err(BadName::Character));
        }
        assert_eq!(Name::new("a234567890123456789012345678901_").len(), Name::LONGEST);
    }
}
