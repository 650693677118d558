# Shared by the scripts beside it; sourced, not run.
# shellcheck shell=bash disable=SC2034

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CLUSTER=$ROOT/.cluster

say() { printf '%s\n' "$*" >&2; }
step() { printf '\n==> %s\n' "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

need_root() {
    [[ $EUID -eq 0 ]] || die "${0##*/} makes network namespaces and runs Docker daemons, so it needs root: sudo $0 $*"
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
    local seconds=$1 what=$2 end
    shift 2
    end=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || {
            say "gave up after ${seconds}s waiting for $what"
            return 1
        }
        sleep 0.2
    done
}

# The binary to run: the one asked for, else the newest kind there is.
skein_bin() {
    local candidate
    for candidate in "${SKEIN_BIN:-}" "$ROOT/target/release/skein" "$ROOT/target/debug/skein"; do
        if [[ -x $candidate ]]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    die "no skein binary: build one with 'cargo build --release', or set SKEIN_BIN"
}

# install_packages COMMAND:PACKAGE…: with apt-get, only those whose command is missing.
install_packages() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || die "missing: ${missing[*]}; this script can only install them with apt-get"
    [[ $EUID -eq 0 ]] || die "missing: ${missing[*]}; run this as root, or install them first"
    step "Installing ${missing[*]}"
    # The distribution starts its own daemons on installation; none of them is wanted here.
    local policy=/usr/sbin/policy-rc.d made=
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made=yes
    fi
    local status=0
    apt-get update -qq || say "apt-get update failed; trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
    if [[ -n $made ]]; then rm -f "$policy"; fi
    return "$status"
}

# What test hosts need.
install_host_packages() {
    install_packages dockerd:docker.io docker:docker.io ip:iproute2 nft:nftables iptables:iptables nsenter:util-linux
}
