//! The Kubernetes REST front: discovery, verbs, watch, OpenAPI.
