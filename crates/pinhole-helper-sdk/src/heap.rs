//! The module's memory: the exchange block, its areas, and the allocator over them.

use crate::arena::Arena;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use pinhole_abi::exchange::{Area, Areas, SIZE};

/// More than the longest datagram.
const INPUT: usize = 66 * 1024;
const OUTPUT: usize = 32 * 1024;
const STATE: usize = 64 * 1024;
const SCRATCH: usize = 96 * 1024;

/// Memory that one thread uses: a module has no others.
#[repr(C, align(8))]
struct Memory<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: a module has one thread.
unsafe impl<const N: usize> Sync for Memory<N> {}

impl<const N: usize> Memory<N> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    fn area(&self) -> Area {
        Area { address: self.0.get() as u32, capacity: N as u32 }
    }
}

static EXCHANGE: Memory<SIZE> = Memory::new();
static INPUT_AREA: Memory<INPUT> = Memory::new();
static OUTPUT_AREA: Memory<OUTPUT> = Memory::new();
static STATE_AREA: Memory<STATE> = Memory::new();
static SCRATCH_AREA: Memory<SCRATCH> = Memory::new();
/// Not zero: what is allocated now is for this call only.
static IN_SCRATCH: Memory<1> = Memory::new();

/// The exchange block.
pub(crate) fn block() -> &'static mut [u8; SIZE] {
    // SAFETY: one thread, and no caller keeps it beyond a statement.
    unsafe { &mut *EXCHANGE.0.get() }
}

pub(crate) fn areas() -> Areas {
    Areas { input: INPUT_AREA.area(), output: OUTPUT_AREA.area(), state: STATE_AREA.area() }
}

/// What the host has shown.
pub(crate) fn input(length: usize) -> &'static [u8] {
    // SAFETY: one thread; the host writes it only between calls.
    let all: &'static [u8; INPUT] = unsafe { &*INPUT_AREA.0.get() };
    all.get(..length).unwrap_or_default()
}

pub(crate) fn output() -> &'static mut [u8; OUTPUT] {
    // SAFETY: one thread, and no caller keeps it beyond its own end.
    unsafe { &mut *OUTPUT_AREA.0.get() }
}

/// What a session remembers.
pub(crate) fn state() -> Arena<'static> {
    // SAFETY: the area is aligned, and only arenas and the owners of blocks use it.
    unsafe { Arena::new(STATE_AREA.0.get().cast(), STATE as u32) }
}

fn scratch() -> Arena<'static> {
    // SAFETY: as above.
    unsafe { Arena::new(SCRATCH_AREA.0.get().cast(), SCRATCH as u32) }
}

/// Forgets what earlier calls have left in the scratch area.
pub(crate) fn clear_scratch() {
    scratch().reset();
}

/// Does something whose allocations are for this call only.
pub(crate) fn in_scratch<T>(work: impl FnOnce() -> T) -> T {
    set_in_scratch(1);
    let result = work();
    set_in_scratch(0);
    result
}

fn set_in_scratch(value: u8) {
    // SAFETY: one thread.
    unsafe { IN_SCRATCH.0.get().write([value]) }
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

impl Heap {
    /// The arena in which a block lies, and its offset there.
    fn place(block: *mut u8) -> (Arena<'static>, u32) {
        let (state, at) = (STATE_AREA.area().address, block as u32);
        match at.checked_sub(state).filter(|&offset| offset < STATE as u32) {
            Some(offset) => (self::state(), offset),
            None => (scratch(), at - SCRATCH_AREA.area().address),
        }
    }
}

// SAFETY: blocks of an arena do not overlap and lie at multiples of 8; what needs more is refused.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread.
        let in_scratch = unsafe { IN_SCRATCH.0.get().read() } != [0];
        let (mut arena, base) = match in_scratch {
            true => (scratch(), SCRATCH_AREA.area().address),
            false => (state(), STATE_AREA.area().address),
        };
        if layout.align() > 8 {
            return core::ptr::null_mut();
        }
        arena.allocate(layout.size()).map_or(core::ptr::null_mut(), |offset| (base + offset) as *mut u8)
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        let (mut arena, offset) = Self::place(block);
        arena.free(offset);
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (mut arena, offset) = Self::place(block);
        if arena.resize(offset, size) {
            return block;
        }
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return core::ptr::null_mut() };
        // SAFETY: both blocks are of at least that many bytes, and do not overlap.
        unsafe {
            let new = self.alloc(wanted);
            if !new.is_null() {
                core::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                self.dealloc(block, layout);
            }
            new
        }
    }
}

/// A panic is a trap: the host quarantines the session.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
