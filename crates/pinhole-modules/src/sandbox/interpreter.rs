//! The sandbox of the core build: wasmi, an interpreter.

use super::{Code, Export, Instance};
use crate::Limits;
use pinhole_abi::exchange::Function;
use pinhole_helper::Fault;
use wasmi::errors::ErrorKind;
use wasmi::{
    CompilationMode, Config, EnforcedLimits, Engine, ExternType, Linker, Memory, Module, Store, StoreLimits,
    StoreLimitsBuilder, TrapCode, TypedFunc, ValType,
};

/// Most elements of a table.
pub(super) const TABLE_ELEMENTS: usize = 10_000;

struct Interpreted {
    engine: Engine,
    module: Module,
    limits: Limits,
}

pub(super) fn compile(module: &[u8], limits: &Limits) -> Result<Box<dyn Code>, String> {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        // Code is compiled before it is run, and not at its first run: fuel and time are the same every time.
        .compilation_mode(CompilationMode::Eager)
        .enforced_limits(EnforcedLimits::strict())
        .set_max_stack_height(limits.stack)
        .set_max_recursion_depth(limits.depth)
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_extended_const(false)
        .floats(false)
        .ignore_custom_sections(true);
    let engine = Engine::new(&config);
    // Whole, before anything is compiled: wasmi's compiler goes on for a while behind the end of a function, which its debug assertions do not
    // outlive.
    Module::validate(&engine, module).map_err(|error| error.to_string())?;
    let module = Module::new(&engine, module).map_err(|error| error.to_string())?;
    Ok(Box::new(Interpreted { engine, module, limits: *limits }))
}

impl Code for Interpreted {
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
        let instance =
            linker.instantiate_and_start(&mut store, &self.module).map_err(|error| fault(error.kind()))?;
        let memory = instance.get_memory(&store, "memory").ok_or(Fault::Malformed)?;
        let functions = Function::ALL.map(|function| Callable::find(instance, &store, function));
        Ok(Box::new(Interpretation { store, memory, functions, used: 0 }))
    }

    fn export(&self, function: Function) -> Export {
        let is_right = |ty: &ExternType| {
            ty.func().is_some_and(|ty| {
                let result = if function.returns_long() { ValType::I64 } else { ValType::I32 };
                ty.params() == vec![ValType::I32; function.parameters()] && ty.results() == [result]
            })
        };
        match self.module.get_export(function.name()) {
            None => Export::Absent,
            Some(ty) if is_right(&ty) => Export::Right,
            Some(_) => Export::Wrong,
        }
    }

    fn has_memory(&self) -> bool {
        self.module.get_export("memory").is_some_and(|ty| ty.memory().is_some())
    }

    fn import(&self) -> Option<String> {
        self.module.imports().next().map(|import| format!("{}.{}", import.module(), import.name()))
    }
}

struct Interpretation {
    store: Store<StoreLimits>,
    memory: Memory,
    functions: [Option<Callable>; Function::ALL.len()],
    used: u64,
}

/// A function of one of the types that there are.
#[derive(Clone, Copy)]
enum Callable {
    Zero(TypedFunc<(), i32>),
    One(TypedFunc<i32, i32>),
    Two(TypedFunc<(i32, i32), i32>),
    Long(TypedFunc<(i32, i32), i64>),
    Three(TypedFunc<(i32, i32, i32), i32>),
}

impl Callable {
    fn find(instance: wasmi::Instance, store: &Store<StoreLimits>, function: Function) -> Option<Self> {
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

impl Instance for Interpretation {
    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    fn call(&mut self, function: Function, [a, b, c]: [i32; 3], fuel: u64) -> Option<Result<i64, Fault>> {
        let callable = self.functions.get(function.index()).copied().flatten()?;
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
        Some(result.map_err(|error| fault(error.kind())))
    }

    fn fuel_used(&self) -> u64 {
        self.used
    }
}

fn fault(error: &ErrorKind) -> Fault {
    match error.as_trap_code() {
        Some(TrapCode::OutOfFuel) => Fault::Fuel,
        Some(TrapCode::StackOverflow) => Fault::Stack,
        Some(TrapCode::GrowthOperationLimited | TrapCode::OutOfSystemMemory) => Fault::Memory,
        Some(_) => Fault::Trap,
        // What is refused before any code runs: a memory or table larger than allowed.
        None => Fault::Memory,
    }
}
