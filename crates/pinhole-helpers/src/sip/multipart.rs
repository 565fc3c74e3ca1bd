//! Bodies of several parts (RFC 2046 §5.1): finds the session description among them.

use crate::text_message::{fields_from, head_end, parameter};
use std::ops::Range;

/// How deep parts may hold parts.
const DEPTH: u8 = 2;
/// Longest boundary (RFC 2046 §5.1.1).
const BOUNDARY_LIMIT: usize = 70;

/// Where the session description stands in a body of this content type (`bytes[content_type]`), if there is one.
pub(super) fn session_description(
    bytes: &[u8],
    content_type: Range<usize>,
    body: Range<usize>,
) -> Option<Range<usize>> {
    find(bytes, content_type, body, DEPTH)
}

/// Whether a content type is one that is looked into.
pub(super) fn may_describe(content_type: &[u8]) -> bool {
    is_description(content_type) || is_multipart(content_type)
}

fn find(bytes: &[u8], content_type: Range<usize>, body: Range<usize>, depth: u8) -> Option<Range<usize>> {
    let text = bytes.get(content_type.clone())?;
    if is_description(text) {
        return Some(body);
    }
    // A body without a type is a description if it begins like one.
    if text.is_empty() {
        return bytes.get(body.clone())?.starts_with(b"v=").then_some(body);
    }
    if depth == 0 || !is_multipart(text) {
        return None;
    }
    let boundary = bytes.get(parameter(bytes, content_type, b"boundary")?)?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_LIMIT {
        return None;
    }
    let mut start = None;
    let mut at = body.start;
    while let Some(line) = line(bytes, at..body.end) {
        let delimits = bytes
            .get(line.clone())
            .and_then(|text| text.strip_prefix(b"--")?.strip_prefix(boundary))
            .is_some_and(|rest| matches!(rest.trim_ascii_end(), b"" | b"--"));
        at = line.end;
        if !delimits {
            continue;
        }
        if let Some(start) = start.replace(line.end)
            && let Some(found) = part(bytes, start..line.start, depth - 1)
        {
            return Some(found);
        }
    }
    // The last part of a body that was not closed.
    start.and_then(|start| part(bytes, start..body.end, depth - 1))
}

/// The description in one part: header fields, an empty line, content.
fn part(bytes: &[u8], range: Range<usize>, depth: u8) -> Option<Range<usize>> {
    let text = bytes.get(range.clone())?;
    // A part without header fields begins with its empty line.
    let bare = [&b"\r\n"[..], b"\n"].iter().find(|end| text.starts_with(end)).map(|end| end.len());
    let head = bare.or_else(|| head_end(text, 0))?;
    let field =
        fields_from(text.get(..head)?, 0).find(|field| field.is(b"Content-Type") || field.is(b"c"))?;
    let content_type = range.start + field.value.start..range.start + field.value.end;
    find(bytes, content_type, range.start + head..range.end, depth)
}

/// The first line of a range, with its line end.
fn line(bytes: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let text = bytes.get(range.clone()).filter(|text| !text.is_empty())?;
    let end = text.iter().position(|&b| b == b'\n').map_or(range.end, |at| range.start + at + 1);
    Some(range.start..end)
}

fn is_description(content_type: &[u8]) -> bool {
    let [major, minor] = names(content_type);
    major.eq_ignore_ascii_case(b"application") && minor.eq_ignore_ascii_case(b"sdp")
}

fn is_multipart(content_type: &[u8]) -> bool {
    names(content_type)[0].eq_ignore_ascii_case(b"multipart")
}

/// Type and subtype; blanks may stand around the slash (RFC 3261 §25.1, `m-type SLASH m-subtype`).
fn names(content_type: &[u8]) -> [&[u8]; 2] {
    let end = content_type.iter().position(|&b| b == b';').unwrap_or(content_type.len());
    let whole = content_type.get(..end).unwrap_or_default();
    let mut halves = whole.splitn(2, |&b| b == b'/');
    [halves.next(), halves.next()].map(|half| half.unwrap_or_default().trim_ascii())
}
