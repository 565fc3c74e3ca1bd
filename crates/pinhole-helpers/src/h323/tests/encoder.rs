//! A peer of its own: writes H.323 messages field by field, from the ASN.1 and X.691, with nothing of the helper's.

use std::net::{IpAddr, SocketAddr};

/// H.225.0 version 4: {itu-t(0) recommendation(0) h(8) 2250 version(0) 4}.
const H2250_VERSION_4: [u8; 6] = [0, 8, 0x91, 0x4a, 0, 4];
/// H.245 version 7.
const H245_VERSION_7: [u8; 6] = [0, 8, 0x81, 0x75, 0, 7];

/// Writes bits, the most significant first.
#[derive(Clone, Default)]
pub(super) struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    pub(super) fn bits(&mut self, value: u32, count: usize) -> &mut Self {
        for bit in (0..count).rev() {
            if self.used == self.bytes.len() * 8 {
                self.bytes.push(0);
            }
            let byte = self.bytes.last_mut().unwrap();
            *byte |= ((value >> bit & 1) as u8) << (7 - self.used % 8);
            self.used += 1;
        }
        self
    }

    pub(super) fn bit(&mut self, value: bool) -> &mut Self {
        self.bits(value.into(), 1)
    }

    pub(super) fn octets(&mut self, octets: &[u8]) -> &mut Self {
        self.used = self.bytes.len() * 8;
        self.bytes.extend(octets);
        self.used = self.bytes.len() * 8;
        self
    }

    pub(super) fn length(&mut self, length: usize) -> &mut Self {
        match length {
            0..128 => self.octets(&[length as u8]),
            128..16384 => self.octets(&(length as u16 | 0x8000).to_be_bytes()),
            _ => panic!("fragments"),
        }
    }

    pub(super) fn string(&mut self, octets: &[u8]) -> &mut Self {
        self.length(octets.len()).octets(octets)
    }

    /// An open type: a complete encoding.
    fn open(&mut self, fill: impl FnOnce(&mut Bits)) -> &mut Self {
        let mut inner = Bits::default();
        fill(&mut inner);
        self.string(&inner.finish())
    }

    /// Which of so many additions are there.
    fn additions(&mut self, present: &[bool]) -> &mut Self {
        self.bits(present.len() as u32 - 1, 7);
        present.iter().for_each(|present| {
            self.bit(*present);
        });
        self
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        self.bytes
    }
}

/// TransportAddress of H.225.0.
fn signalling_address(bits: &mut Bits, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => bits.bit(false).bits(0, 3).octets(&ip.octets()),
        IpAddr::V6(ip) => bits.bit(false).bits(3, 3).bit(false).octets(&ip.octets()),
    };
    bits.octets(&address.port().to_be_bytes());
}

/// TransportAddress of H.245.
fn media_address(bits: &mut Bits, address: SocketAddr) {
    bits.bit(false).bit(false).bit(false);
    match address.ip() {
        IpAddr::V4(ip) => bits.bits(0, 3).bit(false).octets(&ip.octets()),
        IpAddr::V6(ip) => bits.bits(2, 3).bit(false).octets(&ip.octets()),
    };
    bits.octets(&address.port().to_be_bytes());
}

/// EndpointType of a terminal.
fn terminal(bits: &mut Bits) {
    bits.bit(false).bits(0b00_0001, 6).bit(false).bit(false).bits(0, 2);
}

/// Contents of a call signalling message, all optional.
#[derive(Clone, Default)]
pub(super) struct Call {
    pub(super) h245: Option<SocketAddr>,
    pub(super) destination: Option<SocketAddr>,
    pub(super) source: Option<SocketAddr>,
    pub(super) fast_start: Vec<Vec<u8>>,
    pub(super) tunnelled: Vec<Vec<u8>>,
}

fn list(bits: &mut Bits, elements: &[Vec<u8>]) {
    bits.length(elements.len());
    elements.iter().for_each(|element| {
        bits.string(element);
    });
}

