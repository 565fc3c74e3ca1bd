// A pinhole helper module in AssemblyScript: the binary interface of docs/helper-abi.md, version 1.
//
// A conntrack half exports `pinhole_exchange` and `pinhole_restore` from here, `pinhole_attach` (which calls `attach`) and `pinhole_read`; a NAT
// half exports `pinhole_exchange` and `pinhole_encode`. What a session must remember between two calls belongs into `state`, by offset; everything else
// (globals, objects) is scratch, and may hold what another session left there. Nothing of a module may use floating point, and nothing here
// allocates.
//
// Licence: MIT OR Apache-2.0.

const VERSION: u32 = 1;
const INPUT_CAPACITY: i32 = 16384;
const OUTPUT_CAPACITY: i32 = 32768;
const STATE_CAPACITY: i32 = 1024;
const MASTER_SIZE: i32 = 88;

// The block and the areas.
const block: usize = memory.data(64, 8);
export const input: usize = memory.data(INPUT_CAPACITY, 8);
const output: usize = memory.data(OUTPUT_CAPACITY, 8);
// The master, the next handle, and then what the helper remembers.
const remembered: usize = memory.data(STATE_CAPACITY, 8);
const NEXT_HANDLE: usize = MASTER_SIZE;
/** What the helper remembers of the session: begins as zeros. */
export const state: usize = remembered + MASTER_SIZE + 8;

export namespace Direction {
  export const Original: i32 = 0;
  export const Reply: i32 = 1;
}

export namespace Blind {
  export const NotThisProtocol: i64 = 1;
  export const Encrypted: i64 = 2;
  export const MessageTooLong: i64 = 6;
  export const TooManyErrors: i64 = 8;
}

export namespace Refusal {
  /** It may be announced. */
  export const None: u32 = 0;
  export const ForeignAddress: u32 = 1;
  export const PrivilegedPort: u32 = 2;
  export const PortZero: u32 = 3;
  export const BadNumber: u32 = 4;
  export const Malformed: u32 = 5;
  export const AddressFamily: u32 = 6;
  export const Unsolicited: u32 = 7;
  export const OutOfSequence: u32 = 8;
  export const ReverseOffer: u32 = 9;
  export const Limit: u32 = 10;
  export const Clash: u32 = 11;
  export const Policy: u32 = 12;
  export const Unsupported: u32 = 13;
  export const Unanswered: u32 = 14;
}

/** Layer-4 protocols. */
export const TCP: u8 = 6;
export const UDP: u8 = 17;

/** Kinds of located fields. */
export namespace Field {
  export const Endpoint: u32 = 0;
  export const Address: u32 = 1;
  export const Port: u32 = 2;
}

/** Answers of `pinhole_encode`. */
export namespace Encoded {
  export const Written: i32 = 0;
  export const UnknownNotation: i32 = 1;
  /** The notation has no room for an address of this family. */
  export const NoRoom: i32 = 2;
}

/** So many bytes are done with. */
export function consumed(bytes: i32): i64 {
  return <i64>bytes;
}

/** The session reads no more, and why. */
export function blind(why: i64): i64 {
  return (1 << 32) | why;
}

/** The protocol is over. */
export function done(): i64 {
  return 2 << 32;
}

/** All that a session knows lies in the state area: it goes on after a restart of the host. */
export function pinhole_restore(): i32 {
  return 1;
}

export function pinhole_exchange(): i32 {
  store<u32>(block, VERSION, 0);
  store<u32>(block, <u32>input, 4);
  store<u32>(block, INPUT_CAPACITY, 8);
  store<u32>(block, <u32>output, 12);
  store<u32>(block, OUTPUT_CAPACITY, 16);
  store<u32>(block, <u32>remembered, 20);
  store<u32>(block, STATE_CAPACITY, 24);
  return <i32>block;
}

/** A session begins. It remembers `size` bytes, and waits for messages of `longest` bytes. */
export function attach(size: i32, longest: i32): i32 {
  memory.fill(remembered, 0, STATE_CAPACITY);
  memory.copy(remembered, input, MASTER_SIZE);
  store<u32>(block, MASTER_SIZE + 8 + size, 28);
  store<u32>(block, longest, 36);
  return 0;
}

/** The connection that is read, and what may be opened. */
export namespace master {
  export function lowestPort(): u32 {
    return load<u16>(remembered, 4);
  }

