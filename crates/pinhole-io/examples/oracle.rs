//! What the running kernel makes of a capture: `oracle [--helpers] [--rules FILE] CAPTURE` (Linux, root).
//!
//! Prints a line for each frame: number, state, direction, status, whether it was forwarded; and the expectations that it
//! caused.

use std::error::Error;
use std::fs;

use pinhole_io::capture::CaptureReader;
use pinhole_io::kernel::{
    ExpectationEventKind, HelperAssignment, Oracle, OracleError, OracleSettings, Repair, repair,
};
use pinhole_wire::NetworkKind;
use pinhole_wire::link::strip;

fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = OracleSettings::default();
    let mut capture = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--helpers" => settings.helpers = HelperAssignment::customary(),
            "--rules" => {
                let file = arguments.next().ok_or("--rules needs a file")?;
                settings.ruleset = Some(fs::read_to_string(file)?);
            }
            _ => capture = Some(argument),
        }
    }
    let mut capture =
        CaptureReader::open(capture.ok_or("usage: oracle [--helpers] [--rules FILE] CAPTURE")?)?;
    let mut oracle = Oracle::start(&settings)?;
    println!("frame\tstate\tdirection\tstatus\tforwarded");
    while let Some(frame) = capture.next()? {
        let datagram = match strip(frame.link, frame.bytes) {
            Ok(network) if !matches!(network.kind, NetworkKind::Other(_)) => {
                frame.bytes.get(network.offset as usize..).unwrap_or_default()
            }
            _ => &[],
        };
        let Some(datagram) = repair(datagram, Repair::Checksums) else {
            println!("{}\tnot IP\t\t\t", frame.number);
            continue;
        };
        let observation = match oracle.packet(&datagram) {
            Ok(observation) => observation,
            Err(OracleError::Refused(error)) => {
                println!("{}\trefused: {error}\t\t\t", frame.number);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        println!(
            "{}\t{}\t{}\t{}\t{}",
            frame.number,
            observation
                .state
                .map_or_else(|| "unseen".to_owned(), |state| format!("{state:?}").to_lowercase()),
            observation.direction.map_or_else(String::new, |direction| direction.to_string()),
            observation.status,
            observation.is_forwarded(),
        );
        for event in observation.expectations {
            let kind = if event.kind == ExpectationEventKind::New { "expects" } else { "expects no more" };
            println!("# {} {kind} {} master {}", event.helper, event.tuple, event.master);
        }
    }
    Ok(())
}
