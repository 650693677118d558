# The everyday commands; `just --list` shows them.

# Everything CI checks
test:
    scripts/test

# Formatting, lints, documentation, dependencies
static:
    scripts/test static

# Every test that needs no cluster
unit:
    scripts/test unit

# Tests on three hosts with real Docker
e2e:
    sudo --preserve-env=PATH scripts/test e2e

# Simulated clusters: this many seeds on all cores
sim seeds="200":
    cargo run --locked --package skein-sim --profile sim -- --seeds 0..{{seeds}}

# Deliberately broken builds, and the seed that catches each
mutants *names:
    scripts/mutants {{names}}

# Looks for bytes that break a parser that faces the network; `all` looks at one after the other
fuzz target minutes="1":
    scripts/fuzz {{target}} {{minutes}}

# Formats the source
fmt:
    cargo fmt --all

# Three hosts on this machine
up hosts="3":
    sudo --preserve-env=PATH scripts/cluster up {{hosts}}

# Removes them
down:
    sudo --preserve-env=PATH scripts/cluster down

# From nothing to an application on three hosts
quickstart:
    sudo --preserve-env=PATH scripts/quickstart

# Measurements as Markdown
bench *args:
    sudo --preserve-env=PATH scripts/bench {{args}}

# Five hosts through 50 random kills, cuts and heals under a write load
drill *args:
    sudo --preserve-env=PATH scripts/drill {{args}}
