//! One datagram in pieces.

use pinhole_wire::checksum::Sum;
use pinhole_wire::{IpVersion, Packet};

use super::{Deadline, DefragDrop, DefragSettings};

/// Largest IPv4 datagram, and largest IPv6 payload.
const MAX_LENGTH: usize = 0xffff;
const IPV6_HEADER: usize = 40;

/// A fragment as it arrives.
pub(super) struct Arrival<'a> {
    version: IpVersion,
    /// IPv4: the header. IPv6: all before the fragment header.
    headers: Headers<'a>,
    offset: usize,
    more: bool,
    /// The fragment's share of the datagram's data.
    data: &'a [u8],
    /// Bytes of it that the capture lacks.
    missing: usize,
    /// ECN field of the IP header, 0 to 3 (RFC 3168 §5).
    ecn: u8,
}

/// The part of a fragment that all fragments repeat.
#[derive(Clone, Copy)]
struct Headers<'a> {
    bytes: &'a [u8],
    /// IPv6: the next-header field to change, by its place in `bytes`, and its new value.
    relink: Option<(u32, u8)>,
}

impl<'a> Arrival<'a> {
    /// `None` if `packet` is not a fragment.
    pub(super) fn of(packet: &Packet, bytes: &'a [u8]) -> Option<Self> {
        const FRAGMENT_HEADER: u32 = 8;
        let fragment = packet.fragment?;
        let (headers_end, data_start, relink) = match packet.version {
            IpVersion::V4 => (packet.transport_offset, packet.transport_offset, None),
            IpVersion::V6 => {
                let next = *bytes.get(fragment.header as usize)?;
                let field = packet.fragment_announcement(bytes)?.checked_sub(packet.network)?;
                (fragment.header, fragment.header.checked_add(FRAGMENT_HEADER)?, Some((field, next)))
            }
        };
        Some(Self {
            version: packet.version,
            headers: Headers { bytes: bytes.get(packet.network as usize..headers_end as usize)?, relink },
            offset: usize::from(fragment.offset),
            more: fragment.more,
            data: bytes.get(data_start as usize..packet.end as usize)?,
            missing: packet.missing as usize,
            ecn: packet.traffic_class & 3,
        })
    }

    pub(super) const fn is_atomic(&self) -> bool {
        self.offset == 0 && !self.more
    }

    fn end(&self) -> usize {
        self.offset + self.data.len()
    }

    /// What can be said of a fragment by itself.
    pub(super) fn check(
        &self,
        settings: &DefragSettings,
        packet: &Packet,
        bytes: &[u8],
    ) -> Result<(), DefragDrop> {
        if self.missing != 0 {
            Err(DefragDrop::Truncated)
        } else if self.data.is_empty() {
            Err(DefragDrop::Empty)
        } else if self.more && !self.data.len().is_multiple_of(8) {
            Err(DefragDrop::Ragged)
        } else if self.more && self.data.len() < usize::from(settings.smallest_fragment) {
            Err(DefragDrop::Tiny)
        } else if exceeds_limit(self.version, self.headers.bytes.len(), self.end()) {
            Err(DefragDrop::Oversize)
        } else if self.version == IpVersion::V6 && self.offset == 0 && !packet.has_all_headers(bytes) {
            Err(DefragDrop::Headers)
        } else {
            Ok(())
        }
    }

    /// An atomic fragment without its fragment header. What the capture cut off stays missing: the header still claims it.
    pub(super) fn write_atomic(&self, output: &mut Vec<u8>) {
        output.clear();
        output.extend_from_slice(self.headers.bytes);
        output.extend_from_slice(self.data);
        let length = output.len().saturating_sub(IPV6_HEADER).saturating_add(self.missing);
        make_good_v6(length, self.headers.relink, 0, output);
    }
}

/// A run of the datagram's data.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Where it belongs in the datagram's data.
    offset: u32,
    length: u32,
    /// Where it lies in [`Datagram::stored`].
    at: u32,
}

