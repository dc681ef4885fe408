//! The protocol as a state machine: which steps there are, when each may happen, and what it does.

use stateright::{Model, Property};

use crate::world::{
    Acknowledge, Budget, Consumer, History, Holder, Job, Life, Message, Place, Record, Silence, Stage, Suspicion, Tag,
    World,
};

pub const NEVER_LOST: &str = "what was acknowledged to the caller is never lost";
pub const ONE_COMMIT: &str = "only the current holder commits";
pub const CRASHES_END: &str = "a crash loop ends";
pub const LIVE_KEEP: &str = "a holder that renews its lease keeps what it holds";

/// Half leases in a lease: a consumer that renews in time does so at least once in each half.
const LEASE: u8 = 2;

/// A rule of the protocol that the tests can leave out, to see what it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `finish` commits only while the tag is held.
    Fence,
    /// A failed call opens a new epoch, and what the broker holds under older ones without our knowledge returns.
    Epoch,
    /// A consumer is recovered only when two sweeps, half a lease apart, found it silent.
    SecondSweep,
    /// Both sweeps must have seen the same deadline: it has not renewed in between.
    SameDeadline,
    /// Nobody is recovered within a lease of a restart of the broker or a reconnection of one's own.
    WaitAfterRestart,
    /// What is over `task_max_crashes` or `task_max_deliveries` is buried instead of started.
    Limits,
}

/// The bounds of one exploration, and the rules that hold in it.
#[derive(Clone, Debug)]
pub struct Protocol {
    pub consumers: usize,
    /// One entry per message.
    pub messages: Vec<Acknowledge>,
    pub budget: Budget,
    pub max_crashes: u8,
    pub max_deliveries: u8,
    left_out: Vec<Rule>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// `Transport.publish`, which returned.
    Publish(Message),
    /// `Consumer.receive`: after a lost reply it first opens a new epoch.
    Receive(Holder),
    ReceiveWithoutReply(Holder),
    /// A child takes the job: the compare-and-set on its page.
    Start(Tag),
    /// `Consumer.begin`, a moment later.
    Begin(Tag),
    /// The task ends in its child.
    End(Tag),
    /// The task kills its child, again and again.
    ChildDies(Tag),
    /// `Consumer.finish`.
    Finish(Tag),
    FinishWithoutReply(Tag),
    /// `Consumer.give_back` of what has not started: a recall, a shutdown.
    GiveBack(Tag),
    /// `Consumer.defer`, and the end of the delay.
    Defer(Tag),
    Promote(Message),
    /// `Consumer.bury`.
    Bury(Tag),
    /// `Consumer.renew`.
    Renew(Holder),
    /// `Consumer.recover`.
    Recover(Holder),
    RecoverWithoutReply(Holder),
    /// SIGSTOP, a suspended machine, swapping; and its end.
    Pause(Holder),
    Resume(Holder),
    /// SIGKILL of a worker, its children included; a supervisor starts another one in its place.
    Kill(Holder),
    Replace(Holder),
    /// Half a lease passes: who runs has renewed, who does not falls silent.
    HalfLease,
    /// The broker's clock jumps: every deadline has passed.
    ClockJump,
    /// The broker restarts: connections and the list of leases are gone, messages are not.
    Restart,
}

impl Protocol {
    /// Everything in place.
    pub fn whole(messages: &[Acknowledge], budget: Budget) -> Self {
        Self {
            consumers: 2,
            messages: messages.to_vec(),
            budget,
            max_crashes: 2,
            max_deliveries: 4,
            left_out: Vec::new(),
        }
    }

    /// The same protocol, one rule poorer.
    pub fn without(mut self, rule: Rule) -> Self {
        self.left_out.push(rule);
        self
    }

    fn has(&self, rule: Rule) -> bool {
        !self.left_out.contains(&rule)
    }

    fn poisonous(&self, record: &Record) -> bool {
        self.has(Rule::Limits) && (record.crashes >= self.max_crashes || record.deliveries > self.max_deliveries)
    }

