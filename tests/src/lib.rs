//! Harness, cluster scenarios and end-to-end tests of Skein.
