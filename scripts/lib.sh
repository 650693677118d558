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

# Builds the node and the programs that measure and drill it, and sets PROGRAMS and SKEIN_BIN.
# SKEIN_PROFILE=debug takes the debug build: to try the programs, not to measure Skein.
build_programs() {
    local profile=${SKEIN_PROFILE:-release} options=()
    case $profile in
    release) options=(--release) ;;
    debug) ;;
    *) die "SKEIN_PROFILE is release or debug, not '$profile'" ;;
    esac
    cargo build "${options[@]}" --locked --package skein --package skein-tests --package skein-measure >&2
    PROGRAMS=$ROOT/target/$profile
    export SKEIN_BIN=$PROGRAMS/skein
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

# pack_image ARCHIVE ROOTFS COMMAND_JSON TAG[,NAME=VALUE]…: an archive as `docker save` makes it,
# one layer, an image per tag with that variable in its environment. The same input gives the same bytes.
pack_image() {
    local archive=$1 rootfs=$2 command=$3 work digest config environment manifest='' tag architecture
    shift 3
    case $(uname -m) in
    x86_64) architecture=amd64 ;;
    aarch64) architecture=arm64 ;;
    *) architecture=$(uname -m) ;;
    esac
    work=$(mktemp -d)
    mkdir "$work/layer"
    tar -C "$rootfs" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$work/layer/layer.tar" .
    digest=$(sha256sum "$work/layer/layer.tar" | cut -d' ' -f1)
    for tag in "$@"; do
        environment='"PATH=/bin"'
        if [[ $tag == *,* ]]; then environment+=",\"${tag#*,}\""; fi
        printf '{"architecture":"%s","os":"linux","created":"1970-01-01T00:00:00Z","config":{"Cmd":%s,"Env":[%s]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
            "$architecture" "$command" "$environment" "$digest" >"$work/config"
        config=$(sha256sum "$work/config" | cut -d' ' -f1).json
        mv "$work/config" "$work/$config"
        manifest+=${manifest:+,}$(printf '{"Config":"%s","RepoTags":["%s"],"Layers":["layer/layer.tar"]}' "$config" "${tag%%,*}")
    done
    printf '[%s]' "$manifest" >"$work/manifest.json"
    mkdir -p "$(dirname "$archive")"
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$archive" .
    rm -rf "$work"
}

# The image busybox:local, from this machine's own static busybox; prints the archive's path.
busybox_image() {
    local rootfs archive=$ROOT/target/demo/busybox.tar applet
    rootfs=$(mktemp -d)
    chmod 755 "$rootfs"
    mkdir -m 755 "$rootfs/bin" "$rootfs/etc"
    mkdir -m 1777 "$rootfs/tmp"
    install -m 755 "$(command -v busybox)" "$rootfs/bin/busybox"
    for applet in $(busybox --list); do
        [[ $applet == busybox ]] || ln -s busybox "$rootfs/bin/$applet"
    done
    pack_image "$archive" "$rootfs" '["/bin/sh"]' busybox:local
    rm -rf "$rootfs"
    printf '%s\n' "$archive"
}
