//! Clients of the store: they write, read and watch registers and note what they see.

mod registers;
mod watcher;

pub(crate) use registers::{REGISTERS, RESOURCE, read, use_registers};
pub(crate) use watcher::watch_registers;
