//! Dialogues, attacks, and the grammar's corners.

use super::*;
use crate::transcript::{Noted, Said, run};
use pinhole_helper::{Action, PortMatch};
use pinhole_wire::Direction::{Original as C, Reply as S};

const CLIENT: &str = "10.0.0.1:40000";
const SERVER: &str = "10.0.0.2:21";

fn ports(noted: &[Noted]) -> Vec<u16> {
    noted
        .iter()
        .filter_map(|n| match &n.action {
            Action::Expect(_, e) => match e.destination_port {
                PortMatch::Exact(port) => Some(port),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

#[test]
fn passive_and_active_transfers() {
    let said: &[Said<'_>] = &[
        (S, b"220 ready\r\n"),
        (C, b"USER a\r\n"),
        (S, b"331 p\r\n"),
        (C, b"PASS b\r\n"),
        (S, b"230 in\r\n"),
        (C, b"PASV\r\n"),
        (S, b"227 Entering Passive Mode (10,0,0,2,195,101).\r\n"),
        (C, b"PORT 10,0,0,1,195,102\r\n"),
        (S, b"200 ok\r\n"),
    ];
    let wire = run(&Ftp, CLIENT, SERVER, said);
    assert_eq!(ports(&wire.noted), [50021, 50022]);
    assert_eq!(wire.noted.last().map(|n| matches!(n.action, Action::Activate(_))), Some(true));
    assert_eq!(wire.reader.blind(), None);
    assert_eq!(wire.noted[0].quote, b"227 Entering Passive Mode (10,0,0,2,195,101).");
}
