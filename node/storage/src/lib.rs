//! The one validated path to the store.
//!
//! Users of the API, controllers, the scheduler and agents all read and write objects through
//! [`Storage`]: it applies the rules of `skein-objects` (defaults, validation, what an update may
//! touch, how an object ends), turns them into transactions with preconditions and gives back
//! objects and `Status` errors. [`Client`] is its typed face, [`Informer`] a local copy that
//! follows the store, [`EventRecorder`] the way to tell people what happened.

mod bind;
mod client;
mod convert;
mod delete;
mod error;
mod follow;
mod informer;
mod kinds;
mod limits;
mod namespaces;
mod object;
mod recorder;
mod storage;
#[cfg(test)]
mod tests;
mod write;

pub use client::Client;
pub use convert::Converter;
pub use delete::{DeleteOptions, Deleted, Preconditions};
pub use error::{read_error, write_error};
pub use follow::{LocalCopy, Progress, follow};
pub use informer::{Change, Changes, Informer, Read, View};
pub use kinds::Kinds;
pub use object::{Object, ObjectList, read_part, read_whole};
pub use recorder::{EventRecorder, EventType, reference_to};
pub use storage::{Storage, WatchEvents};
pub use write::{Manager, WriteOptions};