fn setup_contents(bits: &mut Bits, call: &Call) {
    let (source, fast_start) = (call.source, &call.fast_start);
    bits.bit(true);
    bits.bit(call.h245.is_some()).bits(0, 2).bit(call.destination.is_some()).bits(0, 3);
    bits.string(&H2250_VERSION_4);
    call.h245.iter().for_each(|address| signalling_address(bits, *address));
    terminal(bits);
    call.destination.iter().for_each(|address| signalling_address(bits, *address));
    bits.bit(false).octets(&[7; 16]);
    bits.bit(false).bits(0, 2).bit(false).bits(0, 2);
    let (has_source, has_fast_start) = (source.is_some(), !fast_start.is_empty());
    bits.additions(&[has_source, false, true, false, false, false, has_fast_start, true, true]);
    source.iter().for_each(|address| {
        bits.open(|bits| signalling_address(bits, *address));
    });
    bits.open(|bits| {
        bits.bit(false).octets(&[9; 16]);
    });
    if has_fast_start {
        bits.open(|bits| list(bits, fast_start));
    }
    bits.open(|bits| {
        bits.bit(false);
    })
    .open(|bits| {
        bits.bit(false);
    });
}

/// Connect: h245Address, destinationInfo, conferenceID.
fn connect_contents(bits: &mut Bits, call: &Call) {
    bits.bit(true).bit(call.h245.is_some()).string(&H2250_VERSION_4);
    call.h245.iter().for_each(|address| signalling_address(bits, *address));
    terminal(bits);
    bits.octets(&[7; 16]);
    answer_additions(bits, call);
}

/// CallProceeding and Alerting: destinationInfo, h245Address.
fn proceeding_contents(bits: &mut Bits, call: &Call) {
    bits.bit(true).bit(call.h245.is_some()).string(&H2250_VERSION_4);
    terminal(bits);
    call.h245.iter().for_each(|address| signalling_address(bits, *address));
    answer_additions(bits, call);
}

/// callIdentifier, h245SecurityMode, tokens, cryptoTokens, fastStart.
fn answer_additions(bits: &mut Bits, call: &Call) {
    bits.additions(&[true, false, false, false, !call.fast_start.is_empty()]);
    bits.open(|bits| {
        bits.bit(false).octets(&[9; 16]);
    });
    if !call.fast_start.is_empty() {
        bits.open(|bits| list(bits, &call.fast_start));
    }
}

/// Progress, which has a token ahead of its fastStart.
fn progress_contents(bits: &mut Bits, call: &Call) {
    bits.bit(false).bit(call.h245.is_some()).bit(true).bit(true).bit(false);
    bits.bit(!call.fast_start.is_empty()).string(&H2250_VERSION_4);
    terminal(bits);
    call.h245.iter().for_each(|address| signalling_address(bits, *address));
    bits.bit(false).octets(&[9; 16]);
    // h245SecurityMode: noSecurity; tokens: one of tokenOID, timeStamp and generalID.
    bits.bit(false).bits(1, 2);
    bits.length(1).bit(false).bits(0b1000_0010, 9 - 1).bit(false);
    bits.string(&[0, 8]).bits(3, 2).octets(&0x6543_2100u32.to_be_bytes()).bits(1, 7).octets(b"\0a\0b");
    if !call.fast_start.is_empty() {
        list(bits, &call.fast_start);
    }
}

/// The user information around a message body.
fn user_information(
    alternative: u32,
    extension: bool,
    call: &Call,
    contents: impl FnOnce(&mut Bits, &Call),
) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bit(false).bit(true).bit(false);
    if extension {
        bits.bit(true).bits(alternative, 7).open(|bits| contents(bits, call));
    } else {
        bits.bit(false).bits(alternative, 3);
        contents(&mut bits, call);
    }
    let tunnelled = !call.tunnelled.is_empty();
    bits.additions(&[false, true, tunnelled]).open(|bits| {
        bits.bit(tunnelled);
    });
    if tunnelled {
        bits.open(|bits| list(bits, &call.tunnelled));
    }
    bits.finish()
}

/// A packet with a Q.931 message: its type, the call reference with its flag, the user information.
pub(super) fn q931(kind: u8, reference: u16, user: &[u8]) -> Vec<u8> {
    let mut message = vec![8, 2];
    message.extend(reference.to_be_bytes());
    message.push(kind);
    if kind == 5 {
        message.extend([4, 3, 0x80, 0x90, 0xa5]);
    }
    message.push(0x7e);
    message.extend((user.len() as u16 + 1).to_be_bytes());
    message.push(5);
    message.extend(user);
    tpkt(&message)
}

/// RFC 1006.
pub(super) fn tpkt(contents: &[u8]) -> Vec<u8> {
    let mut packet = vec![3, 0];
    packet.extend((contents.len() as u16 + 4).to_be_bytes());
    packet.extend(contents);
    packet
}

pub(super) fn setup(reference: u16, call: &Call) -> Vec<u8> {
    q931(5, reference, &user_information(0, false, call, setup_contents))
}

pub(super) fn call_proceeding(reference: u16, call: &Call) -> Vec<u8> {
    q931(2, reference | 0x8000, &user_information(1, false, call, proceeding_contents))
}

