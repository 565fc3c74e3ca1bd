// Quake III Arena and its kin: a master server answers with a list of game servers, to which the client then sends (dpmaster:
// doc/techinfo.txt). The servers are third parties: the module asks to be allowed to introduce the client to them, and nobody else.
//
//   client   FF FF FF FF getservers …            or getserversExt …
//   server   FF FF FF FF getserversResponse      then for each server `\`, four bytes of address, two of port; `\EOT` at the end
//            FF FF FF FF getserversExtResponse   `/`, sixteen bytes, two of port for IPv6
import {
  Blind, Direction, Refusal, UDP, admitPort, attach, big16, blind, consumed, expect, familyOf, input, master, refuse, state,
} from "../pinhole";
export { pinhole_exchange, pinhole_restore } from "../pinhole";

/** Datagrams that count as answers to one question: the list comes in several. */
const ANSWERS: u8 = 64;
/** Most servers of a datagram. */
const SERVERS: i32 = 255;

// What a session remembers, by its offset in `state`.
const CLIENT_OPENED: usize = 0;
const SERVER_OPENED: usize = 1;
const ANSWERS_LEFT: usize = 2;
const STATE_SIZE: i32 = 8;

// Text of the protocol and an address, at fixed places: strings of AssemblyScript are UTF-16, and live on the heap.
const QUESTION: usize = memory.data<u8>([0xff, 0xff, 0xff, 0xff, 103, 101, 116, 115, 101, 114, 118, 101, 114, 115]); // getservers
const EXTENDED: usize = memory.data<u8>([69, 120, 116]); // Ext
const RESPONSE: usize = memory.data<u8>([82, 101, 115, 112, 111, 110, 115, 101]); // Response
const END: usize = memory.data<u8>([92, 69, 79, 84]); // \EOT
const address: usize = memory.data(16, 4);

export function pinhole_attach(): i32 {
  return attach(STATE_SIZE, 0);
}

export function pinhole_read(from: i32, length: i32): i64 {
  return from == Direction.Original ? question(length) : list(length);
}

/** Whether these bytes stand there. */
function stands(at: i32, length: i32, text: usize, size: i32): bool {
  return at + size <= length && memory.compare(input + at, text, size) == 0;
}

/** Where the text after `getservers` or `getserversExt` begins; -1: it is neither. */
function afterName(length: i32): i32 {
  if (!stands(0, length, QUESTION, 14)) return -1;
  return stands(14, length, EXTENDED, 3) ? 17 : 14;
}

function question(length: i32): i64 {
  const at = afterName(length);
  if (at < 0 || at >= length || load<u8>(input + at) != 0x20) {
    return load<u8>(state, CLIENT_OPENED) ? consumed(length) : blind(Blind.NotThisProtocol);
  }
  store<u8>(state, 1, CLIENT_OPENED);
  store<u8>(state, ANSWERS, ANSWERS_LEFT);
  return consumed(length);
}

function list(length: i32): i64 {
  let at = afterName(length);
  if (at < 0 || !stands(at, length, RESPONSE, 8)) {
    return load<u8>(state, SERVER_OPENED) ? consumed(length) : blind(Blind.NotThisProtocol);
  }
  store<u8>(state, 1, SERVER_OPENED);
  const left = load<u8>(state, ANSWERS_LEFT);
  if (left == 0) {
    refuse(Refusal.Unsolicited, 0, length);
    return consumed(length);
  }
  store<u8>(state, left - 1, ANSWERS_LEFT);
  at += 8;
  for (let count = 0; at < length && !stands(at, length, END, 4); count++) {
    if (count == SERVERS) {
      refuse(Refusal.Limit, at, length);
      break;
    }
    const first = load<u8>(input + at);
    const size = first == 0x5c ? 4 : first == 0x2f ? 16 : 0;
    const end = at + 1 + size + 2;
    if (size == 0 || end > length) {
      refuse(Refusal.Malformed, at, length);
      break;
    }
    server(at, size, end);
    at = end;
  }
  return consumed(length);
}

/** One server of the list. */
function server(at: i32, size: i32, end: i32): void {
  const family: u8 = size == 4 ? 4 : 6;
  memory.fill(address, 0, 16);
  if (size == 4) store<u16>(address, 0xffff, 10);
  memory.copy(address + 16 - size, input + at + 1, size);
  const port = big16(input + at + 1 + size);
  let why = admitPort(port);
  if (why == Refusal.None && familyOf(master.sender(Direction.Reply)) != family) why = Refusal.AddressFamily;
  if (why == Refusal.None && !isHost(family)) why = Refusal.ForeignAddress;
  if (why != Refusal.None) {
    refuse(why, at, end);
    return;
  }
  expect(Direction.Reply, UDP, address, family, <u16>port, at, end);
}

/** Whether the address can be some host's: neither unspecified, loopback nor multicast. */
function isHost(family: u8): bool {
  if (family == 4) {
    const first = load<u8>(address, 12);
    return load<u32>(address, 12) != 0 && first != 127 && (first & 0xf0) != 0xe0;
  }
  const high = load<u64>(address, 0);
  const low = load<u64>(address, 8);
  const isSmall = high == 0 && (low == 0 || low == bswap<u64>(1));
  const isMapped = high == 0 && load<u32>(address, 8) == 0xffff0000;
  return !isSmall && !isMapped && load<u8>(address) != 0xff;
}