/// The first fragment's headers.
#[derive(Clone, Copy, Debug)]
struct StoredHeaders {
    length: u32,
    /// Where they lie in [`Datagram::stored`].
    at: u32,
    relink: Option<(u32, u8)>,
}

/// A datagram that waits for fragments, or that was dropped and is remembered.
///
/// Invariant: `pieces` are ordered by offset and do not overlap; `received` is the sum of their lengths.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    pub(super) deadline: Deadline,
    dropped: bool,
    /// Bytes of the pieces and of the first fragment's headers, in the order they came.
    stored: Vec<u8>,
    pieces: Vec<Piece>,
    headers: Option<StoredHeaders>,
    received: usize,
    /// Length of the datagram's data, once the last fragment is there.
    total: Option<usize>,
    /// Bit n is set if a fragment had ECN field n.
    ecn_seen: u8,
}

impl Datagram {
    pub(super) fn dropped() -> Self {
        Self { dropped: true, ..Self::default() }
    }

    pub(super) const fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// Bytes that this datagram occupies, with an allowance for its places in the two maps.
    pub(super) fn memory(&self) -> usize {
        const MAPS: usize = 192;
        size_of::<Self>() + MAPS + self.stored.capacity() + self.pieces.capacity() * size_of::<Piece>()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.received) && self.headers.is_some()
    }

    /// Adds a fragment that passed [`Arrival::check`]. On an error the datagram is to be dropped, unless the error is
    /// [`DefragDrop::Duplicate`], which changes nothing.
    pub(super) fn insert(
        &mut self,
        arrival: &Arrival<'_>,
        settings: &DefragSettings,
    ) -> Result<(), DefragDrop> {
        let index = self.pieces.partition_point(|piece| (piece.offset as usize) < arrival.offset);
        self.check_neighbours(index, arrival)?;
        self.check_end(arrival)?;
        if self.pieces.len() >= usize::from(settings.max_fragments) {
            return Err(DefragDrop::TooMany);
        }
        if !arrival.more {
            self.total = Some(arrival.end());
        }
        if arrival.offset == 0 {
            let Headers { bytes, relink } = arrival.headers;
            let at = self.store(bytes);
            self.headers = Some(StoredHeaders { length: bytes.len() as u32, at, relink });
        }
        let at = self.store(arrival.data);
        let piece = Piece { offset: arrival.offset as u32, length: arrival.data.len() as u32, at };
        self.pieces.insert(index, piece);
        self.received += arrival.data.len();
        self.ecn_seen |= 1 << arrival.ecn;
        Ok(())
    }

    /// `index` is that of the first piece that does not start before the arrival.
    fn check_neighbours(&self, index: usize, arrival: &Arrival<'_>) -> Result<(), DefragDrop> {
        if let Some(after) = self.pieces.get(index)
            && (after.offset as usize) < arrival.end()
        {
            let is_last = self.total == Some(arrival.end());
            let repeats = after.offset as usize == arrival.offset
                && arrival.more != is_last
                && self.bytes(after.at, after.length) == arrival.data;
            return Err(if repeats { DefragDrop::Duplicate } else { DefragDrop::Overlap });
        }
        let before = index.checked_sub(1).and_then(|index| self.pieces.get(index));
        if before.is_some_and(|before| (before.offset + before.length) as usize > arrival.offset) {
            return Err(DefragDrop::Overlap);
        }
        Ok(())
    }

    fn check_end(&self, arrival: &Arrival<'_>) -> Result<(), DefragDrop> {
        let highest = self.pieces.last().map_or(0, |piece| (piece.offset + piece.length) as usize);
        let agrees = match (self.total, arrival.more) {
            (None, true) => true,
            (None, false) => highest <= arrival.end(),
            // More must come after this one.
            (Some(total), true) => arrival.end() < total,
            (Some(_), false) => false,
        };
        if agrees { Ok(()) } else { Err(DefragDrop::End) }
    }

    fn store(&mut self, bytes: &[u8]) -> u32 {
        let at = self.stored.len() as u32;
        self.stored.extend_from_slice(bytes);
        at
    }

    fn bytes(&self, at: u32, length: u32) -> &[u8] {
        self.stored.get(at as usize..(at + length) as usize).unwrap_or_default()
    }

    /// Writes the complete datagram.
    pub(super) fn write_whole(&self, version: IpVersion, output: &mut Vec<u8>) -> Result<(), DefragDrop> {
        let headers = self.headers.ok_or(DefragDrop::Headers)?;
        let ecn = combined_ecn(self.ecn_seen).ok_or(DefragDrop::Ecn)?;
        output.clear();
        output.extend_from_slice(self.bytes(headers.at, headers.length));
        for piece in &self.pieces {
            output.extend_from_slice(self.bytes(piece.at, piece.length));
        }
        make_good(version, headers.length as usize, headers.relink, ecn, output)
    }
}