pub(super) fn connect(reference: u16, call: &Call) -> Vec<u8> {
    q931(7, reference | 0x8000, &user_information(2, false, call, connect_contents))
}

pub(super) fn alerting(reference: u16, call: &Call) -> Vec<u8> {
    q931(1, reference | 0x8000, &user_information(3, false, call, proceeding_contents))
}

pub(super) fn progress(reference: u16, call: &Call) -> Vec<u8> {
    q931(3, reference | 0x8000, &user_information(0, true, call, progress_contents))
}

/// A Facility that sends the caller to another address; 1 is callForwarded.
pub(super) fn forward(reference: u16, alternative: SocketAddr, reason: u32) -> Vec<u8> {
    let contents = |bits: &mut Bits, _: &Call| {
        bits.bit(false).bits(0b100, 3).string(&H2250_VERSION_4);
        signalling_address(bits, alternative);
        bits.bit(false).bits(reason, 2);
    };
    q931(0x62, reference | 0x8000, &user_information(6, false, &Call::default(), contents))
}

pub(super) fn release_complete(reference: u16) -> Vec<u8> {
    let contents = |bits: &mut Bits, _: &Call| {
        bits.bit(false).bit(false).string(&H2250_VERSION_4);
    };
    q931(0x5a, reference, &user_information(5, false, &Call::default(), contents))
}

/// Endpoints of one direction of a channel.
#[derive(Clone, Copy, Default)]
pub(super) struct Media {
    pub(super) media: Option<SocketAddr>,
    pub(super) control: Option<SocketAddr>,
}

fn h2250_parameters(bits: &mut Bits, session: u32, media: Media) {
    // nonStandard, associatedSessionID, mediaChannel, …Guaranteed, mediaControlChannel, …, silenceSuppression, and four more.
    bits.bit(false).bits(0, 2).bit(media.media.is_some()).bit(false).bit(media.control.is_some()).bits(0, 5);
    bits.octets(&[session as u8]);
    media.media.iter().for_each(|address| media_address(bits, *address));
    media.control.iter().for_each(|address| media_address(bits, *address));
}

/// What a channel carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// G.711 µ-law.
    Audio,
    /// H.261 and a bit rate, the longest type here.
    Video,
    /// T.120.
    T120,
    /// Nothing, in the forward parameters of a reverse proposal.
    Nothing,
}

fn data_type(bits: &mut Bits, carries: Carries) {
    bits.bit(false);
    match carries {
        Carries::Nothing => {
            bits.bits(1, 3);
        }
        Carries::Audio => {
            bits.bits(3, 3).bit(false).bits(3, 4).octets(&[19]);
        }
        Carries::Video => {
            bits.bits(2, 3).bit(false).bits(1, 3);
            bits.bit(false).bits(0b10, 2).bits(0, 2).bit(true).octets(&6399u16.to_be_bytes()).bit(false);
        }
        // separateLANStack is the fourth protocol behind the extension marker.
        Carries::T120 => {
            bits.bits(4, 3).bit(false).bit(false).bits(1, 4).bit(true).bits(3, 7).length(0);
            bits.bits(1, 2).octets(&6200u16.to_be_bytes());
        }
    }
}

/// An OpenLogicalChannel on its own, as in fastStart.
pub(super) fn channel(number: u16, carries: Carries, forward: Media, reverse: Option<Media>) -> Vec<u8> {
    let mut bits = Bits::default();
    open_logical_channel(&mut bits, number, carries, forward, reverse, None);
    bits.finish()
}

fn open_logical_channel(
    bits: &mut Bits,
    number: u16,
    carries: Carries,
    forward: Media,
    reverse: Option<Media>,
    stack: Option<SocketAddr>,
) {
    bits.bit(stack.is_some()).bit(reverse.is_some()).octets(&(number - 1).to_be_bytes());
    bits.bit(false).bit(false);
    data_type(bits, if reverse.is_some() { Carries::Nothing } else { carries });
    bits.bit(true).bits(if stack.is_some() { 1 } else { 0 }, 7);
    match (stack, reverse) {
        (Some(_), _) => bits.length(0),
        (None, _) => bits.open(|bits| h2250_parameters(bits, 1, forward)),
    };
    if let Some(reverse) = reverse {
        bits.bit(false).bit(true);
        data_type(bits, carries);
        bits.bit(true).bits(0, 7).open(|bits| h2250_parameters(bits, 1, reverse));
    }
    if let Some(stack) = stack {
        bits.additions(&[true]).open(|bits| network_access(bits, stack));
    }
}

