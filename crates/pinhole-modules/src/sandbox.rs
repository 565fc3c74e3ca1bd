//! What runs a module's code: nothing else knows by which engine.

#[cfg(feature = "wasmtime")]
mod compiled;
mod interpreter;

use crate::Limits;
use pinhole_abi::exchange::Function;
use pinhole_helper::Fault;

/// Code that was validated and compiled.
pub(crate) trait Code: Send + Sync {
    /// A fresh instance, its start function run.
    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault>;
    /// What it exports by the name of a function.
    fn export(&self, function: Function) -> Export;
    /// Whether it exports exactly one memory, as `memory`.
    fn has_memory(&self) -> bool;
    /// Its first import, if it has any.
    fn import(&self) -> Option<String>;
}

/// One memory, and functions to call.
pub(crate) trait Instance: Send {
    /// Its memory.
    fn memory(&mut self) -> &mut [u8];
    /// Calls a function, with as many of the numbers as it takes, and with that much fuel. `None` if it is not exported.
    fn call(&mut self, function: Function, numbers: [i32; 3], fuel: u64) -> Option<Result<i64, Fault>>;
    /// Fuel that the latest call used.
    fn fuel_used(&self) -> u64;
}

/// An export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// There is none of that name.
    Absent,
    /// It is no function of that type.
    Wrong,
    /// It is that function.
    Right,
}

/// Validates and compiles a module.
pub(crate) fn compile(module: &[u8], limits: &Limits) -> Result<Box<dyn Code>, String> {
    #[cfg(feature = "wasmtime")]
    return compiled::compile(module, limits);
    #[cfg(not(feature = "wasmtime"))]
    interpreter::compile(module, limits)
}
