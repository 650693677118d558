//! Runs the pods bound to this host and reports what it sees.