fn network_access(bits: &mut Bits, address: SocketAddr) {
    bits.bit(false).bit(false).bit(false).bit(false).bits(2, 2);
    media_address(bits, address);
    bits.bit(false);
}

/// A request to open a channel.
pub(super) fn open(number: u16, carries: Carries, forward: Media) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(0, 2).bit(false).bits(3, 4);
    open_logical_channel(&mut bits, number, carries, forward, None, None);
    bits.finish()
}

/// A request to open a T.120 conn to an address.
pub(super) fn open_stack(number: u16, stack: SocketAddr) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(0, 2).bit(false).bits(3, 4);
    open_logical_channel(&mut bits, number, Carries::T120, Media::default(), None, Some(stack));
    bits.finish()
}

pub(super) fn open_ack(number: u16, media: Media) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(1, 2).bit(false).bits(5, 5);
    bits.bit(true).bit(false).octets(&(number - 1).to_be_bytes());
    bits.additions(&[false, true]);
    bits.open(|bits| {
        bits.bit(false);
        bits.bit(false)
            .bit(false)
            .bit(true)
            .bit(media.media.is_some())
            .bit(media.control.is_some())
            .bit(false);
        // sessionID (1..255): eight bits, but no octet of its own, for 256 values it would be one.
        bits.bits(0, 8);
        media.media.iter().for_each(|address| media_address(bits, *address));
        media.control.iter().for_each(|address| media_address(bits, *address));
    });
    bits.finish()
}

pub(super) fn open_reject(number: u16) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(1, 2).bit(false).bits(6, 5);
    bits.bit(false).octets(&(number - 1).to_be_bytes()).bit(false).bits(0, 3);
    bits.finish()
}

pub(super) fn close(number: u16) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(0, 2).bit(false).bits(4, 4);
    bits.bit(false).octets(&(number - 1).to_be_bytes()).bit(false);
    bits.finish()
}

/// TerminalCapabilitySet with a multiplex capability and one codec.
pub(super) fn capabilities() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(0, 2).bit(false).bits(2, 4);
    bits.bit(false).bits(0b111, 3).octets(&[1]).string(&H245_VERSION_7);
    // multiplexCapability: h2250Capability.
    bits.bit(true).bits(0, 7).open(|bits| {
        bits.bit(false).octets(&60u16.to_be_bytes());
        (0..3).for_each(|_| {
            bits.bit(false).bits(0, 2).length(0);
        });
        bits.bit(false).bits(0, 2).bit(false).bit(false).bit(false);
    });
    // capabilityTable: one entry, receiveAudioCapability g711Ulaw64k.
    bits.octets(&[0])
        .bit(true)
        .octets(&0u16.to_be_bytes())
        .bit(false)
        .bits(4, 4)
        .bit(false)
        .bits(3, 4)
        .octets(&[19]);
    // capabilityDescriptors: one, of one alternative.
    bits.octets(&[0]).bit(true).octets(&[0]).octets(&[0]).octets(&[0]).octets(&0u16.to_be_bytes());
    bits.finish()
}

pub(super) fn master_slave() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.bit(false).bits(0, 2).bit(false).bits(1, 4);
    bits.bit(false).octets(&[50]).bits(2, 2).octets(&[1, 2, 3]);
    bits.finish()
}

fn ras(alternative: u32) -> Bits {
    let mut bits = Bits::default();
    bits.bit(false).bits(alternative, 5);
    bits
}

fn addresses(bits: &mut Bits, addresses: &[SocketAddr]) {
    bits.length(addresses.len());
    addresses.iter().for_each(|address| signalling_address(bits, *address));
}

fn number(bits: &mut Bits, number: u16) -> &mut Bits {
    bits.octets(&(number - 1).to_be_bytes())
}

fn identifier(bits: &mut Bits, text: &str) {
    bits.bits(text.len() as u32 - 1, 7);
    let wide: Vec<u8> = text.bytes().flat_map(|byte| [0, byte]).collect();
    bits.octets(&wide);
}

fn lifetime(bits: &mut Bits, seconds: u32) {
    let octets = (seconds - 1).to_be_bytes();
    let skip = octets.iter().take(3).take_while(|octet| **octet == 0).count();
    bits.bits(3 - skip as u32, 2).octets(&octets[skip..]);
}

pub(super) fn gatekeeper_request(seq: u16, address: SocketAddr) -> Vec<u8> {
    let mut bits = ras(0);
    bits.bit(false).bits(0, 4);
    number(&mut bits, seq).string(&H2250_VERSION_4);
    signalling_address(&mut bits, address);
    terminal(&mut bits);
    bits.finish()
}

