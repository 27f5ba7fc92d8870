#!/usr/bin/env bash
# Kafka: a group that has been at zero workers for a week has no lag any more, and its next worker begins behind the backlog.
#
# One would assume that what a group has committed stays, so that jobs which come while no worker runs wait for the next one, however
# long it takes: the topic keeps them (retention.ms = -1 here), and that is what a lag is for.
# The offsets of a group are deleted a week (offsets.retention.minutes of the broker; documented there) after its last member has gone.
# From then on it has no lag, not even a large one, and a worker that starts takes the default of clients for a group without offsets,
# auto.offset.reset=latest: what has waited is never run.
# An autoscaler to zero is what makes groups empty. After a pause over the holidays, or with a threshold above what trickles in, it
# reads nothing, starts nothing, and the first worker by hand skips all of it. Set offsets.retention.minutes to more than a pause can
# last, or auto.offset.reset=earliest, and read "no offset" as a backlog. Here the week is made a minute.
# Seen with Kafka 4.2.0 from Maven, confluent-kafka 2.16.1. Needs Java 17, Maven, Python 3.
set -euo pipefail
dir=$(mktemp -d) port=${PORT:-39192}
trap '{ kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
need() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
echo "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>$(
    need org.apache.kafka kafka_2.13 4.2.0; need org.slf4j slf4j-nop 1.7.36)</dependencies></project>" >pom.xml
mvn -q -B -Dmaven.repo.local="$dir/m2" dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >log 2>&1 || { cat log; exit 1; }
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check confluent-kafka==2.16.1
printf '%s\n' process.roles=broker,controller node.id=1 controller.quorum.voters=1@127.0.0.1:$((port + 1)) log.dirs="$dir/data" \
    listeners=PLAINTEXT://127.0.0.1:"$port",CONTROLLER://127.0.0.1:$((port + 1)) controller.listener.names=CONTROLLER \
    {offsets.topic,transaction.state.log}.{replication.factor,num.partitions}=1 transaction.state.log.min.isr=1 \
    offsets.retention.minutes=1 offsets.retention.check.interval.ms=2000 >conf
java -cp 'lib/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c conf >log
java -Xmx400m -cp 'lib/*' kafka.Kafka conf >log 2>&1 & pid=$!
cat >look.py <<'PY'
import sys, time
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
at = {"bootstrap.servers": sys.argv[1], "log_level": 2}
admin, looker, producer = AdminClient(at), Consumer(at | {"group.id": "looker"}), Producer(at)
admin.create_topics([NewTopic("mail", 1, 1, config={"retention.ms": "-1"})])["mail"].result(60)
def lag():
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions("workers")])["workers"].result().topic_partitions
    return looker.get_watermark_offsets(TopicPartition("mail", 0))[1] - offsets[0].offset if offsets and offsets[0].offset >= 0 else None
def send(*jobs):
    producer.produce_batch("mail", [{"value": job.encode()} for job in jobs])
    producer.flush()
def work(*jobs):
    worker, got = Consumer(at | {"group.id": "workers"}), []
    take = lambda: got.extend(message.value().decode() for message in worker.consume(10, 1) if not message.error())
    worker.subscribe(["mail"])
    while not worker.assignment() or time.sleep(10):
        take()
    send(*jobs)
    while jobs[-1] not in got:
        take()
    worker.close()
    return got
seen = [work("one", "two"), lag(), send("three", "four", "five"), lag()]
any(time.sleep(1) for _ in range(300) if lag() is not None)
seen += [lag(), work("six")]
print("a worker did", *seen[0], "- lag", seen[1], "- then none, and three more came: lag", seen[3])
print("a minute later: lag", seen[4], "- and a worker that is started did, as one more came,", *seen[5])
assert seen == [["one", "two"], 0, None, 3, None, ["six"]], "it is kept now"
PY
echo 'Kafka 4.2.0:' && venv/bin/python look.py "127.0.0.1:$port"
