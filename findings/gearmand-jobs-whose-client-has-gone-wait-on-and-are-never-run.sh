#!/usr/bin/env bash
# Gearman: jobs in the foreground whose client has gone count as waiting until a worker comes, and are then dropped unseen.
#
# One would assume that gearmand drops such a job when the client's connection closes, as nobody is left to take its answer, or
# that it is run all the same, as one in the background is; either way a worker gets what `status` counts.
# The job stays in the total of its function for as long as there is no worker. The first that asks gets NO_JOB for all of them,
# and the total is 0 from then on. Hours may lie between, as nothing else takes them out.
# An autoscaler that goes by the total starts as many workers as the clients that gave up (a web server that was restarted, time-outs
# during an outage) would need, and they find nothing; where it goes by age as well, the queue looks older and older. What is
# counted is worth one worker at first; background jobs are not concerned. Seen with gearmand 1.1.20 (Debian 12). Needs gearmand.
set -euo pipefail

dir=$(mktemp -d)
pid=
trap '{ kill $pid; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
port=${PORT:-28640}
PATH=$PATH:/usr/sbin
gearmand --version | sed -n 's,^\(gearmand [^ ]*\).*,\1,p'
gearmand --listen 127.0.0.1 --port "$port" --log-file "$dir/log" &
pid=$!
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
cat >"$dir/look.py" <<'PY'
import socket, struct, sys, time
CAN_DO, SUBMIT_JOB, GRAB_JOB, NO_JOB, JOB_ASSIGN, SUBMIT_JOB_BG = 1, 7, 9, 10, 11, 18
def connect():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
def send(client, kind, *parts):
    data = b"\0".join(parts)
    client.sendall(b"\0REQ" + struct.pack(">II", kind, len(data)) + data)
def answer(client):
    _, kind, length = struct.unpack(">4sII", client.recv(12, socket.MSG_WAITALL))
    client.recv(length, socket.MSG_WAITALL)
    return kind
def totals():
    with connect() as client:
        client.sendall(b"status\n")
        rows = [line.split() for line in iter(client.makefile().readline, ".\n")]
    return {name: int(total) for name, total, *_ in rows}
for name, kind in (("front", SUBMIT_JOB), ("background", SUBMIT_JOB_BG)):
    for job in range(5):
        with connect() as client:
            send(client, kind, name.encode(), b"", b"job")
            answer(client)  # it is in the queue; and the client goes
time.sleep(10)
print("five jobs each, their clients have gone 10 s ago:", before := totals())
worker, got = connect(), {}
for name in ("front", "background"):
    send(worker, CAN_DO, name.encode())
    send(worker, GRAB_JOB)
    got[name] = answer(worker)
print("a worker asks; for front:", "no job" if got["front"] == NO_JOB else got["front"], "- for background: a job")
print("then the totals are", after := totals())
assert before == {"front": 5, "background": 5}, "they are dropped with the client now"
assert got == {"front": NO_JOB, "background": JOB_ASSIGN} and after["front"] == 0, "they are run now"
PY
python3 "$dir/look.py" "$port"
