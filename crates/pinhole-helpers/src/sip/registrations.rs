//! Registrations (RFC 3261 §10): the contacts of a user at which the registrar, or whoever calls through it, may reach him.
//!
//! *Life of a binding.* REGISTER enters it with an inactive expectation; the 2xx of that very REGISTER activates it for as long as the
//! registrar grants, or removes it if that is nothing. A refresh leaves it active and gives it a new time. A challenge or a refusal removes
//! what was never granted and leaves the rest as it was.

use super::media::Place;
use super::notation;
use super::parse::{Head, Host, Name, NameAddress, Uri};
use super::{calls::Transaction, class};
use crate::endpoint::{admit_address, admit_port};
use crate::number::decimal;
use crate::text_message::parameter;
use pinhole_helper::{AddressMatch, Context, Expect, Handle, Lifetime, Refusal};
use pinhole_wire::{Protocol, Time};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Most bindings of a conn.
const BINDINGS: usize = 8;
/// What is asked for if neither the contact nor the message says (RFC 3261 §10.2.1.1).
const USUAL_SECONDS: u32 = 3600;
/// Longest time that is honoured.
const LONGEST_SECONDS: u32 = 24 * 60 * 60;

#[derive(Debug, Serialize, Deserialize)]
struct Binding {
    handle: Handle,
    /// As the contact names it.
    address: IpAddr,
    port: u16,
    protocol: Protocol,
    /// When it ends; `None` until it is granted.
    until: Option<Time>,
    /// The request that is under way, and how many seconds it asks for.
    pending: Option<(Transaction, u32)>,
}

/// All bindings of a conn.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Registrations {
    bindings: Vec<Binding>,
}

/// A contact that may be registered.
struct Contact {
    address: IpAddr,
    port: u16,
    protocol: Protocol,
    /// TLS: nothing to read in the calls.
    secure: bool,
    seconds: Option<u32>,
    place: Range<usize>,
}

impl Registrations {
    /// Seconds for which the longest binding is still granted.
    pub(super) fn seconds_left(&self, now: Time) -> Option<u32> {
        let until = self.bindings.iter().filter_map(|binding| binding.until).max()?;
        u32::try_from(until.since(now) / 1_000_000_000).ok().filter(|&seconds| seconds > 0)
    }

    /// A REGISTER.
    pub(super) fn requested(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        transaction: Transaction,
    ) {
        self.bindings.retain(|binding| binding.until.is_none_or(|until| until > cx.now));
        for value in head.values(Name::Contact) {
            if head.bytes.get(value.clone()) == Some(b"*") {
                // All of them are to go (RFC 3261 §10.2.2).
                if head.expires == Some(0) {
                    self.bindings.iter_mut().for_each(|binding| binding.pending = Some((transaction, 0)));
                }
                continue;
            }
            if let Err(refusal) = self.contact(cx, head, place, transaction, value.clone()) {
                cx.refuse(refusal, place.span(cx, &value));
            }
        }
    }

    fn contact(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        transaction: Transaction,
        value: Range<usize>,
    ) -> Result<(), Refusal> {
        // Other schemes (tel:, mailto:) are not reached through here.
        let Some(contact) = Contact::read(head.bytes, value.clone(), cx.master.protocol)? else {
            return Ok(());
        };
        let seconds = contact.seconds.or(head.expires).unwrap_or(USUAL_SECONDS);
        let known = self.bindings.iter_mut().find(|binding| binding.is_at(&contact));
        if let Some(binding) = known {
            binding.pending = Some((transaction, seconds));
            return Ok(());
        }
        let destination = admit_address(contact.address, place.from, cx.master, cx.policy)?;
        let own = cx.master.sender(place.from);
        if (contact.address, contact.port) != (own.ip(), own.port()) {
            admit_port(contact.port, cx.policy)?;
        }
        if seconds == 0 {
            return Ok(());
        }
        if self.bindings.len() >= BINDINGS {
            return Err(Refusal::Limit);
        }
        let registrar = cx.master.sender(place.from.opposite()).ip();
        let handle = cx.expect(Expect {
            class: class::SIGNALLING,
            lifetime: Lifetime::Permanent,
            active: false,
            helper: (!contact.secure).then_some(pinhole_helper::Name::new("sip")),
            ..Expect::to(
                contact.protocol,
                if cx.policy.any_caller { AddressMatch::Any } else { AddressMatch::Exact(registrar) },
                SocketAddr::new(destination, contact.port),
                place.span(cx, &value),
            )
        });
        // Its own endpoint is mentioned as such.
        if contact.address == own.ip() && contact.port != own.port() {
            cx.locate(handle, place.span(cx, &contact.place), notation::HOST_PORT);
        }
        let Contact { address, port, protocol, .. } = contact;
        let pending = Some((transaction, seconds));
        self.bindings.push(Binding { handle, address, port, protocol, until: None, pending });
        Ok(())
    }

