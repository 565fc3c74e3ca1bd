//! The sandbox of builds with the feature `wasmtime`: native code, compiled when a module is loaded.
//!
//! *The same modules.* The interpreter sees each module first: what it refuses is not compiled. *The same bounds*, on fuel (one an operator,
//! counted as it is run), memory, tables and stack; how deep calls may go follows from the stack alone. *No signals*: what would trap by one is
//! checked in the code, so that a process which has handlers of its own, or allows none, is left alone.

use super::interpreter::TABLE_ELEMENTS;
use super::{Code, Export, Instance, interpreter};
use crate::Limits;
use pinhole_abi::exchange::Function;
use pinhole_helper::Fault;
use wasmtime::{
    Config, Engine, Error, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc,
};

struct Compiled {
    /// Answers what is asked of the module before it runs.
    checked: Box<dyn Code>,
    engine: Engine,
    module: Module,
    limits: Limits,
}

pub(super) fn compile(module: &[u8], limits: &Limits) -> Result<Box<dyn Code>, String> {
    let checked = interpreter::compile(module, limits)?;
    // Nothing is compiled that could not run.
    if checked.import().is_some() || !checked.has_memory() {
        return Ok(checked);
    }
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .max_wasm_stack(limits.stack)
        .signals_based_traps(false)
        // Room for what a module may have and no more; it never moves.
        .memory_reservation(limits.memory as u64)
        .memory_may_move(false)
        .memory_guard_size(0)
        .memory_init_cow(false)
        .wasm_backtrace(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_memory64(false)
        .wasm_extended_const(false);
    let engine = Engine::new(&config).map_err(|error| error.to_string())?;
    let module = Module::new(&engine, module).map_err(|error| error.to_string())?;
    Ok(Box::new(Compiled { checked, engine, module, limits: *limits }))
}

impl Code for Compiled {
    fn instantiate(&self) -> Result<Box<dyn Instance>, Fault> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(self.limits.memory)
            .table_elements(TABLE_ELEMENTS)
            .instances(1)
            .memories(1)
            .tables(4)
            .trap_on_grow_failure(true)
            .build();
        let mut store = Store::new(&self.engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(self.limits.fuel).map_err(|_| Fault::Fuel)?;
        let linker = Linker::new(&self.engine);
        let instance = linker.instantiate(&mut store, &self.module).map_err(|error| fault(&error))?;
        let memory = instance.get_memory(&mut store, "memory").ok_or(Fault::Malformed)?;
        let functions = Function::ALL.map(|function| Callable::find(instance, &mut store, function));
        Ok(Box::new(Machine { store, memory, functions, used: 0 }))
    }

    fn export(&self, function: Function) -> Export {
        self.checked.export(function)
    }

    fn has_memory(&self) -> bool {
        self.checked.has_memory()
    }

    fn import(&self) -> Option<String> {
        self.checked.import()
    }
}

struct Machine {
    store: Store<StoreLimits>,
    memory: Memory,
    functions: [Option<Callable>; Function::ALL.len()],
    used: u64,
}

/// A function of one of the types that there are.
#[derive(Clone)]
enum Callable {
    Zero(TypedFunc<(), i32>),
    One(TypedFunc<i32, i32>),
    Two(TypedFunc<(i32, i32), i32>),
    Long(TypedFunc<(i32, i32), i64>),
    Three(TypedFunc<(i32, i32, i32), i32>),
}

impl Callable {
    fn find(
        instance: wasmtime::Instance,
        store: &mut Store<StoreLimits>,
        function: Function,
    ) -> Option<Self> {
        let name = function.name();
        match (function.parameters(), function.returns_long()) {
            (0, _) => instance.get_typed_func(store, name).ok().map(Self::Zero),
            (1, _) => instance.get_typed_func(store, name).ok().map(Self::One),
            (2, false) => instance.get_typed_func(store, name).ok().map(Self::Two),
            (2, true) => instance.get_typed_func(store, name).ok().map(Self::Long),
            _ => instance.get_typed_func(store, name).ok().map(Self::Three),
        }
    }
}

impl Instance for Machine {
    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn call(&mut self, function: Function, [a, b, c]: [i32; 3], fuel: u64) -> Option<Result<i64, Fault>> {
        let callable = self.functions.get(function.index())?.as_ref()?;
        let store = &mut self.store;
        if store.set_fuel(fuel).is_err() {
            return Some(Err(Fault::Fuel));
        }
        let result = match callable {
            Callable::Zero(function) => function.call(&mut *store, ()).map(i64::from),
            Callable::One(function) => function.call(&mut *store, a).map(i64::from),
            Callable::Two(function) => function.call(&mut *store, (a, b)).map(i64::from),
            Callable::Long(function) => function.call(&mut *store, (a, b)),
            Callable::Three(function) => function.call(&mut *store, (a, b, c)).map(i64::from),
        };
        self.used = fuel.saturating_sub(store.get_fuel().unwrap_or_default());
        Some(result.map_err(|error| fault(&error)))
    }

    fn fuel_used(&self) -> u64 {
        self.used
    }
}

fn fault(error: &Error) -> Fault {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Fault::Fuel,
        Some(Trap::StackOverflow) => Fault::Stack,
        Some(Trap::AllocationTooLarge) => Fault::Memory,
        Some(_) => Fault::Trap,
        // A memory or table larger than allowed.
        None => Fault::Memory,
    }
}
