//! Messages (RFC 1157 §4, RFC 3416 §3, RFC 3412 §6).

use super::ber::{Elements, IP_ADDRESS, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, TIME_TICKS};

/// Addresses of one message that are told.
pub const ADDRESS_LIMIT: usize = 64;
/// Deepest nesting of elements in a value.
pub const DEPTH_LIMIT: usize = 16;

/// A message that was understood wholly.
#[derive(Debug)]
pub(super) struct Message {
    /// Whether an answer is due to it.
    pub(super) is_request: bool,
    addresses: [usize; ADDRESS_LIMIT],
    count: usize,
}

impl Message {
    /// Where the address values stand: offsets of four bytes each.
    pub(super) fn addresses(&self) -> impl Iterator<Item = usize> + '_ {
        self.addresses.iter().copied().take(self.count)
    }

    fn tell(&mut self, place: usize) {
        if let Some(free) = self.addresses.get_mut(self.count) {
            *free = place;
            self.count += 1;
        }
    }
}

/// Reads a datagram; `None` if it is not one whole message.
pub(super) fn message(bytes: &[u8]) -> Option<Message> {
    let mut datagram = Elements::of(bytes);
    let mut message = datagram.expect(SEQUENCE)?;
    let version = message.integer()?;
    let mut found = Message { is_request: false, addresses: [0; ADDRESS_LIMIT], count: 0 };
    match version {
        0 | 1 => {
            message.expect(OCTET_STRING)?;
            let unit = message.next()?;
            protocol_data_unit(unit.tag, unit.content, &mut found)?;
        }
        3 => found.is_request = is_reportable(&mut message)?,
        _ => return None,
    }
    (message.is_empty() && datagram.is_empty()).then_some(found)
}

/// The global data, the security parameters and the scoped data of version 3. Whether the sender wants to hear something (RFC 3412
/// §6.4), as it does of its requests.
fn is_reportable(message: &mut Elements<'_>) -> Option<bool> {
    const REPORTABLE: u8 = 4;
    let mut global = message.expect(SEQUENCE)?;
    let (_identifier, _largest) = (global.integer()?, global.integer()?);
    let &[flags] = global.expect(OCTET_STRING)?.bytes() else { return None };
    global.integer()?;
    message.expect(OCTET_STRING)?;
    matches!(message.next()?.tag, SEQUENCE | OCTET_STRING).then_some(flags & REPORTABLE != 0)
}

fn protocol_data_unit(tag: u8, mut unit: Elements<'_>, found: &mut Message) -> Option<()> {
    match tag {
        // Trap of version 1: enterprise, agent address, generic, specific, time.
        0xa4 => {
            unit.expect(OBJECT_IDENTIFIER)?;
            let agent = unit.expect(IP_ADDRESS)?;
            found.tell(address(agent)?);
            let (_generic, _specific) = (unit.integer()?, unit.integer()?);
            unit.expect(TIME_TICKS)?;
        }
        // Get, get-next, response, set, get-bulk, inform, trap, report: identifier, two more numbers.
        0xa0..=0xa3 | 0xa5..=0xa8 => {
            let _numbers = (unit.integer()?, unit.integer()?, unit.integer()?);
            found.is_request = matches!(tag, 0xa0 | 0xa1 | 0xa3 | 0xa5);
        }
        _ => return None,
    }
    let mut bindings = unit.expect(SEQUENCE)?;
    while !bindings.is_empty() {
        let mut binding = bindings.expect(SEQUENCE)?;
        binding.expect(OBJECT_IDENTIFIER)?;
        let value = binding.next()?;
        if value.tag == IP_ADDRESS {
            found.tell(address(value.content)?);
        } else {
            walk(value.tag, value.content, DEPTH_LIMIT)?;
        }
        if !binding.is_empty() {
            return None;
        }
    }
    unit.is_empty().then_some(())
}

/// Where an address stands, if it is one.
fn address(content: Elements<'_>) -> Option<usize> {
    (content.bytes().len() == 4).then_some(content.offset())
}

/// Values are simple (RFC 3416 §3); whoever sends containers nevertheless may not nest them without end.
fn walk(tag: u8, mut content: Elements<'_>, depth: usize) -> Option<()> {
    const CONSTRUCTED: u8 = 0x20;
    if tag & CONSTRUCTED == 0 {
        return Some(());
    }
    let depth = depth.checked_sub(1)?;
    while !content.is_empty() {
        let inner = content.next()?;
        walk(inner.tag, inner.content, depth)?;
    }
    Some(())
}
