//! A peer of its own: frames of talk, ntalk, ICQ and OSCAR, written from the specifications and not with the helpers' code.
#![allow(dead_code, reason = "each test uses its part")]

/// Requests and answers of ntalk.
#[derive(Clone, Copy)]
pub(crate) enum Ntalk {
    LookUp = 1,
    Announce = 3,
}

impl Ntalk {
    pub(crate) fn request(self, host: [u8; 4], port: u16, control: u16) -> Vec<u8> {
        let socket = |port: u16| [&[0, 2][..], &port.to_be_bytes(), &host, &[0; 8]].concat();
        let names = b"alice\0\0\0\0\0\0\0bob\0\0\0\0\0\0\0\0\0";
        [&[1, self as u8, 0, 0, 0, 0, 0, 0][..], &socket(port), &socket(control), &[0; 4], names, &[0; 16]]
            .concat()
    }

    pub(crate) fn answer(self, answer: u8, host: [u8; 4], port: u16) -> Vec<u8> {
        [&[1, self as u8, answer, 0, 0, 0, 0, 1, 0, 2][..], &port.to_be_bytes(), &host, &[0; 8]].concat()
    }
}

/// Requests and answers of the older talk (4.2BSD).
#[derive(Clone, Copy)]
pub(crate) enum Talk {
    LookUp = 1,
    Announce = 3,
}

impl Talk {
    pub(crate) fn request(self, host: [u8; 4], port: u16, control: u16) -> Vec<u8> {
        let socket = |port: u16| [&[0, 2][..], &port.to_be_bytes(), &host, &[0; 8]].concat();
        let names = b"alice\0\0\0\0bob\0\0\0\0\0\0\0";
        [&[self as u8][..], names, &[0, 0, 0, 1, 0, 0, 3, 77], &[0; 16], &socket(port), &socket(control)]
            .concat()
    }

    pub(crate) fn answer(self, answer: u8, host: [u8; 4], port: u16) -> Vec<u8> {
        [&[self as u8, answer, 0, 0, 0, 0, 0, 1, 0, 2][..], &port.to_be_bytes(), &host, &[0; 8]].concat()
    }
}

/// Packets of ICQ version 5 ("Version 5 of the ICQ Protocol", H. Isaksson).
pub(crate) mod icq {
    pub(crate) const UIN: u32 = 7_654_321;
    pub(crate) const SESSION: u32 = 0x0bad_cafe;

    /// Encrypted as the specification's appendix says: one pass over the packet from offset 10 on, four bytes at a time, with the check
    /// code put in afterwards, its bits in other places.
    /// The check code covers the byte at one offset of the packet.
    fn client(command: u16, data: &[u8], place: usize) -> Vec<u8> {
        let mut packet = vec![5, 0, 0, 0, 0, 0];
        packet.extend(UIN.to_le_bytes());
        packet.extend(SESSION.to_le_bytes());
        packet.extend(command.to_le_bytes());
        packet.extend([0x34, 0x12, 1, 0, 0, 0, 0, 0]);
        packet.extend(data);
        let byte = |at: usize| u32::from(packet[at]);
        let table = super::table();
        let first = byte(8) << 24 | byte(4) << 16 | byte(2) << 8 | byte(6);
        let entry = 40;
        let second = (place as u32) << 24
            | (byte(place) ^ 0xff) << 16
            | (entry as u32) << 8
            | (u32::from(table[entry]) ^ 0xff);
        let code = first ^ second;
        let key = (packet.len() as u32).wrapping_mul(0x6865_6c6c).wrapping_add(code);
        let mut at = 10;
        while at < packet.len() {
            let word = key.wrapping_add(u32::from(table[at & 0xff])).to_le_bytes();
            for (offset, byte) in word.iter().enumerate() {
                if at + offset < packet.len() {
                    packet[at + offset] ^= byte;
                }
            }
            at += 4;
        }
        let shuffled = (code & 0x0000_001f) << 12
            | (code & 0x03e0_03e0) << 1
            | (code & 0xf800_0400) >> 10
            | (code & 0x0000_f800) << 16
            | (code & 0x041f_0000) >> 15;
        packet[20..24].copy_from_slice(&shuffled.to_le_bytes());
        packet
    }

    fn server(command: u16, data: &[u8]) -> Vec<u8> {
        let mut packet = vec![5, 0, 0];
        packet.extend(SESSION.to_le_bytes());
        packet.extend(command.to_le_bytes());
        packet.extend([0x34, 0x12, 1, 0]);
        packet.extend(UIN.to_le_bytes());
        packet.extend([0; 4]);
        packet.extend(data);
        packet
    }