    /// One death more; counting stops where it makes no difference any more.
    fn count_crash(&self, record: &mut Record) {
        record.crashes = (record.crashes + 1).min(self.max_crashes);
    }

    fn receive(&self, world: &mut World, who: Holder, reply: bool) {
        if world.consumers[who].doubts && self.has(Rule::Epoch) {
            self.open_epoch(world, who);
            return;
        }
        world.consumers[who].doubts = !reply;
        let Some(record) = world.records.iter_mut().find(|record| record.place == Place::Ready) else {
            return;
        };
        // Over its limit is over its limit.
        record.deliveries = (record.deliveries + 1).min(self.max_deliveries + 1);
        let (message, poisonous) = (record.message, self.poisonous(record));
        let tag = world.consumers[who].next_tag(who);
        if reply {
            world.consumers[who].take(Job {
                tag,
                message,
                stage: Stage::Waiting,
                poisonous,
            });
        }
        world.file(message, Place::Held { tag, started: false });
    }

    /// A new connection: the broker returns what it holds for us without our knowing. What has begun stays, for `recover`.
    fn open_epoch(&self, world: &mut World, who: Holder) {
        let consumer = &mut world.consumers[who];
        consumer.doubts = false;
        consumer.epoch += 1;
        consumer.last = 0;
        if self.has(Rule::WaitAfterRestart) {
            consumer.wait = LEASE;
            consumer.suspects.fill(None);
        }
        let consumer = &world.consumers[who];
        for record in &mut world.records {
            if let Place::Held { tag, .. } = record.place {
                if tag.holder == who && !consumer.knows(tag) {
                    record.place = Place::Ready;
                }
            }
        }
        world.sort();
    }

    /// Tell the broker that the task has started; a tag that is no longer ours drops the job's outcome in advance.
    fn begin(&self, world: &mut World, tag: Tag) {
        let early = |record: &Record| self.messages[record.message] == Acknowledge::Early;
        if let Some(record) = world.under(tag) {
            record.place = if early(record) {
                Place::Begun { tag }
            } else {
                Place::Held { tag, started: true }
            };
            world.sort();
        }
        if let Some(job) = world.consumers[tag.holder].job(tag) {
            job.stage = Stage::Running;
        }
    }

    /// Follow-ups, record, chord part, settlement: in one step, and only while the tag is held.
    fn finish(&self, world: &mut World, tag: Tag, reply: bool) {
        let Some(job) = world.consumers[tag.holder].job(tag).cloned() else {
            return;
        };
        let held = world.under(tag).map(|record| record.place = Place::Finished).is_some();
        if held || !self.has(Rule::Fence) {
            world.history.settled.push(job.message);
            world.history.stale_commit |= !held;
        }
        if reply {
            world.consumers[tag.holder].forget(tag);
        }
        world.history.settled.sort_unstable();
        world.sort();
    }

    /// Give up a delivery, if it is still ours.
    fn release(&self, world: &mut World, tag: Tag, place: Place, crashed: bool) {
        if let Some(record) = world.under(tag) {
            record.place = place;
            if crashed {
                self.count_crash(record);
            }
            if place == Place::Dead {
                let message = record.message;
                world.history.settled.push(message);
                world.history.settled.sort_unstable();
            }
        }
        world.consumers[tag.holder].forget(tag);
        world.sort();
    }

    fn child_dies(&self, world: &mut World, tag: Tag) {
        let Some(job) = world.consumers[tag.holder].job(tag) else {
            return;
        };
        let message = job.message;
        match self.messages[message] {
            Acknowledge::Late => self.release(world, tag, Place::Ready, true),
            Acknowledge::Early => {
                // WorkerLostError is its outcome.
                job.stage = Stage::Done;
                History::note(&mut world.history.bereaved, message);
            }
        }
    }

    fn renew(&self, world: &mut World, who: Holder) {
        world.consumers[who].silence = None;
        world.consumers[who].quiet = 0;
        for consumer in &mut world.consumers {
            // It was suspected under a deadline that is not the current one any more.
            if self.has(Rule::SameDeadline)
                && consumer.suspects[who].is_some_and(|suspicion| suspicion.of == Silence::Expired)
            {
                consumer.suspects[who] = None;
            }
        }
    }

