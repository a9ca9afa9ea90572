#!/bin/sh
# Starts a participant's engine, gives it the bases, and then becomes the command as `reader`.
# The engine listens on a socket within this container and nowhere else.
# With `engine` as its command it is the engine alone, on ENGINE_HOST: the other container of a pod.
set -eu

start_engine() {
    for server in ${SEAT_DNS:-}; do
        set -- "$@" "--dns=$server"
    done
    /opt/guide/labs/images/engines/start-engine.sh "$@" &
    engine=$!
    until docker --host="$ENGINE_HOST" version > /dev/null 2>&1; do
        kill -0 "$engine" || return 1
        sleep 0.2
    done
    if [ ! -e /var/lib/docker/bases-loaded ]; then # once: the engine's data outlive this container
        docker --host="$ENGINE_HOST" load --quiet --input /opt/bases.tar || return 1
        touch /var/lib/docker/bases-loaded
    fi
}

if [ "${1:-}" = engine ]; then
    start_engine
    wait "$engine"
    exit
fi
if [ -n "${DOCKER_HOST:-}" ]; then # the engine is another container's, and has its bases soon
    until [ -n "$(docker image ls --quiet 2> /dev/null)" ]; do
        sleep 0.5
    done
    exec python -m proving.room.seat "$@"
fi
ENGINE_HOST=unix:///var/run/docker.sock
export ENGINE_HOST
start_engine --group=docker > /var/log/engine.log 2>&1 || {
    tail -n 20 /var/log/engine.log >&2
    exit 1
}
unset ENGINE_HOST
export HOME=/home/reader
cd "$HOME"
exec setpriv --reuid=reader --regid=reader --init-groups python -m proving.room.seat "$@"
