#!/usr/bin/env bash
# beanstalkd: a tube that is empty and has no worker is not there, and the one that comes next is not paused and counts from 0.
#
# One would assume that a tube which is paused for an hour (pause-tube, for a deploy or an outage behind it) stays so for that hour,
# that its length without jobs is 0, and that total-jobs and cmd-delete, "cumulative" in the protocol, only go up.
# A tube is deleted when it has no job and no client uses or watches it (in the protocol), and all that goes with it. stats-tube is
# then NOT_FOUND, an error; the next job makes a new tube of that name, without the pause: the first worker gets it at once.
# Scaling to zero is what brings this about: the last worker that stops takes the tube, its pause and its counts along. An autoscaler
# that takes an error for "keep what is there" never comes from 0 to 1 or back, one by a rate of cmd-delete sees it fall below zero,
# and a pause holds only while there are workers. Take NOT_FOUND as 0, and let a client that stays (the reader itself) `watch` the tube.
# Seen with beanstalkd 1.12 (Debian 12; tube.c, prot.c). Needs beanstalkd and Python 3.
set -euo pipefail

command -v beanstalkd >/dev/null || { echo "needs beanstalkd"; exit 77; }
dir=$(mktemp -d) port=${PORT:-41300}
trap '{ kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
beanstalkd -l 127.0.0.1 -p "$port" &
pid=$!
cat >"$dir/look.py" <<'PY'
import socket, sys, time
class Client:
    def __init__(self):
        for _ in range(100):
            try:
                self.link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
                break
            except ConnectionRefusedError:
                time.sleep(0.1)
        self.answers = self.link.makefile("rb")
    def ask(self, *lines):
        self.link.sendall("".join(line + "\r\n" for line in lines).encode())
        answer = self.answers.readline().decode().split()
        body = self.answers.read(int(answer[-1]) + 2).decode() if answer[0] in ("OK", "RESERVED") else ""
        return dict(line.split(": ") for line in body.splitlines()[1:] if ": " in line) if answer[0] == "OK" else answer
    def close(self):
        self.answers.close()
        self.link.close()
        time.sleep(1)
reader = Client()
def put(count):
    web = Client()
    web.ask("use mail")
    [web.ask("put 0 0 60 3", "job") for _ in range(count)]
    web.close()
def look():
    seen = reader.ask("stats-tube mail")
    return " ".join(seen) if isinstance(seen, list) else {name: int(seen[name]) for name in ("current-jobs-ready", "total-jobs", "cmd-delete", "pause-time-left")}
def work(jobs):
    worker = Client()
    worker.ask("watch mail")
    got = [worker.ask("reserve-with-timeout 3") for _ in range(jobs)]
    [worker.ask(f"delete {job[1]}") for job in got if job[0] == "RESERVED"]
    before = [job[0] for job in got], look()
    return before, worker.ask("pause-tube mail 3600"), work and worker.close()
put(3)
first = work(3)[:2]
print("a worker, three jobs, and it is paused for an hour:", first)
gone = look()
print("the worker has stopped:", gone)
put(1)
print("one job comes:", now := look())
again = work(1)[0]
print("a worker starts within the hour and gets:", again[0])
assert (first[0][1]["total-jobs"], gone, now["total-jobs"], now["pause-time-left"], again[0]) == (3, "NOT_FOUND", 1, 0, ["RESERVED"]), "it stays now"
PY
beanstalkd -v
python3 "$dir/look.py" "$port"
