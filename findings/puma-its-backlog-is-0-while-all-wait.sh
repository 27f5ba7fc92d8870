#!/usr/bin/env bash
# Puma: its backlog stays at 0 while twenty requests wait for its one thread, as they wait where it does not count.
#
# One would assume that `backlog` of its statistics (pumactl stats, the control server, the exporters for Prometheus and StatsD) is the
# number of requests that wait, as the page about them says (above 0, one needs more capacity).
# A Puma whose threads are all busy accepts no further connection, so that another worker of it may: what waits stays in the kernel's
# queue of the socket (1024 places). Backlog is only what was accepted in the moment before, mostly none; another page, about the
# architecture, says that the two are not the same. pool_capacity is 0 with one request as with a thousand.
# An autoscaler by backlog never adds a copy, or by chance, however long the line. Measure the
# line where it is: at the proxy (maxconn there; the time in queue), by X-Request-Start, or by `ss -lt`; or scale by pool_capacity before
# it is 0. Seen with puma 5.6.5 (Debian 12; lib/puma/thread_pool.rb: wait_until_not_full; server.rb: handle_servers), Ruby 3.1.
# Needs Ruby 3.1 and curl; apt-get fetches Puma for the moment.
set -euo pipefail

command -v ruby >/dev/null || { echo "needs ruby"; exit 77; }
dir=$(mktemp -d)
pid=
trap '{ kill $pid; sleep 1; kill -KILL $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 777 "$dir"
cd "$dir"
apt-get download -q puma ruby-nio4r ruby-rack >log 2>&1 || { tail log; exit 77; }
for package in *.deb; do dpkg -x "$package" .; done
RUBYLIB=$(find "$dir/usr" -path '*gems/*/lib/puma/cli.rb' -o -path '*gems/*/lib/nio.rb' -o -path '*gems/*/lib/rack.rb' |
    sed 's,/lib/.*/lib/,&\n,; s,\(/gems/[^/]*/lib\)/.*,\1,' | paste -sd:)
RUBYLIB+=:$(find "$dir/usr" -path '*extensions/*' -name '*.so' -printf '%h\n' | sed 's,/puma$,,' | paste -sd:)
export RUBYLIB
cat >config.ru <<'RU'
run lambda { |env|
  sleep env["PATH_INFO"][1..-1].to_f
  [200, { "Content-Type" => "text/plain" }, ["done"]]
}
RU
ruby -rpuma/cli -e 'puts "Ruby #{RUBY_VERSION}, puma #{Puma::Const::VERSION}"; STDOUT.flush; Puma::CLI.new(ARGV).run' -- --threads 1:1 \
    --bind "unix://$dir/web" --control-url "unix://$dir/control" --control-token none config.ru >out 2>&1 &
pid=$!
until [ -S control ]; do kill -0 $pid || { cat out; exit 1; }; sleep 0.2; done
head -1 out
for _ in $(seq 20); do curl -s --max-time 20 --unix-socket web http://puma/5 >/dev/null & done
sleep 2
stats=$(curl -sS --unix-socket control 'http://puma/stats?token=none')
line=$(ss -xlH | awk -v socket="$dir/web" '$5 == socket { print $3 }')
echo "20 requests of 5 s for 1 thread: $(grep -o '"backlog":[0-9]*,"running":[0-9]*,"pool_capacity":[0-9]*' <<<"$stats")"
echo "in the queue of its socket: $line"
case $stats in *'"backlog":0,'*) [ "$line" -ge 17 ] ;; *) echo "it counts them now"; exit 1 ;; esac