fn exceeds_limit(version: IpVersion, headers: usize, data: usize) -> bool {
    match version {
        IpVersion::V4 => headers + data > MAX_LENGTH,
        IpVersion::V6 => headers.saturating_sub(IPV6_HEADER) + data > MAX_LENGTH,
    }
}

/// The bits to add to the first fragment's ECN field (RFC 3168 §5.3): congestion seen by any fragment is kept, unless some fragment
/// was not ECN-capable: then one of them lies.
const fn combined_ecn(seen: u8) -> Option<u8> {
    const NOT_CAPABLE: u8 = 1 << 0;
    const CONGESTION: u8 = 1 << 3;
    match (seen & CONGESTION != 0, seen & NOT_CAPABLE != 0) {
        (true, true) => None,
        (true, false) => Some(3),
        (false, _) => Some(0),
    }
}

/// Makes the headers at the start of `datagram` those of a whole datagram.
fn make_good(
    version: IpVersion,
    headers: usize,
    relink: Option<(u32, u8)>,
    ecn: u8,
    datagram: &mut [u8],
) -> Result<(), DefragDrop> {
    let data = datagram.len().saturating_sub(headers);
    if exceeds_limit(version, headers, data) {
        return Err(DefragDrop::Oversize);
    }
    match version {
        IpVersion::V4 => make_good_v4(headers, ecn, datagram),
        IpVersion::V6 => make_good_v6(datagram.len().saturating_sub(IPV6_HEADER), relink, ecn, datagram),
    }
    Ok(())
}

/// RFC 791 §3.1.
fn make_good_v4(header_length: usize, ecn: u8, datagram: &mut [u8]) {
    const DONT_FRAGMENT: u8 = 0x40;
    let [high, low] = (datagram.len() as u16).to_be_bytes();
    let Some(header) = datagram.get_mut(..header_length) else { return };
    if let [_, traffic_class, length_high, length_low, _, _, flags, offset, _, _, check_high, check_low, ..] =
        header
    {
        *traffic_class |= ecn;
        (*length_high, *length_low) = (high, low);
        (*flags, *offset) = (*flags & DONT_FRAGMENT, 0);
        (*check_high, *check_low) = (0, 0);
    }
    let checksum = Sum::of(header).checksum().to_be_bytes();
    if let Some(field) = header.get_mut(10..12) {
        field.copy_from_slice(&checksum);
    }
}

/// RFC 8200 §3 and §4.5.
fn make_good_v6(payload_length: usize, relink: Option<(u32, u8)>, ecn: u8, datagram: &mut [u8]) {
    let [high, low] = (payload_length as u16).to_be_bytes();
    if let [_, class_and_flow, _, _, length_high, length_low, ..] = datagram {
        *class_and_flow |= ecn << 4;
        (*length_high, *length_low) = (high, low);
    }
    if let Some((field, next)) = relink
        && let Some(field) = datagram.get_mut(field as usize)
    {
        *field = next;
    }
}
