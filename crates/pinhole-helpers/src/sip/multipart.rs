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
    is(content_type, b"application/sdp") || is(content_type, b"multipart/")
}

fn find(bytes: &[u8], content_type: Range<usize>, body: Range<usize>, depth: u8) -> Option<Range<usize>> {
    let text = bytes.get(content_type.clone())?;
    if is(text, b"application/sdp") {
        return Some(body);
    }
    // A body without a type is a description if it begins like one.
    if text.is_empty() {
        return bytes.get(body.clone())?.starts_with(b"v=").then_some(body);
    }
    if depth == 0 || !is(text, b"multipart/") {
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

fn is(content_type: &[u8], prefix: &[u8]) -> bool {
    let matches = content_type.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let ended = prefix.ends_with(b"/")
        || content_type.get(prefix.len()).is_none_or(|b| matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n'));
    matches && ended
}
