//! The NAT halves of helpers that are loaded, each in a slot whose number the conns know it by.

use super::NatHelpers;
use pinhole_helper::NatHelper;

#[derive(Default)]
pub(crate) struct Halves(Vec<Option<Box<dyn NatHelper>>>);

impl Halves {
    pub(crate) fn new(built_in: &NatHelpers) -> Self {
        let mut halves = Self::default();
        for half in built_in.iter() {
            halves.load(Box::new(half));
        }
        halves
    }

    /// The number of a helper's NAT half.
    pub(crate) fn number(&self, helper: &str) -> Option<u16> {
        let is_its = |half: &Option<Box<dyn NatHelper>>| half.as_ref().is_some_and(|h| h.name() == helper);
        u16::try_from(self.0.iter().position(is_its)?).ok()
    }

    pub(crate) fn find(&self, number: u16) -> Option<&dyn NatHelper> {
        self.0.get(usize::from(number))?.as_deref()
    }

    pub(crate) fn load(&mut self, half: Box<dyn NatHelper>) {
        let place = self.number(half.name()).and_then(|number| self.0.get_mut(usize::from(number)));
        match place {
            Some(place) => *place = Some(half),
            None => self.0.push(Some(half)),
        }
    }

    pub(crate) fn unload(&mut self, helper: &str) -> bool {
        let place = self.number(helper).and_then(|number| self.0.get_mut(usize::from(number)));
        place.is_some_and(|place| place.take().is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn NatHelper> {
        self.0.iter().filter_map(Option::as_deref)
    }
}