    /// Where the port and the address of a login stand.
    pub(crate) const PORT_AT: usize = 24 + 4;
    pub(crate) const ADDRESS_AT: usize = PORT_AT + 4 + 2 + 7 + 4;

    pub(crate) fn login(host: [u8; 4], port: u32) -> Vec<u8> {
        login_checked(host, port, 6)
    }

    /// A login whose check code covers the byte at one offset.
    pub(crate) fn login_checked(host: [u8; 4], port: u32, covers: usize) -> Vec<u8> {
        let data = [&943_920_000_u32.to_le_bytes()[..], &who(host, port)].concat();
        client(1000, &data, covers)
    }

    /// A login of version 2 ("ICQ protocol V2", M. Ihse) or 3, neither of which is scrambled.
    pub(crate) fn plain_login(version: u8, host: [u8; 4], port: u32) -> Vec<u8> {
        let mut packet = vec![version, 0, 0xe8, 3, 1, 0];
        if version == 3 {
            packet.extend([1, 0]);
        }
        packet.extend(UIN.to_le_bytes());
        if version == 3 {
            packet.extend(943_920_000_u32.to_le_bytes());
        }
        packet.extend(who(host, port));
        packet
    }

    /// Where the port of a login of version 4 stands.
    pub(crate) const PORT_AT_4: usize = 20 + 4;

    /// A login of version 4 ("ICQ V4 encryption", S. Dault), whose check code covers the byte at one offset. Its first quarter is scrambled,
    /// a word at a time, but for the version and the code.
    pub(crate) fn login_of_version_4(host: [u8; 4], port: u32, covers: usize) -> Vec<u8> {
        let table = b"\n[1] You can modify";
        let mut packet = vec![4, 0, 0x5a, 0xa5, 0, 0, 0xe8, 3, 1, 0, 0, 0];
        packet.extend(UIN.to_le_bytes());
        packet.extend([0; 4]);
        packet.extend(943_920_000_u32.to_le_bytes());
        packet.extend(who(host, port));
        let byte = |at: usize| u32::from(packet[at]);
        let first = byte(8) << 24 | byte(4) << 16 | byte(2) << 8 | byte(6);
        let entry = 5;
        let second = (covers as u32) << 24
            | (byte(covers) ^ 0xff) << 16
            | (entry as u32) << 8
            | (u32::from(table[entry]) ^ 0xff);
        let code = first ^ second;
        let key = (packet.len() as u32).wrapping_mul(0x6675_6b65).wrapping_add(code);
        let words = packet.len().div_ceil(4).div_ceil(4);
        assert_eq!(words, 5, "the table's beginning is enough");
        for at in [0, 4, 8, 12] {
            let word = key.wrapping_add(u32::from(table[at])).to_le_bytes();
            for (offset, byte) in word.iter().enumerate().filter(|(offset, _)| at + offset >= 2) {
                packet[at + offset] ^= byte;
            }
        }
        packet[16..20].copy_from_slice(&code.to_le_bytes());
        packet
    }

    /// Port, password, address, and what else a login says.
    fn who(host: [u8; 4], port: u32) -> Vec<u8> {
        let mut data = port.to_le_bytes().to_vec();
        data.extend([7, 0]);
        data.extend(b"secret\0");
        data.extend([0xd5, 0, 0, 0]);
        data.extend(host);
        data.extend([4, 0, 0, 0, 0, 8, 0, 0, 0]);
        data.extend([0; 20]);
        data
    }

    pub(crate) fn keep_alive() -> Vec<u8> {
        client(1070, &[1, 2, 3, 4], 6)
    }

    /// Several of the server's messages in one (SRV_MULTI).
    pub(crate) fn several(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut data = vec![messages.len() as u8];
        for message in messages {
            data.extend((message.len() as u16).to_le_bytes());
            data.extend(message);
        }
        server(530, &data)
    }

    pub(crate) fn login_reply() -> Vec<u8> {
        server(90, &[0x8c, 0, 0, 0, 0xf0, 0, 10, 0, 10, 0, 5, 0, 10, 1, 0, 2, 1, 2, 3, 4])
    }

    pub(crate) fn user_online(host: [u8; 4], port: u32) -> Vec<u8> {
        let mut data = 1_234_567_u32.to_le_bytes().to_vec();
        data.extend(host);
        data.extend(port.to_le_bytes());
        data.extend([192, 168, 1, 2]);
        data.extend([4, 0, 0, 0, 0, 8, 0, 0, 0]);
        data.extend([0; 8]);
        server(110, &data)
    }
}

