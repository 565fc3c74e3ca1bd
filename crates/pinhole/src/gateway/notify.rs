//! What a service manager is told: `sd_notify(3)`, a datagram to the socket in `NOTIFY_SOCKET`.

use pinhole_wire::Time;
use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager, if there is one that wants to know.
pub(super) struct ServiceManager {
    socket: Option<UnixDatagram>,
    /// Nanoseconds between two signs of life: half of what the manager waits for.
    pause: Option<u64>,
    due: Time,
}

impl ServiceManager {
    /// That of the environment.
    pub(super) fn of_process() -> Self {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        Self::new(env::var("NOTIFY_SOCKET").ok().as_deref(), number("WATCHDOG_USEC").filter(|_| is_ours))
    }

    fn new(address: Option<&str>, watchdog_microseconds: Option<u64>) -> Self {
        // Connected now, because later there may be no way to the path.
        let socket = address.and_then(|address| {
            let address = match address.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(address),
            };
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            socket.connect_addr(&address.ok()?).ok()?;
            Some(socket)
        });
        let pause = watchdog_microseconds.map(|count| count.saturating_mul(1000) / 2);
        Self { pause: pause.filter(|pause| socket.is_some() && *pause > 0), socket, due: Time(0) }
    }

    /// Frames pass.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}\nMAINPID={}\n", std::process::id()));
    }

    /// The gateway ends.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=stopping\n");
    }

    /// The loop goes round.
    pub(super) fn live(&mut self, now: Time) {
        if let Some(pause) = self.pause.filter(|_| now >= self.due) {
            self.due = now.plus_nanos(pause);
            self.tell("WATCHDOG=1\n");
        }
    }

    /// When it wants to hear again.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.pause.map(|_| self.due)
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.socket {
            // A manager that does not listen has ended, or is about to find out that we have.
            let _ = socket.send(text.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_told_of_the_start_the_stop_and_every_round() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut ours = ServiceManager::new(path.to_str(), Some(2_000_000));
        let hear = || {
            let mut text = [0; 256];
            let length = manager.recv(&mut text).unwrap();
            String::from_utf8(text[..length].to_vec()).unwrap()
        };
        ours.ready("bridge a - b");
        assert!(hear().starts_with("READY=1\nSTATUS=bridge a - b\n"));
        for seconds in [10, 10, 11, 11] {
            ours.live(Time::from_seconds(seconds));
        }
        assert_eq!([hear(), hear()], ["WATCHDOG=1\n", "WATCHDOG=1\n"]);
        assert_eq!(ours.next_deadline(), Some(Time::from_seconds(12)));
        ours.stopping();
        assert!(hear().starts_with("STOPPING=1\n"));
    }

    #[test]
    fn without_a_manager_nothing_is_told() {
        let mut none = ServiceManager::new(None, Some(2_000_000));
        none.ready("");
        none.live(Time::from_seconds(1));
        assert_eq!(none.next_deadline(), None);
        assert!(ServiceManager::new(Some("/no/such/socket"), None).socket.is_none());
    }
}
