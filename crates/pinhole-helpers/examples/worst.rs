//! One of the parsers' worst inputs, once, so that what it takes can be counted (`cargo xtask instructions`): `worst NUMBER BYTES`. Without
//! arguments, their names, a line each.
#![allow(dead_code, reason = "the test of these inputs uses the rest")]

#[path = "../tests/worst_inputs/inputs.rs"]
mod inputs;

use inputs::{Conn, INPUTS};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let registry = pinhole_helpers::registry();
    let mut known = INPUTS.iter().filter_map(|input| {
        let helper = registry.iter().find(|helper| helper.spec().name == input.helper)?;
        Some((input, helper))
    });
    let [number, bytes] = &arguments[..] else {
        known.for_each(|(input, _)| println!("{}/{}", input.helper, input.name));
        return ExitCode::SUCCESS;
    };
    let (Ok(number), Ok(bytes)) = (number.parse(), bytes.parse()) else { return ExitCode::FAILURE };
    let Some((input, helper)) = known.nth(number) else { return ExitCode::FAILURE };
    let bytes = (input.bytes)(bytes);
    Conn::open(helper, input).say(input, input.from, &bytes);
    ExitCode::SUCCESS
}
