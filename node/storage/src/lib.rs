//! The one validated path to the store for objects of the registered kinds, and informers over it.
