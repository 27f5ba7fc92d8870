#!/usr/bin/env bash
# PHP-FPM: SIGQUIT, its "graceful stop" and the stop signal of its images, cuts off all requests at once, unless a time limit is set.
#
# One would assume that at SIGQUIT each process ends the request that it works on, as its manual page says of this signal, and that
# the container may take its grace for that.
# With process_control_timeout at 0, the default, no time is what they get: SIGQUIT is followed by SIGTERM for all processes in the
# same moment, the requests end without an answer, and the exit code is 0. With process_control_timeout = 60 they are answered.
# What waits in the queue of the socket is lost either way: it is never accepted, and the proxy sees a connection that was closed.
# Each scale-down costs the requests in progress; nothing tells of it but the 502 of the proxy. Set
# process_control_timeout to the longest request, the grace of the container above it, and take the copy out of the proxy before.
# Seen with PHP-FPM 8.2.36 (fpm_process_ctl.c). Needs php-fpm8.2 and cgi-fcgi on the PATH (Debian: php8.2-fpm, libfcgi-bin).
set -euo pipefail

export PATH=$PATH:/usr/sbin
for program in php-fpm8.2 cgi-fcgi; do command -v $program >/dev/null || { echo "this needs $program"; exit 1; }; done
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
chmod 755 "$dir"
echo '<?php file_put_contents(__DIR__ . "/begun", "x", FILE_APPEND); for ($end = time() + 10; time() < $end; usleep(100000)); echo "answered";' >"$dir/work.php"
look() { # LIMIT
    rm -f "$dir"/{begun,answers,log}
    chmod 777 "$dir"
    cat >"$dir/conf" <<CONF
[global]
error_log = $dir/log
process_control_timeout = $1
[www]
user = $(id -un)
group = $(id -gn)
listen = $dir/socket
pm = static
pm.max_children = 2
CONF
    php-fpm8.2 --nodaemonize --allow-to-run-as-root --fpm-config "$dir/conf" 2>/dev/null &
    server=$!
    pids+=("$server")
    until grep -q "ready to handle" "$dir/log" 2>/dev/null; do sleep 0.1; done
    asked=()
    for _ in 1 2 3; do # two are begun, one waits
        { SCRIPT_FILENAME=$dir/work.php REQUEST_METHOD=GET timeout 60 cgi-fcgi -bind -connect "$dir/socket" 2>/dev/null || true; } >>"$dir/answers" &
        asked+=($!)
    done
    until [ "$(cat "$dir/begun" 2>/dev/null)" = xx ]; do sleep 0.1; done
    sleep 1
    begin=$(date +%s) code=0
    kill -QUIT "$server"
    wait "$server" || code=$?
    took=$(($(date +%s) - begin))
    wait "${asked[@]}"
    seen+=("$(grep -c answered "$dir/answers" || true)")
    echo "process_control_timeout $1: after SIGQUIT it ended in $took s with $code; of 2 requests in progress and 1 that waits ${seen[-1]} were answered"
}
seen=()
php-fpm8.2 --version | head -1
look 0
look 60
[ "${seen[*]}" = "0 2" ] || { echo "it does otherwise now"; exit 1; }