    fn recover(&self, world: &mut World, who: Holder, reply: bool) {
        Self::adopt_own_orphans(world, who, reply);
        if self.has(Rule::WaitAfterRestart) && world.consumers[who].wait > 0 {
            return;
        }
        for other in (0..self.consumers).filter(|&other| other != who) {
            if self.condemns(world, who, other) {
                world.consumers[who].suspects[other] = None;
                self.take_over(world, who, other, reply);
            }
        }
        world.consumers[who].doubts |= !reply;
    }

    /// A sweep's judgement of one consumer.
    fn condemns(&self, world: &mut World, who: Holder, other: Holder) -> bool {
        let seen = if world.held_by(other).is_empty() {
            None
        } else {
            world.consumers[other].silence
        };
        let remembered = &mut world.consumers[who].suspects[other];
        let Some(of) = seen else {
            *remembered = None;
            return false;
        };
        if !self.has(Rule::SecondSweep) {
            return true;
        }
        match *remembered {
            Some(suspicion) if suspicion.of == of => suspicion.aged,
            _ => {
                *remembered = Some(Suspicion { of, aged: false });
                false
            }
        }
    }

    /// Return what `other` held; what it had begun becomes ours, as orphans.
    fn take_over(&self, world: &mut World, who: Holder, other: Holder, reply: bool) {
        let victim = &world.consumers[other];
        let robbery = victim.life != Life::Dead && victim.quiet == 0;
        world.history.robbed |= robbery;
        for message in world.held_by(other) {
            let Some(record) = world.record(message) else { continue };
            if let Place::Held { started, .. } = record.place {
                record.place = Place::Ready;
                if started {
                    self.count_crash(record);
                }
                world.sort();
                continue;
            }
            if !robbery {
                History::note(&mut world.history.bereaved, message);
            }
            Self::adopt(world, who, message, reply);
        }
    }

    /// Orphans whose reply was lost: begun, ours, and not in our hands.
    fn adopt_own_orphans(world: &mut World, who: Holder, reply: bool) {
        let unknown = |record: &&Record| match record.place {
            Place::Begun { tag } => tag.holder == who && !world.consumers[who].knows(tag),
            _ => false,
        };
        let orphans: Vec<Message> = world
            .records
            .iter()
            .filter(unknown)
            .map(|record| record.message)
            .collect();
        for message in orphans {
            Self::adopt(world, who, message, reply);
        }
    }

    fn adopt(world: &mut World, who: Holder, message: Message, reply: bool) {
        let tag = world.consumers[who].next_tag(who);
        if reply {
            let orphan = Job {
                tag,
                message,
                stage: Stage::Orphan,
                poisonous: false,
            };
            world.consumers[who].take(orphan);
        }
        world.file(message, Place::Begun { tag });
    }

    fn half_lease(&self, world: &mut World) {
        for who in 0..self.consumers {
            if world.consumers[who].life == Life::Running {
                self.renew(world, who);
            }
        }
        for consumer in &mut world.consumers {
            if consumer.life != Life::Running {
                consumer.quiet = (consumer.quiet + 1).min(LEASE);
                if consumer.quiet == LEASE && consumer.silence.is_none() {
                    consumer.silence = Some(Silence::Expired);
                }
            }
            consumer.wait = consumer.wait.saturating_sub(1);
            for suspicion in consumer.suspects.iter_mut().flatten() {
                suspicion.aged = true;
            }
        }
    }

    fn restart(&self, world: &mut World) {
        for consumer in &mut world.consumers {
            consumer.silence = Some(Silence::Missing);
            // The dead have no connection to lose.
            consumer.doubts = consumer.life != Life::Dead;
            if self.has(Rule::WaitAfterRestart) && consumer.life != Life::Dead {
                consumer.wait = LEASE;
                consumer.suspects.fill(None);
            }
        }
    }

