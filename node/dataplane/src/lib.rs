//! Pod network of one host: bridge, addresses, routes to the other hosts.
