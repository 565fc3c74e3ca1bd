//! Load for a gateway, for `cargo xtask bench-gateway`: answers and asks over TCP, and sends small UDP packets as fast as it can.
//!
//! * `load serve ADDRESS:PORT`: answers each single byte with one, and takes all else.
//! * `load ask ADDRESS:PORT SECONDS CONNS`: connects, sends a byte, receives one, resets; so many at a time. Writes how often a second.
//! * `load stream ADDRESS:PORT SECONDS`: sends all it can over one connection. Writes megabytes a second.
//! * `load blast INTERFACE FROM-MAC TO-MAC TO-ADDRESS FLOWS SECONDS`: sends frames of 60 bytes, of so many flows from 10.64.0.0 on, in turn; for
//!   zero seconds: one of each. Writes how many, and the seconds that took.
//! * `load watch INTERFACE`: writes a line when it begins to watch, then how many packets came, and the seconds from the first to the last of them.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use pinhole_io::live::{Batch, Offload, PacketPort, Port, packet::Reach};
use pinhole_wire::Time;
use pinhole_wire::checksum::Sum;
use rustix::event::epoll;
use rustix::net::sockopt::set_socket_linger;
use std::collections::HashMap;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", address] => serve(address.parse()?),
        ["ask", address, seconds, conns] => ask(address.parse()?, seconds.parse()?, conns.parse()?),
        ["stream", address, seconds] => stream(address.parse()?, seconds.parse()?),
        ["blast", interface, from, to, address, flows, seconds] => {
            blast(interface, mac(from)?, mac(to)?, address.parse()?, flows.parse()?, seconds.parse()?)
        }
        ["watch", interface] => watch(interface),
        _ => Err("serve, ask, stream, blast or watch (see the head of examples/load.rs)".into()),
    }
}

/// Sockets that are waited on together.
struct Poll {
    queue: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    fn new() -> Outcome<Self> {
        Ok(Self { queue: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(256) })
    }

    fn add(&self, socket: &impl AsFd, key: u64, flags: epoll::EventFlags) -> Outcome {
        Ok(epoll::add(&self.queue, socket, epoll::EventData::new_u64(key), flags)?)
    }

    fn change(&self, socket: &impl AsFd, key: u64, flags: epoll::EventFlags) -> Outcome {
        Ok(epoll::modify(&self.queue, socket, epoll::EventData::new_u64(key), flags)?)
    }

    /// The keys of sockets that are ready.
    fn wait(&mut self) -> Outcome<Vec<u64>> {
        self.events.clear();
        let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        epoll::wait(&self.queue, rustix::buffer::spare_capacity(&mut self.events), Some(&patience))?;
        Ok(self.events.iter().map(|event| event.data.u64()).collect())
    }
}

fn serve(address: SocketAddr) -> Outcome {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    let mut conns: HashMap<u64, TcpStream> = HashMap::new();
    poll.add(&listener, 0, epoll::EventFlags::IN)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        for key in poll.wait()? {
            if key == 0 {
                while let Ok((conn, _)) = listener.accept() {
                    conn.set_nonblocking(true)?;
                    let key = conn.as_raw_fd() as u64;
                    poll.add(&conn, key, epoll::EventFlags::IN)?;
                    conns.insert(key, conn);
                }
                continue;
            }
            let Some(conn) = conns.get_mut(&key) else { continue };
            match conn.read(&mut buffer) {
                Ok(1) if conn.write(&buffer[..1]).is_ok() => {}
                Ok(2..) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => drop(conns.remove(&key)),
            }
        }
    }
}

