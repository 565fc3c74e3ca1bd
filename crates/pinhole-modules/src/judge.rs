//! What of a module's answer is nonsense, or goes beyond what it was granted. What is left the host judges like a built-in helper's requests.

use crate::Grants;
use crate::limits::LONGEST_TIME;
use pinhole_helper::{Action, AddressMatch, Expect, Fault, Handle, Master, PortMatch, Span};
use pinhole_wire::{Direction, Protocol};
use std::net::IpAddr;

/// Whose answer it is.
pub(crate) struct Judge<'a> {
    pub(crate) master: &'a Master,
    pub(crate) from: Direction,
    pub(crate) grants: &'a Grants,
    /// Number of classes of the manifest.
    pub(crate) classes: usize,
}

impl Judge<'_> {
    /// Checks a request that was made when `shown` bytes were read; `handles` counts the expectations asked for. Times are cut to the longest
    /// that may be asked for.
    pub(crate) fn admit(&self, action: &mut Action, shown: usize, handles: &mut u32) -> Result<(), Fault> {
        let inside = |span: &Span| {
            if span.start <= span.end && span.end <= shown as u64 { Ok(()) } else { Err(Fault::Span) }
        };
        let known = |handle: &Handle, handles: u32| {
            if handle.0 < handles { Ok(()) } else { Err(Fault::Handle) }
        };
        match action {
            Action::Expect(handle, expect) => {
                if handle.0 != *handles {
                    return Err(Fault::Handle);
                }
                *handles = handles.checked_add(1).ok_or(Fault::Handle)?;
                expect.timeout = expect.timeout.map(|seconds| seconds.min(LONGEST_TIME));
                inside(&expect.span)?;
                self.expect(expect)
            }
            Action::Activate(handle) | Action::Cancel(handle) | Action::Lead(handle, ..) => {
                known(handle, *handles)
            }
            Action::Aim(handle, source) => {
                known(handle, *handles)?;
                if self.may_come_from(source) { Ok(()) } else { Err(Fault::Grant) }
            }
            Action::Extend(handle, seconds) => {
                *seconds = (*seconds).min(LONGEST_TIME);
                known(handle, *handles)
            }
            Action::Prolong(seconds) => {
                *seconds = (*seconds).min(LONGEST_TIME);
                Ok(())
            }
            Action::Locate(handle, span, _) => known(handle, *handles).and_then(|()| inside(span)),
            Action::Mention(_, span, _) | Action::Renumber(span, ..) | Action::Refuse(_, span) => {
                inside(span)
            }
            Action::Length(digits, body) => inside(digits).and_then(|()| inside(body)),
            Action::Condition(_) => Ok(()),
            _ => Err(Fault::Malformed),
        }
    }

    fn expect(&self, expect: &Expect) -> Result<(), Fault> {
        if usize::from(expect.class) >= self.classes {
            return Err(Fault::Class);
        }
        let has_ports = expect.protocol != Protocol::GRE;
        if has_ports && matches!(expect.destination_port, PortMatch::Exact(0) | PortMatch::Range(0, _)) {
            return Err(Fault::PortZero);
        }
        let Judge { master, from, grants, .. } = self;
        let ends = self.ends();
        let own = [master.sender(*from).ip(), master.sender_seen_by_peer(*from).ip()];
        // The ends of a call are both told by one of them.
        let announces: &[IpAddr] = if has_ports { &own } else { &ends };
        let introduces = grants.introduces.contains(&expect.class);
        let foreign = !announces.contains(&expect.destination) && !grants.third_party && !introduces;
        let stranger = !self.may_come_from(&expect.source);
        let attaches = expect.helper.is_none_or(|helper| grants.attaches.contains(&helper));
        if foreign || stranger || !attaches { Err(Fault::Grant) } else { Ok(()) }
    }

    /// Whether the module may let this source open what it expects.
    fn may_come_from(&self, source: &AddressMatch) -> bool {
        match source {
            AddressMatch::Exact(source) => self.ends().contains(source) || self.grants.third_party,
            AddressMatch::Prefix(..) | AddressMatch::Any => self.grants.any_source,
        }
    }

    /// The addresses of both ends, as each end calls them.
    fn ends(&self) -> [IpAddr; 4] {
        let Master { original, reply, .. } = self.master;
        [original.0, original.1, reply.0, reply.1].map(|end| end.ip())
    }
}
