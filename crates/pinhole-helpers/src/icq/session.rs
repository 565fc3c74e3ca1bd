//! The dialogue: a login, its reply, and how long it lasts; users who are online.

use super::parse::{self, BEGINNING, Client, Login, Server};
use super::{class, notation};
use crate::endpoint::{admit_address, admit_port};
use pinhole_helper::reader::MAX_QUOTE;
use pinhole_helper::{
    AddressMatch, BlindReason, Context, Expect, Handle, Lifetime, Progress, Refusal, Session, Span, saved,
};
use pinhole_wire::{Direction, Protocol};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};

/// Seconds that an expectation lives on after the client last kept its conn alive.
pub(super) const SILENCE: u32 = 300;

/// Longest login that is honoured: it is rewritten whole, out of its quote.
const LONGEST_LOGIN: usize = MAX_QUOTE;

/// One conn of a client with its server.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct IcqSession {
    opened: bool,
    listening: Option<Listening>,
}

/// Where the client listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Listening {
    handle: Handle,
    port: u16,
    confirmed: bool,
}

impl Session for IcqSession {
    fn read(&mut self, cx: &mut Context<'_>, from: Direction, bytes: &[u8]) -> Progress {
        let is_icq = match from {
            Direction::Original => self.client(cx, bytes),
            Direction::Reply => self.opened && self.server(cx, bytes),
        };
        if is_icq {
            self.opened = true;
        } else if self.opened {
            cx.refuse(Refusal::Malformed, cx.span(0, bytes.len()));
        } else {
            return Progress::Blind(BlindReason::NotThisProtocol);
        }
        Progress::Consumed(bytes.len())
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved::encode(self)
    }
}

impl IcqSession {
    fn client(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> bool {
        let mut room = [0; BEGINNING];
        let Some(packet) = parse::plain(bytes, &mut room).and_then(parse::client) else { return false };
        match packet {
            Client::Login(login) => {
                if let Err(refusal) = self.login(cx, &login, bytes.len()) {
                    self.log_out(cx);
                    cx.refuse(refusal, cx.span(0, bytes.len()));
                }
            }
            Client::KeepAlive => {
                if let Some(listening) = self.listening {
                    cx.prolong(SILENCE);
                    cx.extend(listening.handle, SILENCE);
                }
            }
            Client::LogOut => self.log_out(cx),
            Client::Other => {}
        }
        true
    }

    fn login(&mut self, cx: &mut Context<'_>, login: &Login, length: usize) -> Result<(), Refusal> {
        let from = Direction::Original;
        if length > LONGEST_LOGIN {
            return Err(Refusal::Limit);
        }
        let port = u16::try_from(login.port).map_err(|_| Refusal::BadNumber)?;
        admit_port(port, cx.policy)?;
        // A client that does not know its own address leaves it out; servers take the one that they see anyway.
        let own = cx.master.sender_seen_by_peer(from).ip();
        let announced = IpAddr::V4(login.address);
        if !login.address.is_unspecified() {
            admit_address(announced, from, cx.master, cx.policy)?;
        } else if own.is_ipv6() {
            return Err(Refusal::AddressFamily);
        }
        // A login that is sent again, because its reply is late or lost, is as good as it was before.
        let confirmed = self.listening.is_some_and(|before| before.port == port && before.confirmed);
        if self.listening.is_some_and(|before| before.port != port) {
            self.log_out(cx);
        }
        // Scrambled as it is, no part of it can be replaced alone.
        let span = cx.span(0, length);
        let handle = cx.expect(Expect {
            class: class::LISTENING,
            active: confirmed,
            ..connection(AddressMatch::Any, own, port, span)
        });
        cx.locate(handle, span, notation::LOGIN);
        self.listening = Some(Listening { handle, port, confirmed });
        Ok(())
    }

    fn log_out(&mut self, cx: &mut Context<'_>) {
        if let Some(listening) = self.listening.take() {
            cx.cancel(listening.handle);
        }
    }

    fn server(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> bool {
        parse::server(bytes, 0..bytes.len(), &mut |message| match message {
            Server::LoginReply => {
                if let Some(listening) = self.listening.as_mut().filter(|listening| !listening.confirmed) {
                    listening.confirmed = true;
                    cx.prolong(SILENCE);
                    cx.activate(listening.handle);
                }
            }
            Server::NotLoggedIn => self.log_out(cx),
            Server::User(user, place) => {
                let span = cx.span(place.start, place.end);
                if let Err(refusal) = contact(cx, user, span) {
                    cx.refuse(refusal, span);
                }
            }
            Server::BadUser(place) => cx.refuse(Refusal::Malformed, cx.span(place.start, place.end)),
            Server::Other => {}
        })
    }
}

/// A user who is online: the client may connect there, if the server may say so.
fn contact(cx: &mut Context<'_>, user: SocketAddrV4, span: Span) -> Result<(), Refusal> {
    let from = Direction::Reply;
    admit_port(user.port(), cx.policy)?;
    let destination = admit_address(IpAddr::V4(*user.ip()), from, cx.master, cx.policy)?;
    let client = AddressMatch::Exact(cx.master.receiver(from).ip());
    let handle =
        cx.expect(Expect { class: class::CONTACT, ..connection(client, destination, user.port(), span) });
    cx.locate(handle, span, notation::USER);
    Ok(())
}

fn connection(source: AddressMatch, destination: IpAddr, port: u16, span: Span) -> Expect {
    Expect {
        class: class::CONTACT,
        lifetime: Lifetime::Permanent,
        ..Expect::to(Protocol::TCP, source, SocketAddr::new(destination, port), span)
    }
}
