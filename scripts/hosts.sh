# One test host: its network namespace, its containerd and Docker, its node. Sourced by cluster.
# shellcheck shell=bash disable=SC2034
#
# The hosts' cables end in a bridge in a namespace of its own, `skein-switch`, so that no firewall
# rule or sysctl of this machine stands between them and none has to be changed. This machine has
# a cable there too: 10.77.0.254, by which kubectl reaches every host and every host a registry.

MAX_HOSTS=200
# Hosts with a second address to move to: .201 and up, below the switch's own .254.
MOVABLE=50
SWITCH=skein-switch
# Names the checkout whose cluster this machine runs: there is one set of addresses.
OWNER=/run/skein-cluster
HOME_LINK=skein-home
HOME_ADDRESS=10.77.0.254

# The address of host K ends in K, unless it was moved.
address() { cat "$CLUSTER/$1/address" 2>/dev/null || printf '10.77.0.%s\n' "${1#h}"; }
namespace() { printf '/run/netns/skein-%s\n' "$1"; }

claim_machine() {
    local owner
    owner=$(cat "$OWNER" 2>/dev/null || true)
    if [[ -n $owner && $owner != "$ROOT" && -d $owner/.cluster ]]; then
        die "this machine already runs the cluster of $owner; end it first: $owner/scripts/cluster down"
    fi
    # A socket's path has at most 107 bytes, and containerd adds some of its own.
    ((${#CLUSTER} <= 70)) || die "the path $ROOT is too long for the sockets in it; use a shorter one"
    mkdir -p "$CLUSTER"
    printf '%s\n' "$ROOT" >"$OWNER"
}

prepare_machine() {
    local tool
    for tool in dockerd containerd docker ip nsenter nft; do
        command -v "$tool" >/dev/null || die "$tool is missing; scripts/quickstart installs what is needed (apt-get install docker.io iproute2 nftables)"
    done
    mount_cgroups
    if [[ ! -e /run/netns/$SWITCH ]]; then
        ip netns add "$SWITCH"
        ip -n "$SWITCH" link add br0 type bridge
        # Without br_netfilter there is no such switch, and nothing to switch off.
        nsenter --net="/run/netns/$SWITCH" sh -c 'echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables' 2>/dev/null || true
        ip -n "$SWITCH" link set br0 up
    fi
    if ! ip link show "$HOME_LINK" >/dev/null 2>&1; then
        ip link add "$HOME_LINK" type veth peer name home netns "$SWITCH"
        ip addr add "$HOME_ADDRESS/24" dev "$HOME_LINK"
        ip link set "$HOME_LINK" up
        ip -n "$SWITCH" link set home master br0 up
    fi
}

# Docker needs cgroups; a bare container or chroot may have none mounted.
mount_cgroups() {
    local name
    [[ -e /sys/fs/cgroup/cgroup.controllers || -d /sys/fs/cgroup/memory ]] && return
    mountpoint -q /sys/fs/cgroup || mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    while read -r name; do
        mkdir -p "/sys/fs/cgroup/$name"
        mountpoint -q "/sys/fs/cgroup/$name" || mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" || rmdir "/sys/fs/cgroup/$name"
    done < <(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups)
}

# make_host hK: its directory and its network.
make_host() {
    local host=$1 netns=skein-$1
    mkdir -p "$CLUSTER/$host"
    if [[ ! -e /run/netns/$netns ]]; then
        ip netns add "$netns"
        ip -n "$netns" link set lo up
    fi
    ip -n "$netns" link show eth0 >/dev/null 2>&1 && return
    ip -n "$netns" link add eth0 type veth peer name "$host" netns "$SWITCH"
    ip -n "$netns" addr add "$(address "$host")/24" dev eth0
    ip -n "$netns" link set eth0 up
    ip -n "$netns" route add default via "$HOME_ADDRESS"
    ip -n "$SWITCH" link set "$host" master br0 up
}

# move_host hK: between the two addresses it may have; its node must not run.
move_host() {
    local host=$1 netns=skein-$1 old new
    old=$(address "$host")
    new=10.77.0.${host#h}
    if [[ $old == "$new" ]]; then
        ((${host#h} <= MOVABLE)) || die "only the first $MOVABLE hosts can be moved"
        new=10.77.0.$((MAX_HOSTS + ${host#h}))
    fi
    # In this order: with the first address of a link go all others, and the routes through it.
    ip -n "$netns" addr del "$old/24" dev eth0
    ip -n "$netns" addr add "$new/24" dev eth0
    ip -n "$netns" route replace default via "$HOME_ADDRESS"
    printf '%s\n' "$new" >"$CLUSTER/$host/address"
}

# The far end goes down: the host loses its carrier and keeps addresses and routes, as with a cable.
set_link() { ip -n "$SWITCH" link set "$1" "$2"; }

link_state() {
    if ip -n "$SWITCH" link show "$1" 2>/dev/null | grep -q '[<,]UP[,>]'; then echo up; else echo cut; fi
}

# pid_of hK NAME: of a process that is alive and ours; a pid file alone proves neither.
pid_of() {
    local pid
    pid=$(cat "$CLUSTER/$1/$2.pid" 2>/dev/null) || return 1
    [[ -n $pid ]] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$CLUSTER/$1/" && printf '%s\n' "$pid"
}

running() { pid_of "$1" "$2" >/dev/null; }
state() { if running "$1" "$2"; then echo running; else echo ended; fi; }

# spawn hK NAME COMMAND…: in the host's network, on its own, with a log and a pid file.
spawn() {
    local host=$1 name=$2
    shift 2
    setsid nohup nsenter --net="$(namespace "$host")" -- "$@" >>"$CLUSTER/$host/$name.log" 2>&1 </dev/null &
    printf '%s\n' $! >"$CLUSTER/$host/$name.pid"
}

ended() { ! running "$1" "$2"; }

# stop_process hK NAME SIGNAL SECONDS
stop_process() {
    local pid
    pid=$(pid_of "$1" "$2") || return 0
    kill "-$3" "$pid"
    wait_for "$4" "$2 of $1 to end" ended "$1" "$2"
}

# Docker would use this machine's containerd if one runs; a host has its own.
start_docker() {
    local host=$1 dir=$CLUSTER/$1
    if ! running "$host" containerd; then
        mkdir -p "$dir/containerd"
        cat >"$dir/containerd/config.toml" <<CONFIG
version = 2
root = "$dir/containerd/root"
state = "$dir/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$dir/containerd.sock"
CONFIG
        spawn "$host" containerd containerd --config "$dir/containerd/config.toml" --log-level warn
        wait_for 30 "containerd of $host" test -S "$dir/containerd.sock"
    fi
    if running "$host" docker; then return; fi
    rm -f "$dir/dockerd.pid" "$dir/docker.sock"
    # Containers get their network from the node; Docker must not touch routes or firewall.
    spawn "$host" docker dockerd --host "unix://$dir/docker.sock" --containerd "$dir/containerd.sock" \
        --data-root "$dir/docker" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
        --bridge none --iptables=false --ip-forward=false --ip-masq=false --userland-proxy=false \
        --exec-opt native.cgroupdriver=cgroupfs --log-level warn \
        --insecure-registry "$HOME_ADDRESS:5000"
}

docker_of() { docker --host "unix://$CLUSTER/$1/docker.sock" "${@:2}"; }

wait_docker() { wait_for 60 "Docker of $1 (see $CLUSTER/$1/docker.log)" docker_of "$1" version; }

# start_node hK [OPTION…]: these matter only to a node that has no data yet; those in the file
# `options` of the host are given at every start.
start_node() {
    local host=$1 always=()
    shift
    if [[ -e $CLUSTER/$host/options ]]; then mapfile -t always <"$CLUSTER/$host/options"; fi
    spawn "$host" skein "$(skein_bin)" up --name "$host" --data-dir "$CLUSTER/$host/data" \
        --advertise "$(address "$host")" --listen "$(address "$host"):7600" --api 0.0.0.0:6443 \
        --docker-socket "$CLUSTER/$host/docker.sock" "${always[@]}" "$@"
}

# remove_host hK: containers, daemons, what escaped them, mounts, network, files.
remove_host() {
    local host=$1 dir=$CLUSTER/$1 ids
    stop_process "$host" skein KILL 10 || true
    if running "$host" docker; then
        ids=$(docker_of "$host" ps -aq 2>/dev/null || true)
        # shellcheck disable=SC2086 # one argument per id
        if [[ -n $ids ]]; then docker_of "$host" rm -f $ids >/dev/null 2>&1 || true; fi
    fi
    stop_process "$host" docker TERM 20 || stop_process "$host" docker KILL 5 || true
    stop_process "$host" containerd TERM 10 || stop_process "$host" containerd KILL 5 || true
    remove_namespace "skein-$host"
    release_mounts "$dir"
    rm -rf "$dir" "$CLUSTER/$host.kubeconfig"
}

# Whatever still runs in a namespace was started by its host (a shim whose Docker died, say), and
# a shim's children are containers.
remove_namespace() {
    local pid children
    [[ -e /run/netns/$1 ]] || return 0
    for pid in $(ip netns pids "$1"); do
        children=$(cat "/proc/$pid/task/"*/children 2>/dev/null || true)
        # shellcheck disable=SC2086 # one argument per id; they may end by themselves meanwhile
        kill -KILL "$pid" $children 2>/dev/null || true
    done
    ip netns delete "$1"
}

# Deepest first; a lazy unmount lets a container's last reader finish.
release_mounts() {
    local point
    awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r point; do umount -l "$point" || true; done
}

remove_machine() {
    local netns
    # Hosts whose directory was lost with a half-made cluster.
    for netns in /run/netns/skein-h[0-9]*; do
        if [[ -e $netns ]]; then remove_namespace "${netns##*/}"; fi
    done
    remove_namespace "$SWITCH"
    ip link delete "$HOME_LINK" 2>/dev/null || true
    rm -f "$OWNER"
}
