# Tools that a fresh machine may lack. Sourced by test and quickstart after lib.sh.
# shellcheck shell=bash

# The oldest releases known to read this workspace.
NEXTEST_VERSION=0.9.100
DENY_VERSION=0.18.0

install_nextest() { install_cargo_tool cargo-nextest "$NEXTEST_VERSION"; }
install_cargo_deny() { install_cargo_tool cargo-deny "$DENY_VERSION"; }

# install_cargo_tool NAME OLDEST: any later release is as good.
install_cargo_tool() {
    local have
    have=$("$1" --version 2>/dev/null | awk 'NR == 1 { print $2 }') || have=
    if [[ -n $have && $(printf '%s\n' "$2" "$have" | sort -V | head -n 1) == "$2" ]]; then return; fi
    step "Building $1 (once)"
    # Unoptimised: built in half the time, and fast enough for what is asked of it here.
    cargo install --quiet --locked --debug "$1"
}

# Any kubectl will do; the distribution's is old, but all that is used here it knows.
install_kubectl() { install_packages kubectl:kubernetes-client; }

# Rust itself is not installed behind anybody's back.
need_rust() {
    command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs, then run this again"
}
