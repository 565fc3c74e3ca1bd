//! Helpers that are switched while the gateway runs. What is disabled stays loaded: enabled again, it is the same helper, module or built-in.

use super::Modules;
use super::name::Wanted;
use crate::load::Origin;
use pinhole_engine::Engine;
use pinhole_helper::{Helper, NatHelper};
use pinhole_modules::Module;
use pinhole_wire::Time;

impl Modules {
    /// Enables or disables a helper with its NAT half, or that half alone. Conns that a disabled one has read are blind from then on.
    pub(in super::super) fn switch(
        &self,
        engine: &mut Engine,
        now: Time,
        name: &str,
        enabled: bool,
        nat: bool,
    ) -> Result<String, String> {
        let own = self.own_name(engine, name).ok_or_else(|| format!("no helper is called `{name}`"))?;
        let is_enabled = engine.host().number(&own).is_some();
        let mut told = String::new();
        if !nat {
            let failed = |error: &dyn std::fmt::Display| format!("helper {own}: {error}");
            told = match (enabled, is_enabled) {
                (true, true) => format!("helper {own} is enabled already\n"),
                (true, false) => {
                    engine.load_boxed(self.conntrack_half(&own)?).map_err(|error| failed(&error))?;
                    format!("helper {own} is enabled\n")
                }
                (false, false) => format!("helper {own} is disabled already\n"),
                (false, true) => {
                    let sessions = engine.unload(now, &own, true).map_err(|error| failed(&error))?;
                    format!("helper {own} is disabled; {sessions} connections are not read any more\n")
                }
            };
        }
        match self.nat_half(&own)? {
            Some(half) if enabled => engine.load_nat(half),
            Some(_) => drop(engine.unload_nat(&own)),
            None if nat => return Err(format!("helper {own} has no NAT half")),
            None => {}
        }
        if nat {
            let state = if enabled { "enabled" } else { "disabled" };
            told = format!("the NAT half of helper {own} is {state}\n");
        }
        Ok(told)
    }

    /// A helper's own name, by any of its names.
    fn own_name(&self, engine: &Engine, name: &str) -> Option<String> {
        let enabled = engine.host().helpers().map(|(helper, _)| helper);
        if let Some(helper) = enabled.into_iter().find(|helper| helper.spec().is_called(name)) {
            return Some(helper.spec().name.to_string());
        }
        let called = |origin: &&Origin| {
            let spec = origin.module.as_ref().map(|module| &module.manifest().spec);
            spec.map_or(origin.helper == *name, |spec| spec.is_called(name))
        };
        if let Some(origin) = self.origins.iter().find(called) {
            return Some(origin.helper.to_string());
        }
        let built_in = pinhole_helpers::registry();
        built_in.find(name).map(|helper| helper.spec().name.to_string())
    }

    /// The conntrack half of a helper: what is loaded from a file, or else the built-in one.
    fn conntrack_half(&self, own: &str) -> Result<Box<dyn Helper>, String> {
        let wanted = Wanted::half(false, own);
        match self.origins.iter().find(|origin| Wanted::of(origin) == wanted) {
            Some(Origin { module: Some(module), .. }) => Module::helper(module).map(|h| Box::new(h) as _),
            Some(origin) => self.loader.open(&origin.path).map_err(|error| error.to_string())?.helper,
            None => pinhole_helpers::registry().into_iter().find(|helper| helper.spec().name == *own),
        }
        .ok_or_else(|| format!("no helper is called `{own}`"))
    }

    /// The NAT half of a helper, if it has one: of a module, of the declaration that is the helper, or built in.
    fn nat_half(&self, own: &str) -> Result<Option<Box<dyn NatHelper>>, String> {
        let module = self.origins.iter().find(|origin| Wanted::of(origin) == Wanted::half(true, own));
        if let Some(half) = module.and_then(|origin| origin.module.as_ref()?.nat()) {
            return Ok(Some(Box::new(half)));
        }
        let declared = self.origins.iter().find(|origin| origin.module.is_none() && origin.helper == *own);
        if let Some(origin) = declared {
            return Ok(self.loader.open(&origin.path).map_err(|error| error.to_string())?.half);
        }
        let built_in = pinhole_helpers::nat_helpers().iter().find(|half| half.name() == own);
        Ok(built_in.map(|&half| Box::new(half) as _))
    }
}
