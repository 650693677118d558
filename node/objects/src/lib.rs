//! The kinds: registry, defaults, validation, selectors, patches, tables. Pure.
