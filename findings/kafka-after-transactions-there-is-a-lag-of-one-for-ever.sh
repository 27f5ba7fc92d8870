#!/usr/bin/env bash
# Kafka: a topic that is written to in transactions has a lag of one for each partition for ever, once all is done.
#
# One would assume that the lag of a group, the end of each partition less the offset the group has committed, is the number of records
# that wait, and so 0 when a worker has done and acknowledged the last.
# The end of a transaction takes an offset of its own in each partition it wrote to, which no consumer ever gets. A worker that commits
# what it has done (the offset after that record: commit(message=...), as most frameworks for jobs do) stays one behind it. One that
# commits where it stands (enable.auto.commit, or commit() without arguments) steps over it, if it polls once more before it stops.
# An autoscaler by lag keeps a worker for ever for a topic of 12 partitions with a "lag" of 12, and one that goes to zero at a lag of 0
# never gets there (KEDA's issue 5675); while they wait, transactions of one record count twice. Give a threshold above the number of
# partitions, or let workers commit where they stand.
# Seen with Kafka 4.2.0 from Maven, confluent-kafka 2.16.1. Needs Java 17, Maven, Python 3.
set -euo pipefail

dir=$(mktemp -d) port=${PORT:-39192}
trap '{ kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
need() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
echo "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>
$(need org.apache.kafka kafka_2.13 4.2.0) $(need org.slf4j slf4j-nop 1.7.36)</dependencies></project>" >pom.xml
mvn -q -B -Dmaven.repo.local="$dir/m2" dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >log 2>&1 || { cat log; exit 1; }
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check confluent-kafka==2.16.1
printf '%s\n' process.roles=broker,controller node.id=1 controller.quorum.voters=1@127.0.0.1:$((port + 1)) log.dirs="$dir/data" \
    listeners=PLAINTEXT://127.0.0.1:"$port",CONTROLLER://127.0.0.1:$((port + 1)) controller.listener.names=CONTROLLER \
    {offsets.topic,transaction.state.log}.{replication.factor,num.partitions}=1 transaction.state.log.min.isr=1 >conf
java -cp 'lib/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c conf >log
java -Xmx400m -cp 'lib/*' kafka.Kafka conf >log 2>&1 &
pid=$!
cat >look.py <<'PY'
import sys
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
at = {"bootstrap.servers": sys.argv[1], "log_level": 2}
admin, looker, producer = AdminClient(at), Consumer(at | {"group.id": "looker"}), Producer(at | {"transactional.id": "web"})
admin.create_topics([NewTopic("mail", 4, 1)])["mail"].result(60)
producer.init_transactions(60)
for partition in range(4):
    producer.begin_transaction()
    producer.produce("mail", b"job", partition=partition)
    producer.commit_transaction()
def lag(group):
    partitions = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result().topic_partitions
    return sum(looker.get_watermark_offsets(TopicPartition("mail", one.partition))[1] - one.offset for one in partitions)
seen = {}
for group, own in {"each job": True, "where it stands": False}.items():
    worker, done, empty = Consumer(at | {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": not own}), 0, 0
    worker.subscribe(["mail"])
    while done < 4 or empty < 5:
        message = next((one for one in worker.consume(1, 1) if not one.error()), None)
        done, empty = done + bool(message), empty + (done == 4 and not message)
        if message and own:
            worker.commit(message=message, asynchronous=False)
    worker.close()
    seen[group] = done, lag(group)
    print(f"a worker that commits {group} has done {done} of 4 jobs in 4 partitions: the lag is {seen[group][1]}")
assert seen == {"each job": (4, 4), "where it stands": (4, 0)}, "it is otherwise now"
PY
echo 'Kafka 4.2.0'
venv/bin/python look.py "127.0.0.1:$port"
