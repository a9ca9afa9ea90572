#!/bin/sh
# Starts an engine within a container: it must be able to write cgroups and network settings.
set -eu

writable() {
    mount -o remount,bind,rw "$1"
}

writable /proc/sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    # version 2: only a group without processes of its own hands its controllers on
    writable /sys/fs/cgroup
    mkdir -p /sys/fs/cgroup/engine
    xargs -rn1 < /sys/fs/cgroup/cgroup.procs > /sys/fs/cgroup/engine/cgroup.procs || true
    sed 's/ / +/g; s/^/+/' < /sys/fs/cgroup/cgroup.controllers > /sys/fs/cgroup/cgroup.subtree_control
else
    for controller in /sys/fs/cgroup/*/; do
        writable "$controller"
    done
fi

exec dockerd --host="${ENGINE_HOST:-tcp://0.0.0.0:2375}" --tls=false "$@"
