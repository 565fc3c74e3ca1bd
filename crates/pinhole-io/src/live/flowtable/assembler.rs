//! An assembler for eBPF (RFC 9669): instructions are added one by one, jumps go forward to labels that are placed later.

/// A register. `R0` holds results, `R1` to `R5` the arguments of helpers, `R6` to `R9` survive calls, `R10` is the end of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

/// How wide what is read or written is (RFC 9669 §5).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Width {
    Byte = 0x10,
    Half = 0x08,
    Word = 0x00,
    Double = 0x18,
}

/// Arithmetic (RFC 9669 §4.1).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Operation {
    Add = 0x00,
    Subtract = 0x10,
    Multiply = 0x20,
    And = 0x50,
    ShiftLeft = 0x60,
    ShiftRight = 0x70,
    Xor = 0xa0,
    Move = 0xb0,
}

/// When a jump is taken (RFC 9669 §4.3).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Condition {
    Equal = 0x10,
    Above = 0x20,
    AtLeast = 0x30,
    AnyBit = 0x40,
    NotEqual = 0x50,
    AtLeastSigned = 0x70,
    Below = 0xa0,
    LessSigned = 0xc0,
}

/// Helpers of the kernel, by their numbers (`linux/bpf.h`).
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(super) enum Helper {
    MapLookup = 1,
    StoreBytes = 9,
    ReplaceTransportChecksum = 11,
    Redirect = 23,
    LoadBytes = 26,
    ChangeTail = 38,
    CoarseTime = 160,
}

/// A place that jumps lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// Arithmetic on 64 bits, on 32 bits; jumps that compare 64 bits, 32 bits.
const LONG: u8 = 0x07;
const SHORT: u8 = 0x04;
const JUMP: u8 = 0x05;
const JUMP_SHORT: u8 = 0x06;
/// The second operand is a register.
const FROM_REGISTER: u8 = 0x08;

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    code: Vec<u64>,
    labels: Vec<usize>,
    /// Jumps, and where they lead.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// The finished program.
    pub(super) fn finish(mut self) -> Vec<u64> {
        for (from, Label(label)) in self.jumps {
            let to = self.labels.get(label).copied().unwrap_or_default();
            let offset = to.wrapping_sub(from + 1) as u16;
            if let Some(instruction) = self.code.get_mut(from) {
                *instruction |= u64::from(offset) << 16;
            }
        }
        self.code
    }

    /// A label that is not placed yet.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(0);
        Label(self.labels.len() - 1)
    }

    /// Places a label here.
    pub(super) fn place(&mut self, Label(label): Label) {
        if let Some(place) = self.labels.get_mut(label) {
            *place = self.code.len();
        }
    }

    /// `to = *(width *)(from + offset)`.
    pub(super) fn load(&mut self, width: Width, to: Register, from: Register, offset: i16) {
        self.push(0x61 | width as u8, to as u8, from as u8, offset, 0);
    }

    /// `*(width *)(to + offset) = from`.
    pub(super) fn store(&mut self, width: Width, to: Register, offset: i16, from: Register) {
        self.push(0x63 | width as u8, to as u8, from as u8, offset, 0);
    }

    /// `*(width *)(to + offset) = value`.
    pub(super) fn store_value(&mut self, width: Width, to: Register, offset: i16, value: i32) {
        self.push(0x62 | width as u8, to as u8, 0, offset, value);
    }

    /// `*(u64 *)(to + offset) += from`, whatever other processors do meanwhile.
    pub(super) fn add_atomically(&mut self, to: Register, offset: i16, from: Register) {
        self.push(0xdb, to as u8, from as u8, offset, 0);
    }

    /// If `*(u32 *)(to + offset)` is as the lower half of `R0`, it becomes `from`; `R0` becomes what it was. All at once.
    pub(super) fn exchange_if_equal(&mut self, to: Register, offset: i16, from: Register) {
        self.push(0xc3, to as u8, from as u8, offset, 0xf1);
    }

    /// `to operation= from`, 64 bits.
    pub(super) fn compute(&mut self, operation: Operation, to: Register, from: Register) {
        self.push(LONG | FROM_REGISTER | operation as u8, to as u8, from as u8, 0, 0);
    }

    /// `to operation= value`, 64 bits.
    pub(super) fn compute_value(&mut self, operation: Operation, to: Register, value: i32) {
        self.push(LONG | operation as u8, to as u8, 0, 0, value);
    }

    /// `to operation= from`, 32 bits; the upper half becomes zero.
    pub(super) fn compute_short(&mut self, operation: Operation, to: Register, from: Register) {
        self.push(SHORT | FROM_REGISTER | operation as u8, to as u8, from as u8, 0, 0);
    }

    /// `to operation= value`, 32 bits; the upper half becomes zero.
    pub(super) fn compute_short_value(&mut self, operation: Operation, to: Register, value: i32) {
        self.push(SHORT | operation as u8, to as u8, 0, 0, value);
    }

    /// Turns the lower bits of a register from network order into the processor's, or back.
    pub(super) fn network_order(&mut self, register: Register, bits: i32) {
        self.push(0xdc, register as u8, 0, 0, bits);
    }

    /// Jumps if the 32 bits of a register and a value compare so.
    pub(super) fn jump_value(&mut self, condition: Condition, left: Register, right: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(JUMP_SHORT | condition as u8, left as u8, 0, 0, right);
    }

    /// Jumps if the 32 bits of two registers compare so.
    pub(super) fn jump(&mut self, condition: Condition, left: Register, right: Register, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(JUMP_SHORT | FROM_REGISTER | condition as u8, left as u8, right as u8, 0, 0);
    }

    /// Jumps if a register of 64 bits is zero: what a look-up that found nothing gives.
    pub(super) fn jump_null(&mut self, register: Register, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(JUMP | Condition::Equal as u8, register as u8, 0, 0, 0);
    }

    /// Jumps.
    pub(super) fn go(&mut self, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(JUMP, 0, 0, 0, 0);
    }

    /// Puts a map into a register (RFC 9669 §5.4).
    pub(super) fn load_map(&mut self, to: Register, map: i32) {
        const MAP_BY_DESCRIPTOR: u8 = 1;
        self.push(0x18, to as u8, MAP_BY_DESCRIPTOR, 0, map);
        self.push(0, 0, 0, 0, 0);
    }

    /// `to = end of the stack + offset`.
    pub(super) fn stack_address(&mut self, to: Register, offset: i16) {
        self.compute(Operation::Move, to, Register::R10);
        self.compute_value(Operation::Add, to, i32::from(offset));
    }

    /// Calls a helper.
    pub(super) fn call(&mut self, helper: Helper) {
        self.push(0x85, 0, 0, 0, helper as i32);
    }

    /// Ends the program with a value.
    pub(super) fn leave(&mut self, value: i32) {
        self.compute_short_value(Operation::Move, Register::R0, value);
        self.exit();
    }

    /// Ends the program.
    pub(super) fn exit(&mut self) {
        self.push(0x95, 0, 0, 0, 0);
    }

    /// An instruction, as it lies in a word of a little-endian machine: opcode, registers, offset, value.
    fn push(&mut self, opcode: u8, to: u8, from: u8, offset: i16, value: i32) {
        let word = u64::from(opcode)
            | u64::from(from << 4 | to) << 8
            | u64::from(offset as u16) << 16
            | u64::from(value as u32) << 32;
        self.code.push(word);
    }
}
