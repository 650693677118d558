//! Clients: they write, read and watch registers in the store and note what they see, and they
//! make, scale and delete Deployments through the API.

mod apps;
mod registers;
mod watcher;

pub(crate) use apps::{list_apps, use_apps};
pub(crate) use registers::{REGISTERS, RESOURCE, read, use_registers};
pub(crate) use watcher::watch_registers;
