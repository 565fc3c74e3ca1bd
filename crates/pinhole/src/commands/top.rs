//! `pinhole top`: a running gateway on a terminal, second by second: control connections with what they announced, rates, and drops by reason.
//!
//! It asks the gateway over the control socket as any client does; rates are differences between two answers. `screen` makes the picture,
//! which is text for a size, so that it can be tested without a terminal.

mod screen;

use super::{Failure, Terminal};
use crate::arguments::SocketArgument;
use crate::exit;
use crate::gateway::client;
use crate::gateway::request::{ListFormat, Listed, Request};
use pinhole_io::live::terminal::RawTerminal;
use screen::{Key, Screen, Snapshot};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two answers.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest wait for a key.
const ROUND: Duration = Duration::from_millis(100);

const HIDE: &str = "\x1b[?1049h\x1b[?25l";
const SHOW: &str = "\x1b[?25h\x1b[?1049l";

/// Shows a gateway until `q` is pressed.
///
/// # Errors
/// There is no terminal to show it on, no gateway answers, or it refuses.
pub fn run(socket: &SocketArgument, terminal: &mut Terminal) -> Result<u8, Failure> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    if is_dumb || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "`top` takes a terminal that can move its cursor; `pinhole list control` and `pinhole stats` tell the same once"
                .to_owned(),
        ));
    }
    let mut screen = Screen::default();
    screen.take(ask(socket)?, Instant::now());
    let raw = RawTerminal::new().map_err(|error| Failure::Gateway(format!("terminal: {error}")))?;
    write!(terminal.out, "{HIDE}")?;
    let shown = show(socket, &raw, &mut screen, terminal);
    write!(terminal.out, "{SHOW}")?;
    terminal.out.flush()?;
    shown.map(|()| exit::OK)
}

fn show(
    socket: &SocketArgument,
    raw: &RawTerminal,
    screen: &mut Screen,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let mut asked = Instant::now();
    loop {
        let (columns, rows) = raw.size();
        write!(terminal.out, "\x1b[H{}", screen.draw(columns, rows))?;
        terminal.out.flush()?;
        let pressed = raw.read(ROUND).map_err(|error| Failure::Gateway(format!("terminal: {error}")))?;
        for key in Key::of(&pressed) {
            if !screen.press(key) {
                return Ok(());
            }
        }
        if asked.elapsed() >= PAUSE {
            screen.take(ask(socket)?, Instant::now());
            asked = Instant::now();
        }
    }
}

fn ask(socket: &SocketArgument) -> Result<Snapshot, Failure> {
    let list = Request::List {
        what: Listed::Control,
        format: ListFormat::Json,
        flow: None,
        helper: None,
        state: None,
    };
    let conns = client::lines(&socket.socket, &list)?;
    let counters = client::lines(&socket.socket, &Request::Stats { json: true })?;
    let not_json = |error: serde_json::Error| Failure::Gateway(format!("not an answer: {error}"));
    let conns = conns.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>();
    let counters = serde_json::from_str(&counters.join("\n")).map_err(not_json)?;
    Ok(Snapshot { conns: conns.map_err(not_json)?, counters })
}
