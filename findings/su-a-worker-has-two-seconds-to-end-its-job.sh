#!/usr/bin/env bash
# su, runuser: a worker that was started by them has two seconds after SIGTERM, then SIGKILL, whatever the grace of its container.
#
# One would assume that `su worker -c "..."`, as the entrypoint of an image or the command of a service, passes SIGTERM on and waits for
# the end of the worker, as setpriv and gosu do by being replaced with it; or that it ends and leaves the worker alone.
# It waits for the worker beside it, since it has a session to close. On SIGTERM it says "Session terminated, killing shell...", sends
# SIGTERM, sleeps for two seconds, and sends SIGKILL: `stop_grace_period: 10m`, `docker stop -t 600`, stopwaitsecs, all are in vain.
# An autoscaler that takes the worker away kills each job that needs more than two seconds, every time, and finds 143 as its exit code,
# that of a stop in good order. Use setpriv --reuid, gosu, su-exec, chpst -u or `user:` of the container; Debian's own su is this one.
# Seen with util-linux 2.38.1 (login-utils/su-common.c: create_watching_parent). Needs root, and setpriv.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill -9 $pid $(sed -n "s/begun //p" "$dir/journal"); wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
[ "$(id -u)" = 0 ] || { echo "needs root"; exit 1; }
chmod 755 "$dir"
cat >"$dir/worker" <<'SH'
#!/bin/bash
trap 'echo told; for _ in $(seq 50); do sleep 0.1; done; echo done; exit 0' TERM # the job takes 5 s more
echo "begun $$"
while :; do sleep 0.1; done
SH
chmod 755 "$dir/worker"
su --version
seen=()
for way in setpriv su runuser; do
    case $way in
        setpriv) start=(setpriv --reuid nobody --regid nogroup --clear-groups "$dir/worker") ;;
        su) start=(su nobody -s /bin/sh -c "exec $dir/worker") ;;
        runuser) start=(runuser -u nobody -- "$dir/worker") ;;
    esac
    : >"$dir/journal"
    "${start[@]}" >>"$dir/journal" 2>"$dir/log" &
    pid=$!
    until grep -q begun "$dir/journal"; do sleep 0.1; done
    worker=$(sed -n 's/begun //p' "$dir/journal")
    kill -TERM $pid
    wait $pid && code=0 || code=$?
    for _ in $(seq 100); do kill -0 "$worker" 2>/dev/null || break; sleep 0.1; done
    seen+=("$(grep -c done "$dir/journal" || true) $code")
    echo "started by $way, after SIGTERM: jobs done and exit code ${seen[-1]} ($(grep -c told "$dir/journal") told; $(xargs <"$dir/log"))"
done
[ "${seen[*]}" = "1 0 0 143 0 143" ] || { echo "it has its time now"; exit 1; }