fn ask(address: SocketAddr, seconds: u64, conns: usize) -> Outcome {
    let mut poll = Poll::new()?;
    let mut open: HashMap<u64, (OwnedFd, bool)> = HashMap::new();
    let begin = |poll: &Poll, open: &mut HashMap<u64, (OwnedFd, bool)>| -> Outcome {
        let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
        let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let key = socket.as_raw_fd() as u64;
        poll.add(&socket, key, epoll::EventFlags::OUT)?;
        open.insert(key, (socket, false));
        Ok(())
    };
    for _ in 0..conns {
        begin(&poll, &mut open)?;
    }
    let (start, mut done, mut failed) = (Instant::now(), 0u64, 0u64);
    while start.elapsed() < Duration::from_secs(seconds) {
        for key in poll.wait()? {
            let Some((socket, asked)) = open.get_mut(&key) else { continue };
            let over = if *asked {
                let answered = rustix::io::read(&*socket, &mut [0; 8]).is_ok_and(|count| count > 0);
                done += u64::from(answered);
                failed += u64::from(!answered);
                true
            } else if rustix::io::write(&*socket, b"x").is_ok() {
                *asked = true;
                poll.change(socket, key, epoll::EventFlags::IN)?;
                false
            } else {
                failed += 1;
                true
            };
            if over {
                open.remove(&key);
                begin(&poll, &mut open)?;
            }
        }
    }
    if failed > done / 100 {
        return Err(format!("{failed} of {} connections failed", done + failed).into());
    }
    println!("{:.0}", done as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

fn stream(address: SocketAddr, seconds: u64) -> Outcome {
    let mut conn = TcpStream::connect(address)?;
    let bytes = vec![7; 1 << 17];
    let (start, mut sent) = (Instant::now(), 0usize);
    while start.elapsed() < Duration::from_secs(seconds) {
        sent += conn.write(&bytes)?;
    }
    println!("{:.0}", sent as f64 / 1e6 / start.elapsed().as_secs_f64());
    Ok(())
}

fn mac(text: &str) -> Outcome<[u8; 6]> {
    let bytes: Result<Vec<u8>, _> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect();
    bytes?.try_into().map_err(|_| "a hardware address has six bytes".into())
}

/// A frame of flow `flow`: 32768 ports of each source address.
fn frame(out: &mut [u8], from: [u8; 6], to: [u8; 6], address: Ipv4Addr, flow: u32) {
    const FIRST: u32 = u32::from_be_bytes([10, 64, 0, 0]);
    let source = Ipv4Addr::from(FIRST + (flow >> 15) % 4096);
    let port = 1024 + (flow & 0x7fff) as u16;
    out[..6].copy_from_slice(&to);
    out[6..12].copy_from_slice(&from);
    out[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17]);
    out[24..26].fill(0);
    out[26..30].copy_from_slice(&source.octets());
    out[30..34].copy_from_slice(&address.octets());
    let checksum = Sum::of(&out[14..34]).checksum();
    out[24..26].copy_from_slice(&checksum.to_be_bytes());
    out[34..36].copy_from_slice(&port.to_be_bytes());
    // To port 9000, 26 bytes with the header, without a checksum.
    out[36..42].copy_from_slice(&[0x23, 0x28, 0, 26, 0, 0]);
}

/// Counts what an interface receives until nothing comes any more.
fn watch(interface: &str) -> Outcome {
    const PAUSE: Duration = Duration::from_micros(100);
    const SILENCE: Duration = Duration::from_millis(500);
    const PATIENCE: Duration = Duration::from_secs(5);
    let counter = format!("/sys/class/net/{interface}/statistics/rx_packets");
    let received = || -> Outcome<u64> { Ok(std::fs::read_to_string(&counter)?.trim().parse()?) };
    let (begin, before) = (Instant::now(), received()?);
    println!("watching");
    let (mut first, mut last, mut count) = (None, begin, before);
    while last.elapsed() < if first.is_some() { SILENCE } else { PATIENCE } {
        let now = received()?;
        if now > count {
            count = now;
            last = Instant::now();
            first.get_or_insert(last);
        }
        std::thread::sleep(PAUSE);
    }
    println!("{} {:.4}", count - before, last.duration_since(first.unwrap_or(begin)).as_secs_f64());
    Ok(())
}

fn blast(
    interface: &str,
    from: [u8; 6],
    to: [u8; 6],
    address: Ipv4Addr,
    flows: u32,
    seconds: f64,
) -> Outcome {
    const AT_ONCE: u32 = 64;
    let mut port = PacketPort::open(interface, Reach::Own)?;
    let mut batch = Batch::new(AT_ONCE as usize);
    while batch.push(&[0; 60], Offload::NONE) {}
    let which: Vec<u16> = (0..AT_ONCE as u16).collect();
    let (start, mut sent, mut flow) = (Instant::now(), 0u64, 0u32);
    loop {
        let count = if seconds == 0.0 { AT_ONCE.min(flows - flow) } else { AT_ONCE } as usize;
        for buffer in batch.frames_mut() {
            frame(buffer.bytes_mut(), from, to, address, flow);
            flow = if flow + 1 >= flows && seconds > 0.0 { 0 } else { flow + 1 };
        }
        let lost = port.send(Time(0), &batch, which.get(..count).unwrap_or_default());
        sent += (count - lost) as u64;
        let over = if seconds == 0.0 { flow >= flows } else { start.elapsed().as_secs_f64() >= seconds };
        if over {
            break;
        }
    }
    println!("{sent} {:.4}", start.elapsed().as_secs_f64());
    Ok(())
}
