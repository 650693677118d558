//! Leader-only reconcilers: deployment, replica set, garbage collection, namespaces, nodes, scheduling.
