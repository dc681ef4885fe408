//! The world of the model: what the broker has stored, what each consumer believes, what may still go wrong.
//!
//! Messages and consumers are small indices. The broker's part holds one `Record` per stored copy, a finished one
//! included, so that "in exactly one place" is something that can be counted, and can be false.

/// A message, by index.
pub type Message = usize;
/// A consumer, by index.
pub type Holder = usize;

/// `<consumer>.<epoch>.<n>`: a connection counts its deliveries from one again, hence the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    pub holder: Holder,
    pub epoch: u8,
    pub n: u8,
}

/// How a message is acknowledged: when its task starts, or when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Acknowledge {
    Early,
    Late,
}

/// Where a stored copy of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Ready,
    /// Reserved. `started`: begun under late acknowledgement, so that the holder's death counts a crash.
    Held {
        tag: Tag,
        started: bool,
    },
    /// Begun under early acknowledgement: never redelivered, an orphan when its holder dies.
    Begun {
        tag: Tag,
    },
    Delayed,
    Dead,
    /// Committed and gone from the broker; kept here for counting.
    Finished,
}

/// One stored copy of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Record {
    pub message: Message,
    pub place: Place,
    pub crashes: u8,
    pub deliveries: u8,
}

impl Record {
    pub fn tag(&self) -> Option<Tag> {
        match self.place {
            Place::Held { tag, .. } | Place::Begun { tag } => Some(tag),
            Place::Ready | Place::Delayed | Place::Dead | Place::Finished => None,
        }
    }
}

/// How far a consumer is with a delivery, by its own knowledge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// In hand, not started.
    Waiting,
    /// A child runs it; the broker has not been told yet.
    Started,
    /// The broker has been told.
    Running,
    /// Its outcome is there, to be committed.
    Done,
    /// Begun by a consumer that has died: its failure is to be committed, the task never runs here.
    Orphan,
}

/// A delivery in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    pub tag: Tag,
    pub message: Message,
    pub stage: Stage,
    /// As it was delivered: over a limit it is buried instead of started.
    pub poisonous: bool,
}

/// What a sweep saw in place of a lease that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// A deadline that has passed. The next renewal replaces it by another one.
    Expired,
    /// No deadline at all: the broker lost the list.
    Missing,
}

/// A consumer that one sweep found silent; `aged` after at least half a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Suspicion {
    pub of: Silence,
    pub aged: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    Running,
    /// Stopped or swapped out: it does nothing, knows nothing of the time that passes, and may go on.
    Paused,
    Dead,
}

/// A worker's hold on the queues: its process, and what the broker has listed of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Consumer {
    pub life: Life,
    pub epoch: u8,
    /// The number of its last tag in this epoch.
    pub last: u8,
    /// A reply did not come: nothing is known of what that call did.
    pub doubts: bool,
    pub hand: Vec<Job>,
    /// Its lease as the broker lists it; None while it runs.
    pub silence: Option<Silence>,
    /// Half leases since its last renewal, at most two.
    pub quiet: u8,
    /// Half leases for which it does not recover anybody, after a restart of the broker or a reconnection of its own.
    pub wait: u8,
    /// What its sweeps remember of the others.
    pub suspects: Vec<Option<Suspicion>>,
}

impl Consumer {
    pub fn new(consumers: usize) -> Self {
        Self {
            life: Life::Running,
            epoch: 0,
            last: 0,
            doubts: false,
            hand: Vec::new(),
            silence: None,
            quiet: 0,
            wait: 0,
            suspects: vec![None; consumers],
        }
    }

    pub fn job(&mut self, tag: Tag) -> Option<&mut Job> {
        self.hand.iter_mut().find(|job| job.tag == tag)
    }

    pub fn knows(&self, tag: Tag) -> bool {
        self.hand.iter().any(|job| job.tag == tag)
    }

    pub fn forget(&mut self, tag: Tag) {
        self.hand.retain(|job| job.tag != tag);
    }

    pub fn take(&mut self, job: Job) {
        self.hand.push(job);
        self.hand.sort_unstable();
    }

    pub fn next_tag(&mut self, holder: Holder) -> Tag {
        self.last += 1;
        Tag {
            holder,
            epoch: self.epoch,
            n: self.last,
        }
    }
}

/// How often each thing may still go wrong, or happen for reasons outside the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub replies_lost: u8,
    pub pauses: u8,
    pub kills: u8,
    pub clock_jumps: u8,
    pub restarts: u8,
    pub returns: u8,
    pub defers: u8,
}

/// What happened, for the properties alone: no action reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct History {
    /// Messages whose publishing the caller saw succeed.
    pub acknowledged: Vec<Message>,
    /// Messages whose task ran to its end somewhere.
    pub ran: Vec<Message>,
    /// Messages whose runner died, or fell silent for so long that it had to be taken for dead.
    pub bereaved: Vec<Message>,
    /// Messages that somebody settled, once per time: a result, a failure or a dead letter with its record.
    pub settled: Vec<Message>,
    /// Somebody committed under a tag that was not current.
    pub stale_commit: bool,
    /// Somebody took the work of a consumer that was alive and had renewed its lease in time.
    pub robbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub records: Vec<Record>,
    pub consumers: Vec<Consumer>,
    pub budget: Budget,
    pub history: History,
}

impl History {
    /// Add to a list without making the order in which things happened part of the state.
    pub fn note(list: &mut Vec<Message>, message: Message) {
        if !list.contains(&message) {
            list.push(message);
            list.sort_unstable();
        }
    }
}

impl World {
    /// The stored copy under this tag: the broker's whole notion of who holds what.
    pub fn under(&mut self, tag: Tag) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.tag() == Some(tag))
    }

    pub fn record(&mut self, message: Message) -> Option<&mut Record> {
        self.records.iter_mut().find(|record| record.message == message)
    }

    /// File a message under a tag. What already lies under the same tag is overwritten, as in any table keyed by it.
    pub fn file(&mut self, message: Message, place: Place) {
        let Some(record) = self.record(message) else { return };
        record.place = place;
        let tag = record.tag();
        self.records
            .retain(|other| other.message == message || tag.is_none() || other.tag() != tag);
        self.sort();
    }

    pub fn sort(&mut self) {
        self.records.sort_unstable();
    }

    /// The messages that this consumer holds, as the broker knows it.
    pub fn held_by(&self, holder: Holder) -> Vec<Message> {
        let held = |record: &&Record| record.tag().is_some_and(|tag| tag.holder == holder);
        self.records.iter().filter(held).map(|record| record.message).collect()
    }
}
