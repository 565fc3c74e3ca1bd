// NAME: what is it, and what does it open?
//
//   client   HELLO …        the first line
//   client   PORT 50000     connect to me there
import {
  Blind, Direction, Field, Refusal, TCP, admitPort, attach, blind, consumed, expect, familyOf, input, locate, master, refuse, state,
} from "./pinhole";
export { pinhole_exchange, pinhole_restore } from "./pinhole";

/** Longest line, its end included. */
const LINE_LIMIT: i32 = 512;

// What a session remembers, by its offset in `state`: begins as zeros.
const HAS_OPENED: usize = 0;
const STATE_SIZE: i32 = 8;

// Words of the protocol: strings of AssemblyScript are UTF-16, and live on the heap.
const HELLO: usize = memory.data<u8>([72, 69, 76, 76, 79, 32]); // "HELLO "
const PORT: usize = memory.data<u8>([80, 79, 82, 84, 32]); // "PORT "

export function pinhole_attach(): i32 {
  return attach(STATE_SIZE, LINE_LIMIT);
}

export function pinhole_read(from: i32, length: i32): i64 {
  // The server announces nothing.
  if (from == Direction.Reply) return consumed(length);
  let at = 0;
  while (true) {
    // Where a segment ends means nothing: half a line is shown again with what follows it.
    let end = at;
    while (end < length && load<u8>(input + end) != 0x0a) end++;
    if (end - at >= LINE_LIMIT) {
      return blind(load<u8>(state, HAS_OPENED) ? Blind.MessageTooLong : Blind.NotThisProtocol);
    }
    if (end == length) return consumed(at);
    let last = end;
    if (last > at && load<u8>(input + last - 1) == 0x0d) last--;
    if (!load<u8>(state, HAS_OPENED)) {
      if (!begins(at, last, HELLO, 6)) return blind(Blind.NotThisProtocol);
      store<u8>(state, 1, HAS_OPENED);
    } else if (begins(at, last, PORT, 5)) {
      announce(at, last, at + 5);
    }
    at = end + 1;
  }
}

function begins(at: i32, end: i32, word: usize, size: i32): bool {
  return end - at >= size && memory.compare(input + at, word, size) == 0;
}

/** `PORT 50000` */
function announce(start: i32, end: i32, digits: i32): void {
  let port: u32 = 0;
  let isNumber = digits < end;
  for (let at = digits; at < end; at++) {
    const digit = <u32>load<u8>(input + at) - 48;
    isNumber = isNumber && digit < 10;
    // What is out of range stays so.
    if (isNumber && port <= 65535) port = port * 10 + digit;
  }
  let why = !isNumber ? Refusal.Malformed : end - digits > 5 ? Refusal.BadNumber : admitPort(port);
  if (why != Refusal.None) {
    refuse(why, start, end);
    return;
  }
  const own = master.senderSeenByPeer(Direction.Original);
  const handle = expect(Direction.Original, TCP, own, familyOf(own), <u16>port, start, end);
  locate(handle, digits, end, Field.Port, 0);
}
