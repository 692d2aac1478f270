//! Things with positions that are given out again.

/// Things that keep their position while they are there.
#[derive(Debug)]
pub(super) struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    pub(super) fn insert(&mut self, thing: T) -> usize {
        let free = self.free.pop();
        match free.and_then(|position| Some((position, self.slots.get_mut(position)?))) {
            Some((position, slot)) => {
                *slot = Some(thing);
                position
            }
            None => {
                self.slots.push(Some(thing));
                self.slots.len() - 1
            }
        }
    }

    pub(super) fn get(&self, position: usize) -> Option<&T> {
        self.slots.get(position)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        self.slots.get_mut(position)?.as_mut()
    }

    pub(super) fn remove(&mut self, position: usize) -> Option<T> {
        let thing = self.slots.get_mut(position)?.take();
        self.free.extend(thing.is_some().then_some(position));
        thing
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(position, thing)| Some((position, thing.as_ref()?)))
    }
}