    fn kill(&self, world: &mut World, who: Holder) {
        let killed = &mut world.consumers[who];
        let (epoch, silence, quiet) = (killed.epoch, killed.silence, killed.quiet);
        *killed = Consumer {
            life: Life::Dead,
            epoch,
            silence,
            quiet,
            ..Consumer::new(self.consumers)
        };
    }

    /// Another consumer, with a name of its own, in the place of a dead one: nobody suspects it of anything.
    fn replace(&self, world: &mut World, who: Holder) {
        world.consumers[who] = Consumer::new(self.consumers);
        for consumer in &mut world.consumers {
            consumer.suspects[who] = None;
        }
    }

    /// What one consumer may do with one delivery in its hands.
    fn job_actions(world: &World, job: &Job, actions: &mut Vec<Action>) {
        let tag = job.tag;
        match job.stage {
            Stage::Waiting if job.poisonous => actions.push(Action::Bury(tag)),
            Stage::Waiting => {
                actions.push(Action::Start(tag));
                if world.budget.returns > 0 {
                    actions.push(Action::GiveBack(tag));
                }
                if world.budget.defers > 0 {
                    actions.push(Action::Defer(tag));
                }
            }
            Stage::Started => actions.push(Action::Begin(tag)),
            Stage::Running => actions.extend([Action::End(tag), Action::ChildDies(tag)]),
            Stage::Done | Stage::Orphan => {
                actions.push(Action::Finish(tag));
                if world.budget.replies_lost > 0 {
                    actions.push(Action::FinishWithoutReply(tag));
                }
            }
        }
    }

