#!/usr/bin/env bash
# runit: a container whose main process is runsvdir kills its workers' jobs at once when it is stopped, with SIGTERM as with SIGHUP.
#
# One would assume that runsvdir, as the main process of a container, ends its services at SIGTERM and waits for them, as `sv stop` does
# (and s6-svscan, and Supervisor; its page says otherwise); or else at SIGHUP, for which its page has "sends a TERM signal to each runsv".
# At SIGTERM it exits at once and tells nobody; at SIGHUP it tells runsv, and exits at once, too. As it is PID 1, the kernel then kills all
# that is left: by TERM a worker has not heard of the stop, by HUP it has at best, and has no time for it. `docker stop -t 600` is through after
# a moment, and says nothing. So STOPSIGNAL SIGHUP, which is the usual advice, does not save a job.
# Each scale-down loses what the worker had. As main process take a script that runs runsvdir beside it, and at SIGTERM
# `sv -w 600 stop` on all services before it ends (phusion's my_init does about that). Without a container, TERM leaves the services
# running on. Seen with runit 2.1.2 (Debian 12; runsvdir.c). Needs unshare and root; apt-get fetches runit for the moment.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -KILL $pid 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
chmod 777 "$dir"
cd "$dir"
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
apt-get download -q runit >log 2>&1 || { tail log; exit 77; }
dpkg -x runit_*.deb .
echo "runit $(dpkg-deb -f runit_*.deb Version)"
export PATH="$dir/usr/bin:$PATH"
mkdir -p services/mail
cat >services/mail/run <<RUN
#!/bin/sh
exec 2>/dev/null
trap 'echo told >>$dir/seen; sleep 2; echo "job is done" >>$dir/seen; exit 0' TERM
while :; do echo >$dir/works; sleep 0.1; done
RUN
chmod +x services/mail/run
look() { # SIGNAL NAME COMMAND...: to the main process of a "container", that is PID 1 of a namespace of its own
    local signal=$1 name=$2
    shift 2
    rm -f seen works
    touch seen
    unshare --pid --fork --mount-proc --kill-child "$@" &
    pid=$!
    until [ -e works ]; do sleep 0.1; done
    sleep 0.5
    begin=$(date +%s%N)
    kill "-$signal" "$(pgrep -P "$pid")"
    wait "$pid" || true
    echo "$name: SIG$signal, through after $((($(date +%s%N) - begin) / 1000000)) ms; the worker: $(paste -sd, seen | grep . || echo "not told")"
    seen+=("$(paste -sd, seen)")
}
cat >main.sh <<'MAIN'
runsvdir services &
trap 'sv -w 600 stop "$PWD"/services/*; exit' TERM
wait
MAIN
look TERM "runsvdir" runsvdir services
look HUP "runsvdir" runsvdir services
look TERM "a script with sv stop" sh main.sh
[ "${seen[0]}/${seen[2]}" = "/told,job is done" ] && [[ ${seen[1]} != *done* ]] || { echo "it does otherwise now"; exit 1; }
