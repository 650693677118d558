//! The skein command line: commands and output.
