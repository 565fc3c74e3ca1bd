//! What the sender of a frame left to hardware, as `struct virtio_net_hdr` tells it (virtio 1.2 §5.1.6).

/// Length of the header that goes in front of every frame of a packet socket with `PACKET_VNET_HDR`.
pub(super) const HEADER: usize = 10;

const NEEDS_CHECKSUM: u8 = 1;
const DATA_VALID: u8 = 2;
/// Bit of the segmentation type that says that the segments carry ECN's CWR.
const SEGMENT_ECN: u8 = 0x80;

/// Segmentation and checksum of one frame, still to be done or already done by hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    flags: u8,
    kind: u8,
    header_length: u16,
    segment_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

impl Offload {
    /// A frame that is complete and about which nothing is known.
    pub const NONE: Self =
        Self { flags: 0, kind: 0, header_length: 0, segment_size: 0, checksum_start: 0, checksum_offset: 0 };

    /// A frame whose checksum is to be computed from `start` to its end and stored `offset` bytes after `start`.
    pub const fn partial_checksum(start: u16, offset: u16) -> Self {
        Self { flags: NEEDS_CHECKSUM, checksum_start: start, checksum_offset: offset, ..Self::NONE }
    }

    /// The same frame as a superframe of TCP segments over IPv4, with so many payload bytes each.
    #[must_use]
    pub const fn with_tcp_segments(self, bytes: u16) -> Self {
        const TCP_IPV4: u8 = 1;
        Self { kind: TCP_IPV4, segment_size: bytes, ..self }
    }

    /// As the kernel writes it, in the host's byte order.
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Self {
        let &[flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = bytes;
        Self {
            flags,
            kind,
            header_length: u16::from_ne_bytes([h0, h1]),
            segment_size: u16::from_ne_bytes([s0, s1]),
            checksum_start: u16::from_ne_bytes([c0, c1]),
            checksum_offset: u16::from_ne_bytes([o0, o1]),
        }
    }

    pub(super) fn encode(self) -> [u8; HEADER] {
        let [h0, h1] = self.header_length.to_ne_bytes();
        let [s0, s1] = self.segment_size.to_ne_bytes();
        let [c0, c1] = self.checksum_start.to_ne_bytes();
        let [o0, o1] = self.checksum_offset.to_ne_bytes();
        [self.flags, self.kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }

    /// Whether the transport checksum field holds the pseudo-header's sum only, to be completed on the way out.
    pub const fn needs_checksum(self) -> bool {
        self.flags & NEEDS_CHECKSUM != 0
    }

    /// Whether nobody need verify the transport checksum: it never was on a wire, or hardware verified it.
    pub const fn vouches_for_checksum(self) -> bool {
        self.flags & (NEEDS_CHECKSUM | DATA_VALID) != 0
    }

    /// Payload bytes of each segment that the frame is to be cut into; `None` if it is one segment.
    pub const fn segment_size(self) -> Option<u16> {
        if self.kind & !SEGMENT_ECN != 0 && self.segment_size != 0 { Some(self.segment_size) } else { None }
    }

    /// Where the transport checksum is to be computed from, and where it is to be stored, if that is still to be done: offsets in the frame.
    pub const fn checksum_place(self) -> Option<(usize, usize)> {
        let start = self.checksum_start as usize;
        if self.needs_checksum() { Some((start, start + self.checksum_offset as usize)) } else { None }
    }

    /// Whether the frame is a superframe of TCP segments.
    pub const fn is_tcp_superframe(self) -> bool {
        const TCP_IPV4: u8 = 1;
        const TCP_IPV6: u8 = 4;
        matches!(self.kind & !SEGMENT_ECN, TCP_IPV4 | TCP_IPV6) && self.segment_size != 0
    }

    /// The same superframe, to be cut into segments with so many payload bytes.
    #[must_use]
    pub const fn with_segment_size(self, bytes: u16) -> Self {
        Self { segment_size: bytes, ..self }
    }

    /// The same after `bytes` were put in front of the network header.
    #[must_use]
    pub(super) const fn shifted(self, bytes: u16) -> Self {
        let mut shifted = self;
        if self.needs_checksum() {
            shifted.checksum_start = self.checksum_start.saturating_add(bytes);
        }
        if self.header_length != 0 {
            shifted.header_length = self.header_length.saturating_add(bytes);
        }
        shifted
    }
}
