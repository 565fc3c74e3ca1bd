//! The custom section of a WebAssembly file that holds the manifest (WebAssembly core specification, §5.5.2 and §5.5.3).

use pinhole_abi::MANIFEST_SECTION;
use std::ops::Range;

const HEADER: &[u8; 8] = b"\0asm\x01\0\0\0";
const CUSTOM: u8 = 0;

/// Why a file has no manifest that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SectionError {
    /// The first bytes are not those of a WebAssembly 1.0 module.
    #[error("it is not a WebAssembly module")]
    NotWebAssembly,
    /// A section does not end where it should.
    #[error("it is truncated or damaged at byte {0}")]
    Damaged(usize),
    /// No section of that name.
    #[error("it has no manifest (custom section `{MANIFEST_SECTION}`)")]
    Missing,
    /// More than one.
    #[error("it has more than one manifest")]
    Twice,
}

/// The manifest of a module.
///
/// # Errors
/// The file is no module, or does not have exactly one manifest.
pub fn manifest_section(module: &[u8]) -> Result<&[u8], SectionError> {
    let mut found = None;
    for section in sections(module) {
        let (name, content, _) = section?;
        if name == Some(MANIFEST_SECTION.as_bytes()) && found.replace(content).is_some() {
            return Err(SectionError::Twice);
        }
    }
    found.ok_or(SectionError::Missing)
}

/// The module with this manifest in place of what it has.
///
/// # Errors
/// The file is no module.
pub fn seal(module: &[u8], manifest: &[u8]) -> Result<Vec<u8>, SectionError> {
    let mut sealed = HEADER.to_vec();
    for section in sections(module) {
        let (name, _, whole) = section?;
        if name != Some(MANIFEST_SECTION.as_bytes()) {
            sealed.extend_from_slice(module.get(whole).unwrap_or_default());
        }
    }
    let mut content = Vec::new();
    write_length(&mut content, MANIFEST_SECTION.len());
    content.extend_from_slice(MANIFEST_SECTION.as_bytes());
    content.extend_from_slice(manifest);
    sealed.push(CUSTOM);
    write_length(&mut sealed, content.len());
    sealed.extend_from_slice(&content);
    Ok(sealed)
}

/// Name (of a custom section), content after the name, and place of a section.
type Section<'a> = (Option<&'a [u8]>, &'a [u8], Range<usize>);

fn sections(module: &[u8]) -> impl Iterator<Item = Result<Section<'_>, SectionError>> {
    let mut at = Some(HEADER.len());
    if !module.starts_with(HEADER) {
        at = None;
    }
    let mut refused = at.is_none();
    std::iter::from_fn(move || {
        if std::mem::take(&mut refused) {
            return Some(Err(SectionError::NotWebAssembly));
        }
        let begin = at.filter(|&begin| begin < module.len())?;
        let section = section(module, begin);
        at = section.as_ref().map(|(.., whole)| whole.end);
        Some(section.ok_or(SectionError::Damaged(begin)))
    })
}

fn section(module: &[u8], begin: usize) -> Option<Section<'_>> {
    let (length, body) = read_length(module, begin + 1)?;
    let whole = begin..body.checked_add(length)?;
    let content = module.get(body..whole.end)?;
    if module.get(begin) != Some(&CUSTOM) {
        return Some((None, content, whole));
    }
    let (length, name) = read_length(content, 0)?;
    let (name, content) = content.get(name..)?.split_at_checked(length)?;
    Some((Some(name), content, whole))
}

/// An unsigned LEB128 number of at most 32 bits, and where it ends.
fn read_length(bytes: &[u8], begin: usize) -> Option<(usize, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.get(begin..)?.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, begin + index + 1));
        }
    }
    None
}

fn write_length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        // The lower seven bits.
        let byte = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100), is_module in any::<bool>()) {
            let mut module = if is_module { HEADER.to_vec() } else { Vec::new() };
            module.extend(bytes);
            let before = manifest_section(&module).map(<[u8]>::to_vec);
            if let Ok(sealed) = seal(&module, b"new") {
                prop_assert_eq!(manifest_section(&sealed), Ok(&b"new"[..]));
            } else {
                prop_assert!(before.is_err());
            }
        }

        #[test]
        fn lengths(length in any::<u32>()) {
            let mut bytes = Vec::new();
            write_length(&mut bytes, length as usize);
            prop_assert_eq!(read_length(&bytes, 0), Some((length as usize, bytes.len())));
        }
    }

    #[test]
    fn a_manifest_is_put_in_and_replaced() {
        let bare = wat::parse_str("(module (memory 1))").unwrap();
        assert_eq!(manifest_section(&bare), Err(SectionError::Missing));
        let long = vec![b'#'; 300];
        let sealed = seal(&bare, &long).unwrap();
        assert_eq!(manifest_section(&sealed), Ok(&long[..]));
        let again = seal(&sealed, b"a = 1").unwrap();
        assert_eq!(manifest_section(&again), Ok(&b"a = 1"[..]));
        let mut twice = again.clone();
        twice.extend_from_slice(&again[bare.len()..]);
        assert_eq!(manifest_section(&twice), Err(SectionError::Twice));
        assert_eq!(manifest_section(b"#!/bin/sh"), Err(SectionError::NotWebAssembly));
        assert_eq!(manifest_section(&again[..again.len() - 1]), Err(SectionError::Damaged(bare.len())));
    }
}