  /** The address of an endpoint: the sender of a direction, as it calls itself. */
  export function sender(from: i32): usize {
    return remembered + (from == Direction.Original ? 8 : 48);
  }

  /** The sender of a direction, as the other side knows it. */
  export function senderSeenByPeer(from: i32): usize {
    return remembered + (from == Direction.Original ? 68 : 28);
  }

  /** The receiver of a direction, as it calls itself. */
  export function receiver(from: i32): usize {
    return sender(1 - from);
  }
}

/** The family of an endpoint: 4 or 6. */
export function familyOf(endpoint: usize): u8 {
  return load<u8>(endpoint, 18);
}

/** Room for a record of the output area, filled with zeros. What does not fit is a mistake of the module's, and ends here. */
function record(kind: u16, size: i32): usize {
  const at = load<u32>(block, 32);
  if (at + size > <u32>OUTPUT_CAPACITY) unreachable();
  const place = output + at;
  memory.fill(place, 0, size);
  store<u16>(place, kind, 0);
  store<u16>(place, <u16>size, 2);
  store<u32>(block, at + size, 32);
  return place;
}

/** An announcement that is not honoured: bytes `start` to before `end` of the input. */
export function refuse(why: u32, start: i32, end: i32): void {
  const place = record(11, 16);
  store<u32>(place, why, 4);
  store<u32>(place, start, 8);
  store<u32>(place, end, 12);
}

/** Lets an expectation that was not active match from now on. */
export function activate(handle: u32): void {
  store<u32>(record(2, 8), handle, 4);
}

/** Lets an expectation be met from this address (16 bytes) instead. */
export function aim(handle: u32, address: usize, family: u8): void {
  const place = record(13, 28);
  store<u32>(place, handle, 4);
  store<u8>(place, family, 10);
  memory.copy(place + 12, address, 16);
}

/** Removes an expectation. */
export function cancel(handle: u32): void {
  store<u32>(record(5, 8), handle, 4);
}

/** Lets the control connection live at least so many seconds from now on. */
export function prolong(seconds: u32): void {
  store<u32>(record(4, 8), seconds, 4);
}

/** Tells the NAT half that this span holds that field of that expectation, in a notation that both halves know. */
export function locate(handle: u32, start: i32, end: i32, field: u32, notation: u32): void {
  const place = record(6, 20);
  store<u32>(place, handle, 4);
  store<u32>(place, start, 8);
  store<u32>(place, end, 12);
  store<u32>(place, field | (notation << 8), 16);
}

/**
 * Asks for one connection of the first class: from the receiver of direction `from`, any port, to this address (16 bytes) and port. The answer is
 * the session's name for it.
 */
export function expect(from: i32, protocol: u8, address: usize, family: u8, port: u16, start: i32, end: i32): u32 {
  const handle = load<u32>(remembered, NEXT_HANDLE);
  store<u32>(remembered, handle + 1, NEXT_HANDLE);
  const source = master.receiver(from);
  const place = record(1, 80);
  store<u32>(place, handle, 4);
  store<u8>(place, protocol, 9);
  store<u8>(place, 1, 11); // active
  store<u8>(place, 2, 14); // from any port
  store<u8>(place, familyOf(source), 16);
  store<u8>(place, family, 17);
  memory.copy(place + 20, source, 16);
  memory.copy(place + 36, address, 16);
  store<u16>(place, port, 56);
  store<u16>(place, port, 58);
  store<u32>(place, start, 68);
  store<u32>(place, end, 72);
  return handle;
}

/** Whether a port may be announced. The host asks again. */
export function admitPort(port: u32): u32 {
  if (port == 0) return Refusal.PortZero;
  if (port > 65535) return Refusal.BadNumber;
  return port < master.lowestPort() ? Refusal.PrivilegedPort : Refusal.None;
}

/** Appends a byte to what is to stand in place of the old bytes. */
export function writeByte(byte: u8): void {
  const at = load<u32>(block, 32);
  if (at >= <u32>OUTPUT_CAPACITY) unreachable();
  store<u8>(output + at, byte);
  store<u32>(block, at + 1, 32);
}

/** Appends a number in decimal digits. */
export function writeDecimal(number: u32): void {
  let power: u32 = 1;
  while (number / power >= 10) power *= 10;
  for (; power > 0; power /= 10) writeByte(<u8>(48 + ((number / power) % 10)));
}

/** Two bytes, most significant first. */
export function big16(place: usize): u32 {
  return (<u32>load<u8>(place) << 8) | <u32>load<u8>(place, 1);
}