    fn consumer_actions(world: &World, who: Holder, actions: &mut Vec<Action>) {
        let consumer = &world.consumers[who];
        actions.extend([Action::Receive(who), Action::Renew(who), Action::Recover(who)]);
        if world.budget.replies_lost > 0 && !consumer.doubts {
            actions.extend([Action::ReceiveWithoutReply(who), Action::RecoverWithoutReply(who)]);
        }
        if world.budget.pauses > 0 {
            actions.push(Action::Pause(who));
        }
        for job in &consumer.hand {
            Self::job_actions(world, job, actions);
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            records: Vec::new(),
            consumers: vec![Consumer::new(self.consumers); self.consumers],
            budget: self.budget,
            history: History::default(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // Which message comes first makes no difference; that they may come late does.
        actions.extend(
            (0..self.messages.len())
                .find(|m| !world.history.acknowledged.contains(m))
                .map(Action::Publish),
        );
        for record in world.records.iter().filter(|record| record.place == Place::Delayed) {
            actions.push(Action::Promote(record.message));
        }
        for (who, consumer) in world.consumers.iter().enumerate() {
            match consumer.life {
                Life::Running => Self::consumer_actions(world, who, actions),
                Life::Paused => actions.push(Action::Resume(who)),
                Life::Dead if world.held_by(who).is_empty() => actions.push(Action::Replace(who)),
                Life::Dead => {}
            }
            if consumer.life != Life::Dead && world.budget.kills > 0 {
                actions.push(Action::Kill(who));
            }
        }
        actions.push(Action::HalfLease);
        if world.budget.clock_jumps > 0 {
            actions.push(Action::ClockJump);
        }
        if world.budget.restarts > 0 {
            actions.push(Action::Restart);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let budget = &mut world.budget;
        match action {
            Action::Publish(message) => {
                world.history.acknowledged.push(message);
                world.records.push(Record {
                    message,
                    place: Place::Ready,
                    crashes: 0,
                    deliveries: 0,
                });
                world.sort();
            }
            Action::Receive(who) => self.receive(&mut world, who, true),
            Action::ReceiveWithoutReply(who) => {
                budget.replies_lost -= 1;
                self.receive(&mut world, who, false);
            }
            Action::Start(tag) => world.consumers[tag.holder].job(tag)?.stage = Stage::Started,
            Action::Begin(tag) => self.begin(&mut world, tag),
            Action::End(tag) => {
                let job = world.consumers[tag.holder].job(tag)?;
                job.stage = Stage::Done;
                let message = job.message;
                History::note(&mut world.history.ran, message);
            }
            Action::ChildDies(tag) => self.child_dies(&mut world, tag),
            Action::Finish(tag) => self.finish(&mut world, tag, true),
            Action::FinishWithoutReply(tag) => {
                budget.replies_lost -= 1;
                self.finish(&mut world, tag, false);
            }
            Action::GiveBack(tag) => {
                budget.returns -= 1;
                self.release(&mut world, tag, Place::Ready, false);
            }
            Action::Defer(tag) => {
                budget.defers -= 1;
                self.release(&mut world, tag, Place::Delayed, false);
            }
            Action::Promote(message) => {
                let delayed = |record: &&mut Record| record.message == message && record.place == Place::Delayed;
                world.records.iter_mut().find(delayed)?.place = Place::Ready;
                world.sort();
            }
            Action::Bury(tag) => self.release(&mut world, tag, Place::Dead, false),
            Action::Renew(who) => self.renew(&mut world, who),
            Action::Recover(who) => self.recover(&mut world, who, true),
            Action::RecoverWithoutReply(who) => {
                budget.replies_lost -= 1;
                self.recover(&mut world, who, false);
            }
            Action::Pause(who) => {
                budget.pauses -= 1;
                world.consumers[who].life = Life::Paused;
            }
            Action::Resume(who) => world.consumers[who].life = Life::Running,
            Action::Kill(who) => {
                budget.kills -= 1;
                self.kill(&mut world, who);
            }
            Action::Replace(who) => self.replace(&mut world, who),
            Action::HalfLease => self.half_lease(&mut world),
            Action::ClockJump => {
                budget.clock_jumps -= 1;
                for consumer in &mut world.consumers {
                    consumer.silence.get_or_insert(Silence::Expired);
                }
            }
            Action::Restart => {
                budget.restarts -= 1;
                self.restart(&mut world);
            }
        }
        (world != *before).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_LOST, never_lost),
            Property::always(ONE_COMMIT, one_commit),
            Property::always(CRASHES_END, crashes_end),
            Property::always(LIVE_KEEP, |_, world: &World| !world.history.robbed),
        ]
    }
}

/// Each message is in exactly one place; whoever holds it knows, or is in doubt and will ask, or will be recovered; and it
/// leaves the broker only after its task ran to its end, or the death of who ran it was made known.
fn never_lost(_: &Protocol, world: &World) -> bool {
    world.history.acknowledged.iter().all(|&message| {
        let mut copies = world.records.iter().filter(|record| record.message == message);
        let (Some(record), None) = (copies.next(), copies.next()) else {
            return false;
        };
        match record.place {
            Place::Held { tag, .. } => {
                let holder = &world.consumers[tag.holder];
                holder.life == Life::Dead || holder.doubts || holder.knows(tag)
            }
            // A begun one that nobody knows of is found by its holder's next `recover`.
            Place::Finished => {
                let History {
                    ran, bereaved, settled, ..
                } = &world.history;
                settled.contains(&message) && (ran.contains(&message) || bereaved.contains(&message))
            }
            Place::Ready | Place::Begun { .. } | Place::Delayed | Place::Dead => true,
        }
    })
}

/// Two consumers may run a task; its consequences happen once, under the tag that is current.
fn one_commit(_: &Protocol, world: &World) -> bool {
    let settled = &world.history.settled;
    !world.history.stale_commit && settled.windows(2).all(|pair| pair[0] != pair[1])
}

/// What is over a limit never runs again, and nothing else becomes a dead letter. That nothing goes on for ever is shown
/// on whole runs, in `runs.rs`.
fn crashes_end(model: &Protocol, world: &World) -> bool {
    world.records.iter().all(|record| match record.place {
        Place::Dead => model.poisonous(record),
        Place::Held { started: true, .. } => record.crashes < model.max_crashes,
        _ => true,
    })
}
