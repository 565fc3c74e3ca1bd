//! What the exported functions do.

use crate::heap::{areas, block, clear_scratch, in_scratch, input, output, state};
use alloc::boxed::Box;
use alloc::vec::Vec;
use pinhole_abi::exchange::{offset, progress};
use pinhole_abi::{master, record};
use pinhole_helper::{Action, Context, Helper, Master, NatHelper, Policy, Session, Unencodable};
use pinhole_wire::{Direction, Time};

/// A session as it lies in the state area.
struct Running {
    session: Box<dyn Session>,
    master: Master,
    policy: Policy,
    next_handle: u32,
}

/// `pinhole_exchange`.
pub fn exchange() -> i32 {
    let block = block();
    areas().write(block);
    block.as_ptr() as i32
}

/// `pinhole_attach`.
pub fn attach(helper: &dyn Helper) -> i32 {
    clear_scratch();
    state().reset();
    let Some((master, policy)) = master::read(input(master::SIZE)) else { return 1 };
    let session = helper.attach(&master, &policy);
    let longest = u32::try_from(session.longest_message()).unwrap_or(u32::MAX);
    put(offset::LONGEST_MESSAGE, longest);
    let running = Box::into_raw(Box::new(Running { session, master, policy, next_handle: 0 }));
    state().set_root(running as u32);
    remember();
    0
}

/// `pinhole_read`.
pub fn read(from: i32, length: i32) -> i64 {
    clear_scratch();
    let running = running();
    let mut actions: Vec<Action> = in_scratch(|| Vec::with_capacity(record::MOST));
    let mut context = Context::new(
        &running.master,
        &running.policy,
        Time(u64::from_le_bytes(take(offset::NOW))),
        0,
        &mut actions,
        &mut running.next_handle,
    );
    let result = running.session.read(&mut context, direction(from), input(length as usize));
    let written = in_scratch(|| {
        let (mut record, mut written) = (Vec::with_capacity(record::EXPECT + 32), 0);
        for action in &actions {
            record.clear();
            if record::write(action, &mut record) {
                answer(&mut written, &record);
            }
        }
        written
    });
    put(offset::OUTPUT_LENGTH, written as u32);
    drop(actions);
    remember();
    progress::pack(result)
}

/// `pinhole_pick_up`.
pub fn pick_up(from: i32) -> i32 {
    clear_scratch();
    let goes_on = running().session.pick_up(direction(from));
    remember();
    goes_on.into()
}

/// `pinhole_resynchronise`.
pub fn resynchronise(from: i32) -> i32 {
    clear_scratch();
    let goes_on = running().session.resynchronise(direction(from));
    remember();
    goes_on.into()
}

/// `pinhole_may_announce`.
pub fn may_announce(from: i32, length: i32) -> i32 {
    clear_scratch();
    running().session.may_announce(direction(from), input(length as usize)).into()
}

/// `pinhole_restore`: all that a session knows lies in the state area.
pub fn restore() -> i32 {
    1
}

/// `pinhole_encode`.
pub fn encode(half: &dyn NatHelper, kind: i32, notation: i32, length: i32) -> i32 {
    clear_scratch();
    in_scratch(|| {
        let shown = input(master::ENDPOINT + length as usize);
        let (Some(endpoint), Some(old)) = (master::read_endpoint(shown), shown.get(master::ENDPOINT..))
        else {
            return 1;
        };
        let Some(field) = record::read_field(kind as u8, notation as u8) else { return 1 };
        let mut text = Vec::with_capacity(64);
        match half.encode(field, endpoint, old, &mut text) {
            Ok(()) => {
                let mut written = 0;
                answer(&mut written, &text);
                put(offset::OUTPUT_LENGTH, written as u32);
                0
            }
            Err(Unencodable::AddressFamily) => 2,
            Err(_) => 1,
        }
    })
}

/// Appends to the answer. What does not fit is the end of the call.
fn answer(written: &mut usize, bytes: &[u8]) {
    let end = *written + bytes.len();
    match output().get_mut(*written..end) {
        Some(place) => place.copy_from_slice(bytes),
        None => core::arch::wasm32::unreachable(),
    }
    *written = end;
}

fn running() -> &'static mut Running {
    // SAFETY: the host calls nothing else of a session before `attach`, which has left the pointer there, and puts the state area
    // back as it was before every call.
    unsafe { &mut *(state().root() as *mut Running) }
}

/// Says how much of the state area is in use.
fn remember() {
    put(offset::STATE_LENGTH, state().top());
}

fn direction(from: i32) -> Direction {
    if from == 0 { Direction::Original } else { Direction::Reply }
}

fn put(at: usize, value: u32) {
    if let Some(place) = block().get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

fn take<const N: usize>(at: usize) -> [u8; N] {
    block().get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
