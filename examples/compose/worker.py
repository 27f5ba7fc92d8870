# Takes jobs from a list in Redis, a tenth of a second for each. `worker.py add NUMBER` puts jobs there.
import signal
import socket
import sys
import time


def ask(redis, *words):
    """The answer to a command of Redis: https://redis.io/docs/latest/develop/reference/protocol-spec/"""
    redis.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    redis.flush()
    kind, answer = redis.read(1), redis.readline().strip()
    if not kind or kind == b"-":
        raise SystemExit(f"Redis says: {answer.decode() or 'nothing'}")
    return redis.readline().strip() if kind == b"$" and answer != b"-1" else answer


def work(redis):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))  # it ends when its job is done
    while not stopping:
        job = ask(redis, b"LPOP", b"jobs")
        time.sleep(0.1)  # the work
        if job != b"-1":
            print(f"job {job.decode()} is done", flush=True)


def connect():
    """Redis may start later than this."""
    for _ in range(100):
        try:
            return socket.create_connection(("redis", 6379))
        except OSError:
            time.sleep(0.3)
    raise SystemExit("no Redis answers at redis:6379")


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with connect() as connection, connection.makefile("rwb") as redis:
    if sys.argv[1:2] == ["add"]:
        ask(redis, b"RPUSH", b"jobs", *(b"%d" % n for n in range(int(sys.argv[2]))))
    else:
        work(redis)
