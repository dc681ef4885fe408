//! The delivery protocol as an explicit model, explored exhaustively within small bounds.
//!
//! Two consumers share a queue; everything that can go wrong may go wrong, a bounded number of times, between any two
//! steps. What a step stands for in the code (contracts: `docs/internals/contracts.md`):
//!
//! | model | code |
//! |---|---|
//! | `Publish` | `Transport.publish(wait="stored")` has returned: the message is *acknowledged to the caller* |
//! | `Receive` | `Consumer.receive` of one message; after a failed call it first opens a new epoch |
//! | `…WithoutReply` | the broker did it, the connection broke before the answer: nothing is known of it here |
//! | `Start`, `Begin` | the child's compare-and-set on its page; `Consumer.begin`, early or late, a moment after |
//! | `End`, `ChildDies` | the task's outcome is in the ring; or its process is gone (`Lost`), as often as it likes |
//! | `Finish` | `Consumer.finish`: follow-ups, record, chord part and settlement in one step |
//! | `GiveBack`, `Defer`, `Promote`, `Bury` | the methods of those names; a delay ends |
//! | `Renew`, `Recover` | `leases.py`: prolong our lease; one sweep over the leases of the others |
//! | `Pause`, `Resume`, `Kill`, `Replace` | SIGSTOP, SIGCONT, SIGKILL; a supervisor starts another worker |
//! | `HalfLease`, `ClockJump`, `Restart` | time passes; the broker's clock jumps; the broker loses its list of leases |
//!
//! This is the protocol of brokers that keep leases by the clock (memory, Redis). On `SQLite` a lease is a lock of the
//! operating system, which only the death of its holder releases: a world without `ClockJump`, and without silence of
//! the living. `RabbitMQ` has no fence but its epochs; the guarantees there are weaker and are documented as such.
//!
//! Left out: batches (each step is atomic at the broker, so a batch is its steps in a row), priorities, results in a store
//! that is not the broker.
//!
//! The tests: the whole protocol keeps every invariant and settles every message; and leaving out any one rule breaks the
//! invariant for whose sake it is there.
#![allow(clippy::indexing_slicing, reason = "the indices are those of the bounds")]

mod protocol;
mod runs;
mod world;

use stateright::{Checker, HasDiscoveries, Model};

use protocol::{Protocol, Rule, CRASHES_END, LIVE_KEEP, NEVER_LOST, ONE_COMMIT};
use runs::Runs;
use world::Acknowledge::{self, Early, Late};
use world::{Budget, Place, Stage, World};

const NO_FAULTS: Budget = Budget {
    replies_lost: 0,
    pauses: 0,
    kills: 0,
    clock_jumps: 0,
    restarts: 0,
    returns: 0,
    defers: 0,
};

/// Explore every state: no invariant may break.
fn holds(messages: &[Acknowledge], budget: Budget) {
    let checker = Protocol::whole(messages, budget)
        .checker()
        .threads(2)
        .spawn_bfs()
        .join();

    checker.assert_properties();
}

/// Explore until this invariant breaks.
fn breaks(protocol: Protocol, property: &'static str) {
    let found = HasDiscoveries::AllOf([property].into());

    let checker = protocol.checker().finish_when(found).spawn_bfs().join();

    checker.assert_any_discovery(property);
}

/// Whether some state that can come about looks like this.
fn happens(protocol: Protocol, what: fn(&World) -> bool) -> bool {
    let (recorder, states) = stateright::StateRecorder::new_with_accessor();
    let _ = protocol.checker().visitor(recorder).spawn_bfs().join();
    states().iter().any(what)
}

// The whole protocol keeps its promises.

