#!/usr/bin/env bash
# Mosquitto: of the jobs of a shared subscription a worker that has gone still gets its share, beside workers that are idle.
#
# One would assume that $share/GROUP/TOPIC hands each message to one of the members that are connected, and that messages wait
# for somebody who is away only if nobody is there.
# A member with a session of its own (clean_start off, the form in which no job is lost while it starts anew) stays in the round
# when it is gone: with two workers, one of them stopped, every second job is put aside for the stopped one, until it comes back
# by its name or its session expires. The one that is connected never gets them, and has nothing to do.
# Each container that an autoscaler takes away goes on to take its share of all new jobs, and a new one has another name. What
# is put aside is in no number of the topic. Give workers sessions that end with the connection, or have them unsubscribe. Seen with
# mosquitto 2.0.11 (Debian 12; src/subs.c), paho-mqtt 2.2.0. Needs mosquitto.
set -euo pipefail

dir=$(mktemp -d)
broker=
trap 'kill $broker 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check paho-mqtt==2.2.0
port=${PORT:-28610}
PATH=$PATH:/usr/sbin mosquitto -p "$port" 2>"$dir/log" &
broker=$!
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
sed -n 's/.*: \(mosquitto version .*\) starting/\1/p' "$dir/log"
cat >"$dir/look.py" <<'PY'
import sys, time
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
def connect(name):
    client, session = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5), Properties(PacketTypes.CONNECT)
    session.SessionExpiryInterval = 3600
    client.got, client.ready = [], []
    client.on_message = lambda client, data, message: client.got.append(message.payload)
    client.on_subscribe = lambda *_: client.ready.append(True)
    client.connect("127.0.0.1", int(sys.argv[1]), clean_start=False, properties=session)
    client.loop_start()
    client.subscribe("$share/workers/mail" if "worker" in name else "nothing", qos=1)
    wait_until(lambda: client.ready)
    return client
def wait_until(condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
stays, leaves, producer = (connect(name) for name in ("worker-1", "worker-2", "producer"))
leaves.disconnect()
leaves.loop_stop()
for job in range(20):
    producer.publish("mail", f"job {job}", qos=1).wait_for_publish(60)
wait_until(lambda: len(stays.got) >= 10)
time.sleep(5)
print("20 jobs after worker-2 had gone: worker-1 got", len(stays.got), "of them, and is idle")
back = connect("worker-2")
wait_until(lambda: len(back.got) >= 10)
print("worker-2 is back and got", len(back.got))
for client in (stays, back, producer):
    client.disconnect()
    client.loop_stop()
assert (len(stays.got), len(back.got)) == (10, 10), "it hands them out otherwise now"
PY
"$dir/venv/bin/python" "$dir/look.py" "$port"
