#!/usr/bin/env bash
# PHP-FPM: its "listen queue" is 0 while all requests wait, if it listens at a Unix socket, and the size of the queue is 0, too.
#
# One would assume that the status page tells how many requests wait for a process: "listen queue", "max listen queue" and "listen
# queue len" are what its manual names for that, and exporters hand them on as they are.
# They are read from the kernel's facts of a TCP socket. With a Unix socket, which Debian's package and most set-ups of nginx beside
# PHP-FPM in one container have, all three are 0, whatever waits; not left out, 0. The manual does not say so.
# An autoscaler or an alarm by the queue sees none for ever. "max children reached" grows once, not with each request that waits;
# "active processes" at "total processes" is all that can be seen. Listen at TCP if the queue is to count. And give the page a
# listener of its own (pm.status_listen, as here): by the usual one it has to wait in the same queue, and times out when it matters.
# Seen with PHP-FPM 8.2.36 (fpm_process_ctl.c). Needs php-fpm8.2 and cgi-fcgi on the PATH (Debian: php8.2-fpm, libfcgi-bin).
set -euo pipefail

for program in php-fpm8.2 cgi-fcgi; do PATH=$PATH:/usr/sbin command -v $program >/dev/null || { echo "this needs $program"; exit 1; }; done
export PATH=$PATH:/usr/sbin
dir=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
chmod 755 "$dir"
echo '<?php while (!file_exists(__DIR__ . "/enough")) { usleep(100000); } echo "done";' >"$dir/work.php"
status() { SCRIPT_NAME=/status SCRIPT_FILENAME=/status REQUEST_METHOD=GET cgi-fcgi -bind -connect "$dir/status" 2>/dev/null | tr -d '\r'; }
field() { status | sed -n "s/^$1: *//p"; }
look() { # LISTEN
    rm -f "$dir/enough" "$dir/status"
    cat >"$dir/conf" <<CONF
[global]
error_log = $dir/log
[www]
user = $(id -un)
group = $(id -gn)
listen = $1
pm = static
pm.max_children = 2
pm.status_path = /status
pm.status_listen = $dir/status
CONF
    php-fpm8.2 --nodaemonize --allow-to-run-as-root --fpm-config "$dir/conf" &
    server=$!
    pids+=("$server")
    for _ in $(seq 100); do [ "$(field 'idle processes')" != 2 ] || break; sleep 0.1; done
    asked=()
    for _ in 1 2 3 4 5 6 7 8; do
        SCRIPT_FILENAME=$dir/work.php REQUEST_METHOD=GET cgi-fcgi -bind -connect "$1" >/dev/null 2>&1 &
        asked+=($!)
    done
    pids+=("${asked[@]}")
    for _ in $(seq 100); do [ "$(field 'active processes')" != 2 ] || break; sleep 0.1; done
    sleep 3 # it measures once a second
    seen+=("$(field 'active processes') $(field 'listen queue')")
    echo "at ${1/$dir/the socket }: 8 requests; $(status | grep -E '^(active processes|listen queue|max listen queue|listen queue len):' | xargs)"
    touch "$dir/enough"
    wait "${asked[@]}"
    kill "$server"
    wait "$server" || true
}
seen=()
php-fpm8.2 --version | head -1
look "127.0.0.1:${PORT:-41970}"
look "$dir/socket"
[ "${seen[*]}" = "2 6 2 0" ] || { echo "it tells otherwise now"; exit 1; }
