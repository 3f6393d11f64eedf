#!/usr/bin/env bash
# Hosts h1 … hN on this machine, for tests of what crosses a network: each has network, host name, mounts and
# /dev/shm of its own, and all hang on one bridge. They are namespaces without names, held by processes that
# sleep: when these are killed, nothing is left. Needs root and iproute2.
#   hosts.sh up FOLDER N               make them, and FOLDER/launch, a stand-in for ssh
#   hosts.sh on FOLDER HOST COMMAND…   run a command on a host, in the current folder
#   hosts.sh down FOLDER
set -euo pipefail
verb=$1 folder=$(realpath "$2")
shift 2
pid() { cat "$folder/$1.pid"; }
link() { nsenter --target "$(pid "$1")" --net ip link set "$2" up; }

case $verb in
up)
  unshare --net sleep infinity >/dev/null 2>&1 &
  echo $! >"$folder/bridge.pid"
  echo "127.0.0.1 localhost" >"$folder/names"
  for ((k = 1; k <= $1; k++)); do
    echo "10.123.0.$k h$k" >>"$folder/names"
    unshare --net --uts --mount --propagation private sh -c "
      hostname h$k && mount --bind '$folder/names' /etc/hosts && mount -t tmpfs none /dev/shm && touch '$folder/h$k.ready'
      exec sleep infinity" >/dev/null 2>"$folder/h$k.log" &
    echo $! >"$folder/h$k.pid"
  done
  for ((k = 1; k <= $1; k++)); do
    for ((turn = 0; turn < 100; turn++)); do [[ -e $folder/h$k.ready ]] && break; sleep 0.05; done
    [[ -e $folder/h$k.ready ]] || { cat "$folder/h$k.log" >&2; exit 1; }
  done
  nsenter --target "$(pid bridge)" --net ip link add bridge type bridge
  link bridge bridge
  for ((k = 1; k <= $1; k++)); do
    ip link add eth0 netns "$(pid "h$k")" type veth peer name "h$k" netns "$(pid bridge)"
    nsenter --target "$(pid bridge)" --net ip link set "h$k" master bridge
    nsenter --target "$(pid "h$k")" --net ip address add "10.123.0.$k/24" dev eth0
    link bridge "h$k"; link "h$k" eth0; link "h$k" lo
  done
  cat >"$folder/launch" <<END
#!/bin/sh
while [ "\${1#-}" != "\$1" ]; do shift; done
host=\$1; shift
exec nsenter --target "\$(cat '$folder'/"\$host".pid)" --net --uts --mount -- /bin/sh -c "\$*"
END
  chmod +x "$folder/launch"
  ;;
on)
  host=$1
  shift
  exec nsenter --target "$(pid "$host")" --net --uts --mount --wdns="$PWD" -- "$@"
  ;;
down)
  for file in "$folder"/*.pid; do
    kill "$(cat "$file")" 2>/dev/null || true
  done
  ;;
*)
  echo "unknown: $verb" >&2
  exit 2
  ;;
esac
