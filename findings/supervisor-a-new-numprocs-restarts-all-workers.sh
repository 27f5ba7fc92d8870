#!/usr/bin/env bash
# Supervisor: `supervisorctl update` after a change of numprocs stops all processes of the program, and then starts the new number.
#
# One would assume that from two workers to three one more is started, and from three to two one is stopped: the numbers of the
# others, their commands and their environment are the same as before.
# A program with another numprocs is another group for `update`: all of the old one are stopped, and not before the last has
# ended are the new ones started. That goes up as well as down; the answer is "stopped" and "updated process group", exit code 0.
# Who scales workers by writing numprocs into the file cuts off every job at each step (SIGKILL after stopwaitsecs, 10 s), and
# has no worker at all while the longest of them ends. Write the largest number once, with autostart=false, and scale by
# `supervisorctl start worker:worker_2` and `stop`. Seen with supervisor 4.3.0 (supervisorctl.py, do_update); its issue 177.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap 'kill $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check supervisor==4.3.0
cd "$dir"
configure() { # COPIES
    cat >supervisor.conf <<CONF
[supervisord]
nodaemon=true
logfile=$dir/log
pidfile=$dir/pid
[unix_http_server]
file=$dir/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://$dir/socket
[program:worker]
command=sleep 1000
process_name=worker_%(process_num)d
numprocs=$1
startsecs=0
CONF
}
ctl() { venv/bin/supervisorctl -c supervisor.conf "$@"; }
pids() { # COPIES: waits until so many run
    until [ "$(ctl status | grep -c RUNNING)" = "$1" ]; do sleep 0.2; done
    ctl pid worker:worker_0 worker:worker_1 | xargs
}

configure 2
venv/bin/supervisord -c supervisor.conf >out 2>&1 &
pid=$!
until [ -S socket ]; do sleep 0.1; done
first=$(pids 2)
configure 3
ctl update
second=$(pids 3)
configure 2
ctl update
third=$(pids 2)
echo "supervisor $(ctl version)"
echo "worker_0 and worker_1 with numprocs=2: $first, with 3: $second, with 2 again: $third"
for one in $first; do case " $second " in *" $one "*) echo "$one runs on now"; exit 1 ;; esac; done
for one in $second; do case " $third " in *" $one "*) echo "$one runs on now"; exit 1 ;; esac; done
