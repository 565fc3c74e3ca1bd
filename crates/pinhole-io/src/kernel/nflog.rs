//! The kernel's packet log (`linux/netfilter/nfnetlink_log.h`): which log rules a packet met.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::netlink::{Request, Socket};

/// `NFNL_SUBSYS_ULOG` with `NFULNL_MSG_PACKET` and `NFULNL_MSG_CONFIG`.
const PACKET: u16 = 4 << 8;
const CONFIG: u16 = 4 << 8 | 1;

/// Attributes of a configuration message.
const CONFIG_COMMAND: u16 = 1;
const CONFIG_MODE: u16 = 2;
const CONFIG_QUEUE_THRESHOLD: u16 = 5;

/// `NFULNL_CFG_CMD_BIND`.
const BIND: u8 = 1;
/// `NFULNL_COPY_META`: no payload.
const COPY_META: u8 = 1;

/// The log rule's prefix.
const PACKET_PREFIX: u16 = 10;

/// A listener of one log group.
#[derive(Debug)]
pub(super) struct PacketLog {
    socket: Socket,
}

impl PacketLog {
    /// Listens to a group.
    pub(super) fn open(group: u16) -> io::Result<Self> {
        let mut socket = Socket::open(0)?;
        socket.request(&Request::new(CONFIG, group).with(CONFIG_COMMAND, &[BIND]))?;
        // `struct nfulnl_msg_config_mode`: copy range, mode, padding.
        socket.request(&Request::new(CONFIG, group).with(CONFIG_MODE, &[0, 0, 0, 0, COPY_META, 0]))?;
        // Every message at once, none held back.
        let threshold = 1u32.to_be_bytes();
        socket.request(&Request::new(CONFIG, group).with(CONFIG_QUEUE_THRESHOLD, &threshold))?;
        Ok(Self { socket })
    }

    /// Hands the prefixes of all log rules that were met to `each`. If there are none yet, waits for the first up to `patience`.
    pub(super) fn prefixes(&mut self, patience: Duration, mut each: impl FnMut(&str)) -> io::Result<()> {
        let timeout = Timespec::try_from(patience).ok();
        poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], timeout.as_ref())?;
        self.socket.receive(|message| {
            if message.kind == PACKET
                && let Some(prefix) = message.attributes.text(PACKET_PREFIX)
            {
                each(prefix);
            }
        })
    }
}
