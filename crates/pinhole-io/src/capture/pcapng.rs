//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks; interfaces are described in blocks of their own, packets refer to them.

use pinhole_wire::{LinkType, Time};

use super::error::Problem;
use super::interface::{Clock, Description};
use super::order::ByteOrder;
use super::reader::Located;
use super::window::Window;
use super::{CAPTURED_LIMIT, INTERFACES, Interface, WINDOW};

/// Block types (§11.1). The section header's reads the same in both byte orders.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Blocks without packets that Wireshark shows as records of their own, so that frame numbers count them: systemd journal
/// entries, custom blocks (copied or not) and Sysdig events.
const RECORDS: [u32; 9] = [9, 0xbad, 0x4000_0bad, 0x204, 0x208, 0x216, 0x217, 0x221, 0x222];

/// First bytes of a pcapng file.
pub(super) const MAGIC: [u8; 4] = SECTION_HEADER.to_le_bytes();

/// What tells a section's byte order (§4.1).
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

/// Type and length before a block's body, length again behind it.
const BLOCK_OVERHEAD: u32 = 12;

/// Greatest multiple of four that a length field holds.
const LARGEST_BLOCK: u32 = u32::MAX - 3;

/// Most bytes of a block that must lie in the window at once.
const BUFFERED_BLOCK: u32 = WINDOW as u32;

/// Reads the packets of a pcapng file.
pub(super) struct Pcapng {
    order: ByteOrder,
    /// Index in the file's list of interfaces of the section's first one.
    first_interface: usize,
    /// One per interface of the file.
    clocks: Vec<Clock>,
    /// Snap length of the section's first interface, which cuts simple packets; zero for none.
    first_snaplen: u32,
    /// Time of the latest packet that had one.
    latest: Time,
}

impl Pcapng {
    /// Reads the first section header.
    pub(super) fn open(window: &mut Window) -> Result<Self, Problem> {
        let mut pcapng = Self {
            order: ByteOrder::Little,
            first_interface: 0,
            clocks: Vec::new(),
            first_snaplen: 0,
            latest: Time(0),
        };
        pcapng.section(window, 0)?;
        Ok(pcapng)
    }

    /// Reads blocks up to and including the next packet; none at the end of the file. `number` is the number of the next
    /// frame, which blocks that only Wireshark shows move on.
    pub(super) fn advance(
        &mut self,
        window: &mut Window,
        interfaces: &mut Vec<Interface>,
        number: &mut u64,
    ) -> Result<Option<Located>, Problem> {
        loop {
            window.set_mark();
            if window.is_at_end()? {
                return Ok(None);
            }
            let packet = match self.block(window)? {
                (SECTION_HEADER, _) => self.section(window, interfaces.len())?,
                (INTERFACE_DESCRIPTION, length) => self.interface(window, length, interfaces)?,
                (ENHANCED_PACKET, length) => self.enhanced(window, length, interfaces)?,
                (SIMPLE_PACKET, length) => self.simple(window, length, interfaces)?,
                (OBSOLETE_PACKET, length) => self.obsolete(window, length, interfaces)?,
                (kind, length) => {
                    block_length("block", length, BLOCK_OVERHEAD, LARGEST_BLOCK)?;
                    self.skip(window, length)?;
                    *number += u64::from(RECORDS.contains(&kind));
                    None
                }
            };
            if packet.is_some() {
                return Ok(packet);
            }
        }
    }

    /// Type and length of the next block, which stays unread. Some writers forget the padding in the length; like
    /// Wireshark, this reads it rounded up.
    #[inline]
    fn block(&self, window: &mut Window) -> Result<(u32, u32), Problem> {
        let [kind, length] = self.order.words(window.peek_array::<8>("a block header")?);
        Ok((kind, rounded(length)))
    }

    /// Section Header Block (§4.1): sets the byte order and forgets the interfaces.
    fn section(&mut self, window: &mut Window, described: usize) -> Result<Option<Located>, Problem> {
        const HEADER: usize = 24;
        let header = *window.peek_array::<HEADER>("a section header")?;
        let [_, _, magic, ..] = ByteOrder::Little.words::<HEADER, 6>(&header);
        self.order = match magic {
            BYTE_ORDER_MAGIC => ByteOrder::Little,
            _ if magic == BYTE_ORDER_MAGIC.swap_bytes() => ByteOrder::Big,
            _ => return Err(Problem::ByteOrder(magic)),
        };
        let [_, length, _, version, ..] = self.order.words::<HEADER, 6>(&header);
        let length = rounded(length);
        let (major, minor) = match self.order {
            ByteOrder::Little => (version & 0xffff, version >> 16),
            ByteOrder::Big => (version >> 16, version & 0xffff),
        };
        if major != 1 {
            return Err(Problem::Version { format: "pcapng", major, minor, expected: "1.0" });
        }
        block_length("section header", length, HEADER as u32 + 4, LARGEST_BLOCK)?;
        self.skip(window, length)?;
        self.first_interface = described;
        self.first_snaplen = 0;
        Ok(None)
    }

