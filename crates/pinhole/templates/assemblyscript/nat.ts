// The NAT half of NAME: the port, in decimal digits.
import { Encoded, Field, input, writeDecimal } from "./pinhole";
export { pinhole_exchange } from "./pinhole";

export function pinhole_encode(kind: i32, notation: i32, length: i32): i32 {
  if (kind != Field.Port || notation != 0) return Encoded.UnknownNotation;
  writeDecimal(load<u16>(input, 16));
  return Encoded.Written;
}
