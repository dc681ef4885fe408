//! Whole runs: does each one end, and how?
//!
//! Stateright judges single states here; its search does not see that a run goes round in circles. Faults are bounded, so
//! a protocol in which everything that was published is settled at last has no circle, and no dead end but a settled one.

use std::collections::HashMap;

use stateright::Model;

use crate::protocol::Protocol;
use crate::world::{Place, World};

/// How the runs of a protocol end.
#[derive(Debug, Default)]
pub struct Runs {
    /// States from which nothing leads on.
    pub ends: Vec<World>,
    /// A state to which a run can return.
    pub circle: Option<World>,
}

impl Runs {
    /// Follow every run of `protocol` to its end, depth first.
    pub fn of(protocol: &Protocol) -> Self {
        let mut runs = Self::default();
        let mut on_path: HashMap<World, bool> = HashMap::new();
        let mut stack: Vec<(World, Vec<World>)> = Vec::new();
        for start in protocol.init_states() {
            on_path.insert(start.clone(), true);
            stack.push((start.clone(), protocol.next_states(&start)));
        }
        while let Some((world, ahead)) = stack.last_mut() {
            let Some(next) = ahead.pop() else {
                on_path.insert(world.clone(), false);
                stack.pop();
                continue;
            };
            match on_path.get(&next) {
                Some(true) => runs.circle = Some(next),
                Some(false) => {}
                None => {
                    let beyond = protocol.next_states(&next);
                    if beyond.is_empty() {
                        runs.ends.push(next.clone());
                    }
                    on_path.insert(next.clone(), true);
                    stack.push((next, beyond));
                }
            }
        }
        runs
    }

    /// Whether every run ends, with each of `messages` settled.
    pub fn all_settle(&self, messages: usize) -> bool {
        let settled = |world: &World| {
            let settled = world
                .records
                .iter()
                .filter(|record| matches!(record.place, Place::Dead | Place::Finished));
            settled.count() == messages
        };
        self.circle.is_none() && !self.ends.is_empty() && self.ends.iter().all(settled)
    }
}
