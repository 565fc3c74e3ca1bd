//! Transport specifications (RFC 2326 §12.39, RFC 7826 §18.54): where the ends of a media stream receive it.
//!
//! `RTP/AVP/UDP;unicast;client_port=4588-4589;server_port=6256-6257;destination=…;source=…` or, in 2.0,
//! `RTP/AVP/UDP;unicast;dest_addr=":4588"/":4589";src_addr="192.0.2.4:6256"/"192.0.2.4:6257"`.

use crate::number::port;
use crate::text_message::{split, trim};
use pinhole_helper::Refusal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// Most ports of one end of one specification.
const PORT_LIMIT: usize = 4;

/// One transport specification.
#[derive(Debug, Default)]
pub(super) struct Transport {
    /// Unicast over UDP: what needs conns of its own.
    pub(super) is_separate: bool,
    /// Where the client receives.
    pub(super) client: End,
    /// Where the server receives.
    pub(super) server: End,
}

/// Where one end receives.
#[derive(Debug, Default)]
pub(super) struct End {
    /// Empty if it is not said.
    pub(super) ports: Vec<Port>,
    /// `destination` or `source`, which goes for all ports that name no address of their own.
    pub(super) address: Option<Named>,
    pub(super) fault: Option<Refusal>,
}

/// One port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) number: u16,
    /// `None`: the end's own.
    pub(super) address: Option<IpAddr>,
    /// What stands for it: digits, or an endpoint.
    pub(super) place: Option<Range<usize>>,
    pub(super) is_endpoint: bool,
}

/// An address and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) address: IpAddr,
    pub(super) place: Range<usize>,
}

impl Transport {
    /// Reads the specification that stands in a range.
    pub(super) fn read(bytes: &[u8], range: Range<usize>) -> Self {
        let mut transport = Self::default();
        let mut parameters = split(bytes, range, b';');
        let protocol = parameters.next().and_then(|range| bytes.get(range)).unwrap_or_default();
        let mut parts = protocol.split(|&b| b == b'/');
        // `RTP/AVP` alone is over UDP (RFC 2326 §12.39). Protocols of vendors have no profile: `x-real-rdt/udp`, `x-pn-tng/tcp`.
        let (second, third) = (parts.nth(1), parts.next());
        let is = |part: &[u8], over: &[u8]| part.eq_ignore_ascii_case(over);
        let mut separate = match third {
            Some(over) => is(over, b"UDP"),
            None => !second.is_some_and(|over| is(over, b"TCP")),
        };
        for parameter in parameters {
            let text = bytes.get(parameter.clone()).unwrap_or_default();
            let equals = text.iter().position(|&b| b == b'=').unwrap_or(text.len());
            let value = trim(bytes, (parameter.start + equals + 1).min(parameter.end)..parameter.end);
            let name = text.get(..equals).unwrap_or_default().trim_ascii_end().to_ascii_lowercase();
            match &*name {
                b"multicast" | b"interleaved" => separate = false,
                b"client_port" => transport.client.range(bytes, value),
                b"server_port" => transport.server.range(bytes, value),
                b"destination" => transport.client.host(bytes, value),
                b"source" => transport.server.host(bytes, value),
                b"dest_addr" => transport.client.endpoints(bytes, value),
                b"src_addr" => transport.server.endpoints(bytes, value),
                _ => {}
            }
        }
        transport.is_separate = separate;
        transport
    }
}

impl End {
    /// `first` or `first-last`.
    fn range(&mut self, bytes: &[u8], value: Range<usize>) {
        let text = bytes.get(value.clone()).unwrap_or_default();
        let dash = text.iter().position(|b| matches!(b, b'-' | b'/'));
        let first_place = trim(bytes, value.start..dash.map_or(value.end, |dash| value.start + dash));
        let last_place = dash.map(|dash| trim(bytes, value.start + dash + 1..value.end));
        let number = |place: &Range<usize>| bytes.get(place.clone()).and_then(port).ok_or(Refusal::BadNumber);
        let numbers = number(&first_place).and_then(|first| {
            let last = last_place.as_ref().map_or(Ok(first), number)?;
            Ok(first..=last)
        });
        let numbers = match numbers {
            Ok(numbers) if numbers.is_empty() => return self.fault = Some(Refusal::BadNumber),
            Ok(numbers) if numbers.len() > PORT_LIMIT => return self.fault = Some(Refusal::Limit),
            Ok(numbers) => numbers,
            Err(refusal) => return self.fault = Some(refusal),
        };
        let (first, last) = (*numbers.start(), *numbers.end());
        let port = |number| {
            let place = if number == first {
                Some(first_place.clone())
            } else {
                last_place.clone().filter(|_| number == last)
            };
            Port { number, address: None, place, is_endpoint: false }
        };
        self.ports = numbers.map(port).collect();
    }

    fn host(&mut self, bytes: &[u8], place: Range<usize>) {
        let text = bytes.get(place.clone()).unwrap_or_default();
        let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        match address(text) {
            Some(address) => self.address = Some(Named { address, place }),
            // `destination` without a value asks for the client's own address.
            None if text.is_empty() => {}
            None => self.fault = Some(Refusal::Unsupported),
        }
    }

    /// `"host:port"/"host:port"`, the host may be missing.
    fn endpoints(&mut self, bytes: &[u8], value: Range<usize>) {
        for piece in split(bytes, value, b'/').filter(|piece| !piece.is_empty()) {
            let text = bytes.get(piece.clone()).unwrap_or_default();
            let quoted = text.len() > 1 && text.starts_with(b"\"") && text.ends_with(b"\"");
            let place = if quoted { piece.start + 1..piece.end - 1 } else { piece };
            let text = bytes.get(place.clone()).unwrap_or_default();
            match endpoint(text) {
                Ok((address, number)) if self.ports.len() < PORT_LIMIT => {
                    self.ports.push(Port { number, address, place: Some(place), is_endpoint: true });
                }
                Ok(_) => self.fault = Some(Refusal::Limit),
                Err(refusal) => self.fault = Some(refusal),
            }
        }
    }
}

/// `host:port` or `:port`.
fn endpoint(text: &[u8]) -> Result<(Option<IpAddr>, u16), Refusal> {
    let colon = text.iter().rposition(|&b| b == b':').ok_or(Refusal::Malformed)?;
    let (host, digits) = text.split_at_checked(colon).ok_or(Refusal::Malformed)?;
    let number = digits.strip_prefix(b":").and_then(port).ok_or(Refusal::BadNumber)?;
    let bare = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    match address(bare) {
        Some(address) => Ok((Some(address), number)),
        None if host.is_empty() => Ok((None, number)),
        None => Err(Refusal::Unsupported),
    }
}

fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse::<Ipv4Addr>().map(IpAddr::V4).or_else(|_| text.parse::<Ipv6Addr>().map(IpAddr::V6)).ok()
}
