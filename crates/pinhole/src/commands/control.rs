//! The commands that talk to a running gateway.

use super::{Failure, Terminal};
use crate::arguments::{
    FlowArguments, ListArguments, LoadCommandArguments, ReloadModuleArguments, SocketArgument,
    StatsArguments, SwitchArguments, UnloadArguments,
};
use crate::gateway::client::ask;
use crate::gateway::request::Request;

/// `pinhole list`.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn list(arguments: ListArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let ListArguments { what, flow, helper, state, format, socket } = arguments;
    ask(&socket.socket, &Request::List { what, format, flow, helper, state }, terminal)
}

/// `pinhole explain`.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn explain(arguments: &FlowArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    ask(&arguments.socket.socket, &Request::Explain { flow: arguments.flow.join(" ") }, terminal)
}

/// `pinhole delete`.
///
/// # Errors
/// No gateway answers, or there is no such conn.
pub fn delete(arguments: &FlowArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    ask(&arguments.socket.socket, &Request::Delete { flow: arguments.flow.join(" ") }, terminal)
}

/// `pinhole stats`.
///
/// # Errors
/// No gateway answers.
pub fn stats(arguments: &StatsArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    ask(&arguments.socket.socket, &Request::Stats { json: arguments.json }, terminal)
}

/// `pinhole enable` and `pinhole disable`.
///
/// # Errors
/// No gateway answers, or there is no such helper.
pub fn switch(arguments: SwitchArguments, enabled: bool, terminal: &mut Terminal) -> Result<u8, Failure> {
    let SwitchArguments { helper, nat, socket } = arguments;
    ask(&socket.socket, &Request::Switch { helper, enabled, nat }, terminal)
}

/// `pinhole load`. A file is named from where the command is given.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn load(arguments: LoadCommandArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let LoadCommandArguments { modules, allow, socket } = arguments;
    let absolute = |name: String| {
        let is_file = name.contains('/') || name.ends_with(".wasm") || name.ends_with(".toml");
        let path = std::path::absolute(&name).ok().filter(|_| is_file);
        path.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or(name)
    };
    let names = modules.into_iter().map(absolute).collect();
    ask(&socket.socket, &Request::Load { names, allow }, terminal)
}

/// `pinhole unload`.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn unload(arguments: UnloadArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    let UnloadArguments { modules, force, socket } = arguments;
    ask(&socket.socket, &Request::Unload { names: modules, force }, terminal)
}

/// `pinhole reload-module`.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn reload_module(arguments: ReloadModuleArguments, terminal: &mut Terminal) -> Result<u8, Failure> {
    ask(&arguments.socket.socket, &Request::ReloadModule { names: arguments.modules }, terminal)
}

/// Requests without arguments: `monitor`, `flush`, `reload`.
///
/// # Errors
/// No gateway answers, or it refuses.
pub fn plain(socket: &SocketArgument, request: &Request, terminal: &mut Terminal) -> Result<u8, Failure> {
    ask(&socket.socket, request, terminal)
}