    /// The final answer to a REGISTER.
    pub(super) fn answered(
        &mut self,
        cx: &mut Context<'_>,
        head: &Head<'_>,
        place: Place<'_>,
        code: u16,
        transaction: Transaction,
    ) {
        let granted = if code < 300 { Granted::read(head, cx.master.protocol) } else { Granted::default() };
        for binding in &mut self.bindings {
            let Some((_, asked)) = binding.pending.take_if(|(pending, _)| *pending == transaction) else {
                continue;
            };
            if code >= 300 {
                continue;
            }
            let public = cx.master.sender_seen_by_peer(transaction.from);
            let listed = granted.contact(binding, public.ip());
            // Its own endpoint is mentioned as such.
            if let Some(contact) =
                listed.filter(|contact| (contact.address, contact.port) != (public.ip(), public.port()))
            {
                cx.locate(binding.handle, place.span(cx, &contact.place), notation::HOST_PORT);
            }
            let seconds = granted.seconds(listed).unwrap_or(asked).min(asked).min(LONGEST_SECONDS);
            if seconds == 0 {
                binding.until = None;
                continue;
            }
            if binding.until.is_none() {
                cx.activate(binding.handle);
            }
            cx.extend(binding.handle, seconds);
            binding.until = Some(cx.now.plus_seconds(u64::from(seconds)));
        }
        // What is neither granted nor asked for is over.
        for binding in self.bindings.extract_if(.., |b| b.until.is_none() && b.pending.is_none()) {
            cx.cancel(binding.handle);
        }
    }

    /// Bytes on the heap.
    pub(super) fn memory(&self) -> usize {
        self.bindings.capacity() * size_of::<Binding>()
    }
}

impl Binding {
    fn is_at(&self, contact: &Contact) -> bool {
        (self.address, self.port, self.protocol) == (contact.address, contact.port, contact.protocol)
    }
}

impl Contact {
    /// `None`: not a SIP URI.
    fn read(bytes: &[u8], value: Range<usize>, protocol: Protocol) -> Result<Option<Self>, Refusal> {
        let contact = NameAddress::read(bytes, value).ok_or(Refusal::Malformed)?;
        let text = bytes.get(contact.uri.clone()).unwrap_or_default();
        let is_sip = |scheme: &[u8]| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        if !is_sip(b"sip:") && !is_sip(b"sips:") {
            return Ok(None);
        }
        let uri = Uri::read(bytes, contact.uri).ok_or(Refusal::Malformed)?;
        let Host::Ip(address) = uri.host_port.host else { return Err(Refusal::Unsupported) };
        let transport = parameter(bytes, uri.parameters.clone(), b"transport").and_then(|r| bytes.get(r));
        let is = |name: &[u8]| transport.is_some_and(|text| text.eq_ignore_ascii_case(name));
        let (protocol, secure) = match transport {
            None => (protocol, uri.secure),
            Some(_) if is(b"udp") => (Protocol::UDP, false),
            Some(_) if is(b"tcp") => (Protocol::TCP, uri.secure),
            Some(_) if is(b"tls") => (Protocol::TCP, true),
            Some(_) => return Err(Refusal::Unsupported),
        };
        let seconds = parameter(bytes, contact.parameters, b"expires").and_then(|r| decimal(bytes.get(r)?));
        let port = uri.port();
        Ok(Some(Self { address, port, protocol, secure, seconds, place: uri.host_port.place }))
    }
}

/// What a 2xx grants.
#[derive(Default)]
struct Granted {
    contacts: Vec<Contact>,
    expires: Option<u32>,
}

impl Granted {
    fn read(head: &Head<'_>, protocol: Protocol) -> Self {
        let read = |value| Contact::read(head.bytes, value, protocol).ok().flatten();
        let contacts = head.values(Name::Contact).filter_map(read).take(BINDINGS).collect();
        Self { contacts, expires: head.expires }
    }

    /// The contact of a binding. `public` is the address under which the registrar knows the user; there the contact may have another
    /// port, too.
    fn contact(&self, binding: &Binding, public: IpAddr) -> Option<&Contact> {
        let is_public = |contact: &&Contact| contact.address == public && public != binding.address;
        let exact = |c: &&Contact| {
            binding.is_at(c) || (is_public(c) && (c.port, c.protocol) == (binding.port, binding.protocol))
        };
        self.contacts.iter().find(exact).or_else(|| self.contacts.iter().find(is_public))
    }

    /// Seconds for a binding: a 2xx lists all that there are (RFC 3261 §10.3), so one that it does not list is gone. Where it lists
    /// none at all, its Expires holds, or what was asked for.
    fn seconds(&self, listed: Option<&Contact>) -> Option<u32> {
        if self.contacts.is_empty() {
            return self.expires;
        }
        listed.map_or(Some(0), |contact| contact.seconds.or(self.expires))
    }
}