    /// Interface Description Block (§4.2).
    fn interface(
        &mut self,
        window: &mut Window,
        length: u32,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Option<Located>, Problem> {
        const HEADER: usize = 16;
        block_length("interface description", length, HEADER as u32 + 4, BUFFERED_BLOCK)?;
        if interfaces.len() >= INTERFACES {
            return Err(Problem::TooManyInterfaces(INTERFACES));
        }
        window.require(length as usize, "an interface description")?;
        let block = window.peek(length as usize)?.get(..length as usize).unwrap_or_default();
        let Some((&header, rest)) = block.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [.., link, snaplen] = self.order.words::<HEADER, 4>(&header);
        // A 16-bit link type and 16 reserved bits.
        let link = LinkType(self.order.first_half(link));
        let options = rest.get(..rest.len().saturating_sub(4)).unwrap_or_default();
        let described = Description::read(options, self.order)?;
        if interfaces.len() == self.first_interface {
            self.first_snaplen = snaplen;
        }
        self.skip(window, length)?;
        self.clocks.push(described.clock);
        interfaces.push(Interface { link, name: described.name });
        Ok(None)
    }

    /// Enhanced Packet Block (§4.3).
    #[inline]
    fn enhanced(
        &mut self,
        window: &mut Window,
        length: u32,
        interfaces: &[Interface],
    ) -> Result<Option<Located>, Problem> {
        self.dated(window, length, "enhanced packet", |_, interface| interface, interfaces)
    }

    /// Simple Packet Block (§4.4): of the section's first interface, without a time.
    fn simple(
        &mut self,
        window: &mut Window,
        length: u32,
        interfaces: &[Interface],
    ) -> Result<Option<Located>, Problem> {
        const HEADER: usize = 12;
        block_length("simple packet", length, HEADER as u32 + 4, BUFFERED_BLOCK)?;
        let [_, _, original] = self.order.words(window.peek_array::<HEADER>("a simple packet block")?);
        let snaplen = if self.first_snaplen == 0 { u32::MAX } else { self.first_snaplen };
        let body = Body {
            length,
            header: HEADER as u32,
            interface: 0,
            captured: original.min(snaplen).min(length - HEADER as u32 - 4),
            original,
        };
        self.packet(window, &body, None, interfaces)
    }

    /// Packet Block (appendix A), which old files have instead of the enhanced one.
    fn obsolete(
        &mut self,
        window: &mut Window,
        length: u32,
        interfaces: &[Interface],
    ) -> Result<Option<Located>, Problem> {
        // A 16-bit interface and a 16-bit count of drops.
        let interface = |order: ByteOrder, word| u32::from(order.first_half(word));
        self.dated(window, length, "packet block", interface, interfaces)
    }

    /// A packet block that has a time: the two kinds differ in how they number the interface.
    #[inline]
    fn dated(
        &mut self,
        window: &mut Window,
        length: u32,
        what: &'static str,
        interface: impl Fn(ByteOrder, u32) -> u32,
        interfaces: &[Interface],
    ) -> Result<Option<Located>, Problem> {
        const HEADER: usize = 28;
        block_length(what, length, HEADER as u32 + 4, BUFFERED_BLOCK)?;
        let header = window.peek_array::<HEADER>("a packet block's header")?;
        let [_, _, number, high, low, captured, original] = self.order.words(header);
        let interface = interface(self.order, number);
        let body = Body { length, header: HEADER as u32, interface, captured, original };
        self.packet(window, &body, Some((high, low)), interfaces)
    }

    /// The part that is the same for all packet blocks: limits, data, what follows the data.
    #[inline]
    fn packet(
        &mut self,
        window: &mut Window,
        body: &Body,
        ticks: Option<(u32, u32)>,
        interfaces: &[Interface],
    ) -> Result<Option<Located>, Problem> {
        let index = self.first_interface.saturating_add(body.interface as usize);
        let (Some(interface), Some(clock)) = (interfaces.get(index), self.clocks.get(index)) else {
            let described = interfaces.len().saturating_sub(self.first_interface) as u32;
            return Err(Problem::UnknownInterface { interface: body.interface, described });
        };
        if body.captured > CAPTURED_LIMIT {
            return Err(Problem::CapturedLength { length: body.captured, limit: CAPTURED_LIMIT });
        }
        let room = body.length - body.header - 4;
        if body.captured > room {
            return Err(Problem::Room { length: body.captured, room });
        }
        if let Some((high, low)) = ticks {
            self.latest = clock.time(u64::from(high) << 32 | u64::from(low));
        }
        window.require(body.length as usize, "a packet block")?;
        let block = window.take(body.length as usize);
        let trailer = window.slice(block.end - 4..block.end);
        self.check_trailer(body.length, trailer)?;
        let start = block.start + body.header as usize;
        Ok(Some(Located {
            time: self.latest,
            link: interface.link,
            data: start..start + body.captured as usize,
            original_length: body.original.max(body.captured),
            interface: index as u32,
        }))
    }

    /// Consumes a block, however long, and checks the length at its end.
    fn skip(&self, window: &mut Window, length: u32) -> Result<(), Problem> {
        window.skip(u64::from(length - 4), "a block")?;
        let trailer = window.peek_array::<4>("a block")?;
        self.check_trailer(length, trailer)?;
        window.take(4);
        Ok(())
    }

    #[inline]
    fn check_trailer(&self, leading: u32, trailer: &[u8]) -> Result<(), Problem> {
        let trailing = self.order.u32(trailer.first_chunk().copied().unwrap_or_default());
        if rounded(trailing) == leading { Ok(()) } else { Err(Problem::TrailingLength { leading, trailing }) }
    }
}

/// What the packet blocks have in common.
struct Body {
    /// Of the whole block.
    length: u32,
    /// Bytes before the data.
    header: u32,
    interface: u32,
    captured: u32,
    original: u32,
}

/// A block's length with the padding that its field may lack. A length too great for that stays as it is and fails the check.
#[inline]
fn rounded(length: u32) -> u32 {
    length.checked_next_multiple_of(4).unwrap_or(length)
}

fn block_length(what: &'static str, length: u32, minimum: u32, maximum: u32) -> Result<(), Problem> {
    if length >= minimum && length <= maximum && length.is_multiple_of(4) {
        return Ok(());
    }
    Err(Problem::BlockLength { what, length, minimum, maximum })
}
