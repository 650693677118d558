//! Which handler serves which protocol on one node.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{Handler, Protocol};

/// The handlers of one node, replaceable while it runs.
#[derive(Default)]
pub(crate) struct Handlers(RwLock<HashMap<Protocol, Arc<dyn Handler>>>);

impl Handlers {
    pub(crate) fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(protocol, handler);
    }

    pub(crate) fn get(&self, protocol: Protocol) -> Option<Arc<dyn Handler>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&protocol).cloned()
    }

    pub(crate) fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