/// The table of the specification's appendix, as it prints it: numbers.
fn table() -> [u8; 256] {
    let text = "5960376B6562464853614C5960575B3D5E346D36503F6F6753614C5940476339505F5F3F6F4743694833316435\
                5A4A425640675341076C49583B4D4668436948333144656246485341076C69483351545D4E6C49384B554A62464833\
                51346D36505F5F5F3F6F4763594067333164355A6A526E3C51346D36505F5F3F4F374B355A4A6266583B4D66585B5D\
                4E6C49583B4D66583B4D464853614C594067333164556A323E4445526E3C3164556A524E6C694853614C39306F4763\
                5960575B3D3E64353A3A5A6A524E6C694853616C49583B4D46686339505F5F3F6F67534125413C51543D5E545D4E4C\
                39505F5F5F3F6F474369483351545D6E3C3164355A0000";
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    bytes.try_into().unwrap()
}

/// A frame of OSCAR.
pub(crate) fn flap(channel: u8, data: &[u8]) -> Vec<u8> {
    [&[0x2a, channel, 0x12, 0x34][..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// Rendezvous of OSCAR ("OSCAR (ICQ v7/v8/v9) Protocol Documentation", A. Shutko; Open AIM documents).
pub(crate) mod oscar {
    use super::flap;

    const FILE_TRANSFER: [u8; 16] =
        [0x09, 0x46, 0x13, 0x43, 0x4c, 0x7f, 0x11, 0xd1, 0x82, 0x22, 0x44, 0x45, 0x53, 0x54, 0, 0];
    pub(crate) const NAME: &[u8] = b"ScreenName";

    pub(crate) fn cookie(number: u8) -> [u8; 8] {
        [number, 2, 3, 4, 5, 6, 7, 8]
    }

    fn tlv(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    }

    fn icbm(subtype: u8, number: u8, sender: &[u8], block: &[u8]) -> Vec<u8> {
        let head =
            [&[0, 4, 0, subtype, 0, 0, 0, 0, 0, 77][..], &cookie(number), &[0, 2, NAME.len() as u8], NAME];
        flap(2, &[&head.concat(), sender, &tlv(5, block)].concat())
    }

    fn block(kind: u8, number: u8, tlvs: &[Vec<u8>]) -> Vec<u8> {
        [&[0, kind][..], &cookie(number), &FILE_TRANSFER, &tlvs.concat()].concat()
    }

    fn offer(sequence: u16, host: [u8; 4], port: u16) -> Vec<Vec<u8>> {
        let inverse = host.map(|byte| byte ^ 0xff);
        vec![
            tlv(0x0a, &sequence.to_be_bytes()),
            tlv(0x0f, &[]),
            tlv(0x02, &host),
            tlv(0x16, &inverse),
            tlv(0x03, &host),
            tlv(0x05, &port.to_be_bytes()),
            tlv(0x17, &(port ^ 0xffff).to_be_bytes()),
        ]
    }

    /// The client's proposal; `sequence`: 1 for the first, 2 for a redirect.
    pub(crate) fn proposal(number: u8, sequence: u16, host: [u8; 4], port: u16) -> Vec<u8> {
        icbm(6, number, &[], &block(0, number, &offer(sequence, host, port)))
    }

    /// Another user's proposal, as the server relays it.
    pub(crate) fn relayed(number: u8, sequence: u16, host: [u8; 4], port: u16, verified: [u8; 4]) -> Vec<u8> {
        let mut tlvs = offer(sequence, host, port);
        tlvs.insert(1, tlv(0x04, &verified));
        let sender = [&[0, 0, 0, 1][..], &tlv(1, &[0, 0x10])].concat();
        icbm(7, number, &sender, &block(0, number, &tlvs))
    }

    pub(crate) fn cancel(number: u8) -> Vec<u8> {
        icbm(6, number, &[], &block(1, number, &[tlv(0x0b, &[0, 1])]))
    }

    /// A client's status with where it listens for direct connections (ICQ).
    pub(crate) fn status(host: [u8; 4], port: u32) -> Vec<u8> {
        let mut direct = host.to_vec();
        direct.extend(port.to_be_bytes());
        // Normal connections, version 8, a cookie, web port, features, three times.
        direct.extend([4, 0, 8, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0, 0, 0x50, 0, 0, 0, 3]);
        direct.extend([0; 14]);
        let head = [0, 1, 0, 0x1e, 0, 0, 0, 0, 0, 78];
        flap(2, &[&head[..], &tlv(6, &[0; 4]), &tlv(0x0c, &direct)].concat())
    }
}
