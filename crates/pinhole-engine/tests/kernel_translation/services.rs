//! TFTP, Amanda and SANE by chance, over IPv4 and IPv6, behind the running kernel and behind pinhole: datagrams, states and directions are alike.

use super::address;
use super::support::conversation::Dice;
use super::trial::{Conn, Setting, Trial, attached, compare};
use pinhole_wire::TcpFlags;
use std::net::{IpAddr, SocketAddr};

const EXCHANGES: usize = 60;
/// A client, and the server as it has itself and as it is called.
#[derive(Clone, Copy)]
struct Hosts {
    client: SocketAddr,
    called: IpAddr,
    server: IpAddr,
}

impl Trial<'_> {
    fn tftp(&mut self, dice: &mut Dice, Hosts { client, called, server }: Hosts) -> Option<()> {
        let (code, name) = (1 + dice.below(2) as u8, "boot".repeat(1 + dice.below(4)));
        let mode = ["octet", "netascii", "OCTET"][dice.below(3)];
        let question = [&[0, code], name.as_bytes(), &[0], mode.as_bytes(), &[0]].concat();
        let (seen, _) = self.datagram("tftp request", client, SocketAddr::new(called, 69), &question)?;
        if dice.one_in(3) {
            self.datagram("tftp request again", client, SocketAddr::new(called, 69), &question)?;
        }
        let transfer = SocketAddr::new(server, 3000 + dice.below(60_000) as u16);
        let (answers, _) = self.datagram("tftp answer", transfer, seen, &[0, 3, 0, 1, 42])?;
        self.datagram("tftp acknowledgement", client, answers, &[0, 4, 0, 1])?;
        Some(())
    }

    fn amanda(&mut self, dice: &mut Dice, Hosts { client, called, server }: Hosts) -> Option<()> {
        let question = "Amanda 2.5 REQ HANDLE 000-00000000 SEQ 1\nSERVICE sendbackup\n";
        let (seen, _) =
            self.datagram("amanda request", client, SocketAddr::new(called, 10080), question.as_bytes())?;
        let ports: Vec<u16> = (0..3).map(|place| 2000 + 20_000 * place + dice.below(20_000) as u16).collect();
        let answer = format!(
            "Amanda 2.5 REP HANDLE 000-00000000 SEQ 1\nCONNECT DATA {} MESG {} INDEX {}\nOPTIONS features=fff;\n",
            ports[0], ports[1], ports[2]
        );
        let (_, heard) =
            self.datagram("amanda answer", SocketAddr::new(server, 10080), seen, answer.as_bytes())?;
        let text = String::from_utf8(heard).unwrap();
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        for (place, word) in words.iter().enumerate() {
            if ["DATA", "MESG", "INDEX"].contains(word) {
                let port = words[place + 1].parse().unwrap();
                let own = SocketAddr::new(
                    server,
                    ports[["DATA", "MESG", "INDEX"].iter().position(|it| it == word).unwrap()],
                );
                let caller = SocketAddr::new(client.ip(), 800 + dice.below(200) as u16);
                self.open("amanda data", [Conn::new(caller, SocketAddr::new(called, port), own, 7000); 2])?;
            }
        }
        Some(())
    }

    fn sane(&mut self, dice: &mut Dice, Hosts { client, called, server }: Hosts) -> Option<()> {
        let push = TcpFlags::ACK | TcpFlags::PSH;
        let end = |ip, port| SocketAddr::new(ip, port);
        let control = Conn::new(client, end(called, 6566), end(server, 6566), 7000);
        let mut conns = self.open("sane", [control; 2])?;
        // INIT and its answer, then START and its.
        let user = [&[0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 0, 4][..], b"bob\0"].concat();
        self.segment("sane init", &mut conns, 0, push, &user)?;
        self.segment("sane init answered", &mut conns, 1, push, &[0, 0, 0, 0, 1, 0, 0, 3])?;
        self.segment("sane start", &mut conns, 0, push, &[0, 0, 0, 7, 0, 0, 0, 0])?;
        let port = 10_000 + dice.below(50_000) as u16;
        let [high, low] = port.to_be_bytes();
        let answer = [0, 0, 0, 0, 0, 0, high, low, 0, 0, 0x12, 0x34, 0, 0, 0, 0];
        self.segment("sane start answered", &mut conns, 1, push, &answer)?;
        let caller = SocketAddr::new(client.ip(), client.port() + 1);
        self.open("sane data", [Conn::new(caller, end(called, port), end(server, port), 7000); 2])?;
        Some(())
    }
}

#[test]
fn services_by_chance() {
    let helpers = attached(&[
        ("tftp", "udp", 69, false),
        ("amanda", "udp", 10080, false),
        ("sane", "tcp", 6566, false),
    ]);
    compare("services", 0..Setting::COUNT, &helpers, |_, trial, dice| {
        for exchange in 0..EXCHANGES {
            let client = address(trial.setting.is_v6, "client", 5 + exchange % 7, 20_000 + 10 * exchange);
            let (server, called) = trial.setting.server(0);
            let hosts = Hosts { client, called: called.ip(), server: server.ip() };
            match dice.below(3) {
                0 => trial.tftp(dice, hosts),
                1 => trial.amanda(dice, hosts),
                _ => trial.sane(dice, hosts),
            };
        }
    });
}