pub(super) fn gatekeeper_confirm(seq: u16, address: SocketAddr) -> Vec<u8> {
    let mut bits = ras(1);
    bits.bit(false).bits(0, 2);
    number(&mut bits, seq).string(&H2250_VERSION_4);
    signalling_address(&mut bits, address);
    bits.finish()
}

pub(super) fn registration_request(
    seq: u16,
    signal: &[SocketAddr],
    ras_addresses: &[SocketAddr],
    seconds: Option<u32>,
    keeps_alive: bool,
) -> Vec<u8> {
    let mut bits = ras(3);
    bits.bit(true).bits(0, 3);
    number(&mut bits, seq).string(&H2250_VERSION_4).bit(true);
    addresses(&mut bits, signal);
    addresses(&mut bits, ras_addresses);
    terminal(&mut bits);
    // endpointVendor.
    bits.bit(false).bits(0, 2).bit(false).octets(&[9, 0, 0, 61]);
    bits.additions(&[false, seconds.is_some(), false, false, false, true]);
    seconds.iter().for_each(|seconds| {
        bits.open(|bits| lifetime(bits, *seconds));
    });
    bits.open(|bits| {
        bits.bit(keeps_alive);
    });
    bits.finish()
}

pub(super) fn registration_confirm(seq: u16, signal: &[SocketAddr], seconds: Option<u32>) -> Vec<u8> {
    let mut bits = ras(4);
    bits.bit(true).bits(0, 3);
    number(&mut bits, seq).string(&H2250_VERSION_4);
    addresses(&mut bits, signal);
    identifier(&mut bits, "endpoint");
    bits.additions(&[false, seconds.is_some()]);
    seconds.iter().for_each(|seconds| {
        bits.open(|bits| lifetime(bits, *seconds));
    });
    bits.finish()
}

pub(super) fn registration_reject(seq: u16) -> Vec<u8> {
    let mut bits = ras(5);
    bits.bit(false).bits(0, 2);
    number(&mut bits, seq).string(&H2250_VERSION_4).bit(false).bits(6, 3);
    bits.finish()
}

pub(super) fn unregistration_request(seq: u16, signal: &[SocketAddr]) -> Vec<u8> {
    let mut bits = ras(6);
    bits.bit(false).bits(0, 3);
    addresses(number(&mut bits, seq), signal);
    bits.finish()
}

pub(super) fn unregistration_confirm(seq: u16) -> Vec<u8> {
    let mut bits = ras(7);
    number(bits.bit(false).bit(false), seq);
    bits.finish()
}

pub(super) fn admission_request(seq: u16, source: Option<SocketAddr>) -> Vec<u8> {
    let mut bits = ras(9);
    bits.bit(false).bits(0, 4).bit(source.is_some()).bits(0, 2);
    number(&mut bits, seq).bit(false).bits(0, 2);
    identifier(&mut bits, "endpoint");
    // srcInfo: one alias of dialled digits, 4 bits each.
    bits.length(1).bit(false).bit(false).bits(2, 7).octets(&[]).bits(0x1_23, 12);
    source.iter().for_each(|address| signalling_address(&mut bits, *address));
    bits.bits(1, 2).octets(&1280u16.to_be_bytes()).octets(&77u16.to_be_bytes()).octets(&[7; 16]);
    bits.bit(false).bit(false);
    bits.finish()
}

pub(super) fn admission_confirm(seq: u16, destination: SocketAddr) -> Vec<u8> {
    let mut bits = ras(10);
    bits.bit(false).bits(0, 2);
    number(&mut bits, seq).bits(1, 2).octets(&1280u16.to_be_bytes()).bit(false).bit(false);
    signalling_address(&mut bits, destination);
    bits.finish()
}

pub(super) fn location_request(seq: u16, reply: SocketAddr) -> Vec<u8> {
    let mut bits = ras(18);
    bits.bit(false).bits(0, 2);
    number(&mut bits, seq).length(1).bit(false).bit(true).octets(&[1]).octets(b"\0a\0b");
    signalling_address(&mut bits, reply);
    bits.finish()
}

pub(super) fn location_confirm(seq: u16, signal: SocketAddr, ras_address: SocketAddr) -> Vec<u8> {
    let mut bits = ras(19);
    bits.bit(false).bit(false);
    signalling_address(number(&mut bits, seq), signal);
    signalling_address(&mut bits, ras_address);
    bits.finish()
}
