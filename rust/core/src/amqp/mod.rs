//! AMQP 0-9-1 as far as messages need it: frames, property lists, header tables, and the envelope that says the same.

mod cursor;
mod envelope;
mod frames;
mod properties;
mod publish;
mod table;

pub use envelope::{content_of, envelope_of, Delivered};
pub use frames::{FrameReader, Item};
pub use properties::{changed, Changes, Properties};
pub use publish::{content_frames, publish_frames, Target};
pub use table::Value;
