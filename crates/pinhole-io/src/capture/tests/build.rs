//! Capture files of every kind, from the specifications.

/// Byte order of a file under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

pub(super) const ORDERS: [Order; 2] = [Order::Little, Order::Big];

impl Order {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Little { value.to_le_bytes() } else { value.to_be_bytes() }
    }

    pub(super) fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }
}

pub(super) const MICROS: u32 = 0xa1b2_c3d4;
pub(super) const NANOS: u32 = 0xa1b2_3c4d;
pub(super) const MODIFIED: u32 = 0xa1b2_cd34;

/// A classic pcap file header.
pub(super) fn pcap(order: Order, magic: u32, version: (u16, u16), link: u32) -> Vec<u8> {
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(version.0));
    file.extend(order.u16(version.1));
    file.extend(order.words(&[0, 0, 65_535, link]));
    file
}

/// A classic pcap record.
pub(super) fn record(order: Order, seconds: u32, fraction: u32, bytes: &[u8], original: u32) -> Vec<u8> {
    let mut record = order.words(&[seconds, fraction, bytes.len() as u32, original]);
    record.extend(bytes);
    record
}

/// A pcapng block around this body, padded.
pub(super) fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len().next_multiple_of(4)) as u32;
    let mut block = order.words(&[kind, length]);
    block.extend(body);
    block.resize(length as usize - 4, 0);
    block.extend(order.u32(length));
    block
}

pub(super) fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

pub(super) fn option(order: Order, code: u16, value: &[u8]) -> Vec<u8> {
    let mut option = order.u16(code).to_vec();
    option.extend(order.u16(value.len() as u16));
    option.extend(value);
    option.resize(option.len().next_multiple_of(4), 0);
    option
}

pub(super) fn interface(order: Order, link: u16, snaplen: u32, options: &[u8]) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend(order.u16(0));
    body.extend(order.u32(snaplen));
    body.extend(options);
    block(order, 1, &body)
}

pub(super) fn enhanced(order: Order, interface: u32, ticks: u64, bytes: &[u8], options: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    let mut body = order.words(&[interface, (ticks >> 32) as u32, ticks as u32, length, length]);
    body.extend(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options);
    block(order, 6, &body)
}

/// A snoop file header.
pub(super) fn snoop(version: u32, datalink: u32) -> Vec<u8> {
    let mut file = b"snoop\0\0\0".to_vec();
    file.extend(Order::Big.words(&[version, datalink]));
    file
}

/// A snoop record, padded to four bytes.
pub(super) fn snoop_record(seconds: u32, micros: u32, bytes: &[u8], original: u32) -> Vec<u8> {
    let length = 24 + bytes.len().next_multiple_of(4) as u32;
    let mut record = Order::Big.words(&[original, bytes.len() as u32, length, 0, seconds, micros]);
    record.extend(bytes);
    record.resize(length as usize, 0);
    record
}