#[test]
fn a_late_message_survives_a_lost_reply_a_pause_and_a_kill() {
    holds(
        &[Late],
        Budget {
            replies_lost: 1,
            pauses: 1,
            kills: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn an_early_message_survives_a_lost_reply_a_pause_and_a_kill() {
    holds(
        &[Early],
        Budget {
            replies_lost: 1,
            pauses: 1,
            kills: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn a_late_message_survives_a_pause_a_clock_jump_or_a_restart_of_the_broker() {
    holds(
        &[Late],
        Budget {
            pauses: 1,
            clock_jumps: 1,
            ..NO_FAULTS
        },
    );
    holds(
        &[Late],
        Budget {
            pauses: 1,
            restarts: 1,
            ..NO_FAULTS
        },
    );
    holds(
        &[Late],
        Budget {
            clock_jumps: 1,
            restarts: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn an_early_message_survives_a_pause_a_clock_jump_and_a_restart_of_the_broker() {
    holds(
        &[Early],
        Budget {
            pauses: 1,
            clock_jumps: 1,
            restarts: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn messages_survive_two_restarts_of_the_broker() {
    holds(
        &[Late],
        Budget {
            restarts: 2,
            ..NO_FAULTS
        },
    );
    holds(
        &[Early],
        Budget {
            restarts: 2,
            ..NO_FAULTS
        },
    );
}

#[test]
fn messages_survive_workers_that_die_one_after_the_other() {
    holds(&[Late], Budget { kills: 3, ..NO_FAULTS });
    holds(&[Early], Budget { kills: 3, ..NO_FAULTS });
}

#[test]
fn a_message_that_is_returned_and_deferred_survives_a_pause() {
    holds(
        &[Late],
        Budget {
            returns: 1,
            defers: 1,
            pauses: 1,
            ..NO_FAULTS
        },
    );
    holds(
        &[Early],
        Budget {
            returns: 1,
            defers: 1,
            pauses: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn two_messages_survive_a_pause() {
    holds(&[Early, Late], Budget { pauses: 1, ..NO_FAULTS });
}

#[test]
fn two_messages_survive_a_kill() {
    holds(&[Early, Late], Budget { kills: 1, ..NO_FAULTS });
}

#[test]
fn two_messages_survive_a_lost_reply() {
    holds(
        &[Early, Late],
        Budget {
            replies_lost: 1,
            ..NO_FAULTS
        },
    );
}

#[test]
fn every_run_ends_with_its_message_settled() {
    let faults = [
        Budget { kills: 2, ..NO_FAULTS },
        Budget {
            pauses: 1,
            kills: 1,
            ..NO_FAULTS
        },
        Budget {
            replies_lost: 2,
            ..NO_FAULTS
        },
        Budget {
            replies_lost: 1,
            kills: 1,
            ..NO_FAULTS
        },
        Budget {
            clock_jumps: 1,
            restarts: 1,
            ..NO_FAULTS
        },
        Budget {
            returns: 2,
            defers: 2,
            ..NO_FAULTS
        },
    ];
    for acknowledge in [Early, Late] {
        for budget in faults {
            let runs = Runs::of(&Protocol::whole(&[acknowledge], budget));

            assert!(runs.all_settle(1), "{acknowledge:?} {budget:?}: {:?}", runs.circle);
        }
    }
}

// Leave one rule out, and the promise it is there for breaks.

#[test]
fn without_the_fence_a_paused_holder_commits_after_another() {
    let protocol = Protocol::whole(&[Late], Budget { pauses: 1, ..NO_FAULTS });

    breaks(protocol.without(Rule::Fence), ONE_COMMIT);
}

#[test]
fn without_the_epoch_a_message_whose_reply_was_lost_waits_for_ever() {
    let protocol = Protocol::whole(
        &[Late],
        Budget {
            replies_lost: 1,
            ..NO_FAULTS
        },
    );

    breaks(protocol.without(Rule::Epoch), NEVER_LOST);
}

#[test]
fn without_the_recovery_grace_a_restart_of_the_broker_makes_the_living_look_dead() {
    let protocol = Protocol::whole(
        &[Early],
        Budget {
            restarts: 1,
            ..NO_FAULTS
        },
    );
    let hasty = protocol.without(Rule::SecondSweep).without(Rule::WaitAfterRestart);

    breaks(hasty.clone(), LIVE_KEEP);
    // The caller is told that the worker died, and the result of the task that runs on is refused.
    breaks(hasty, NEVER_LOST);
}

#[test]
fn without_the_second_sweep_a_clock_jump_makes_the_living_look_dead() {
    let protocol = Protocol::whole(
        &[Late],
        Budget {
            clock_jumps: 1,
            ..NO_FAULTS
        },
    );

    breaks(protocol.without(Rule::SecondSweep), LIVE_KEEP);
}

#[test]
fn without_the_wait_after_a_restart_two_of_them_make_the_living_look_dead() {
    let protocol = Protocol::whole(
        &[Late],
        Budget {
            restarts: 2,
            ..NO_FAULTS
        },
    );

    breaks(protocol.without(Rule::WaitAfterRestart), LIVE_KEEP);
}

#[test]
fn two_sweeps_that_saw_different_deadlines_prove_nothing() {
    let protocol = Protocol::whole(
        &[Late],
        Budget {
            pauses: 1,
            clock_jumps: 1,
            ..NO_FAULTS
        },
    );

    breaks(protocol.without(Rule::SameDeadline), LIVE_KEEP);
}

#[test]
fn without_limits_a_crash_loop_goes_on() {
    let protocol = Protocol::whole(&[Late], NO_FAULTS);

    breaks(protocol.without(Rule::Limits), CRASHES_END);
}

// The model can do what it is about: an invariant that holds because nothing happens shows nothing.

#[test]
fn two_holders_may_run_one_task_at_once() {
    let protocol = Protocol::whole(&[Late], Budget { pauses: 1, ..NO_FAULTS });
    let both_run = |world: &World| {
        world
            .consumers
            .iter()
            .all(|consumer| consumer.hand.iter().any(|job| job.stage == Stage::Running))
    };

    assert!(happens(protocol, both_run));
}

#[test]
fn a_task_that_kills_its_runner_becomes_a_dead_letter() {
    let dead = |world: &World| world.records.iter().any(|record| record.place == Place::Dead);

    assert!(happens(Protocol::whole(&[Late], NO_FAULTS), dead));
}

#[test]
fn begun_work_of_a_dead_worker_ends_as_a_failure() {
    let protocol = Protocol::whole(&[Early], Budget { kills: 1, ..NO_FAULTS });
    let mourned = |world: &World| !world.history.settled.is_empty() && world.history.ran.is_empty();

    assert!(happens(protocol, mourned));
}

#[test]
fn an_orphan_whose_reply_was_lost_is_found_again() {
    let protocol = Protocol::whole(
        &[Early],
        Budget {
            kills: 1,
            replies_lost: 1,
            ..NO_FAULTS
        },
    );
    let found = |world: &World| {
        let orphan = |stage| stage == Stage::Orphan;
        world.budget.replies_lost == 0
            && world
                .consumers
                .iter()
                .any(|holder| holder.hand.iter().any(|job| orphan(job.stage) && job.tag.n > 1))
    };

    assert!(happens(protocol, found));
}
