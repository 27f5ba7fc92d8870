#!/usr/bin/env bash
# Kafka, share groups: each worker that is stopped uses up one of the five deliveries of all the jobs it had fetched, begun or not.
#
# One would assume that the limit of deliveries counts tries: that a job is given up when five workers have failed with it, and that
# the jobs behind it, which only lay in the buffer of a consumer that was closed in good order, are as good as new.
# What counts is each time a record is acquired, and a poll acquires up to 500. When five workers have been stopped in the job at the
# head of the queue, all that each of them had fetched has five deliveries behind it, or four: what comes next is begun for the first
# time by its last delivery. If that worker is stopped too, the job is ARCHIVED: done, as far as the group goes, and there is no queue
# for the dead. (From its fourth delivery on the broker hands them out in smaller batches, in the end one by one; that is all the help.)
# An autoscaler stops workers again and again while a backlog lasts. Fetch no more than one runs (share.acquire.mode=record_limit and
# max.poll.records=1: then each job has its five), let a worker end its job at SIGTERM, or raise group.share.delivery.count.limit.
# Seen with Kafka 4.2.0, broker (SharePartition) and client, from Maven. Needs Java 17 and Maven.
set -euo pipefail
dir=$(mktemp -d) port=${PORT:-39192}
trap '{ kill "$pid"; wait; } 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
need() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
echo "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>
$(need org.apache.kafka kafka_2.13 4.2.0) $(need org.slf4j slf4j-nop 1.7.36)</dependencies></project>" >pom.xml
mvn -q -B -Dmaven.repo.local="$dir/m2" dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >log 2>&1 || { cat log; exit 1; }
printf '%s\n' process.roles=broker,controller node.id=1 controller.quorum.voters=1@127.0.0.1:$((port + 1)) log.dirs="$dir/data" \
    listeners=PLAINTEXT://127.0.0.1:"$port",CONTROLLER://127.0.0.1:$((port + 1)) controller.listener.names=CONTROLLER \
    {offsets.topic,transaction.state.log,share.coordinator.state.topic}.{replication.factor,num.partitions}=1 \
    {transaction.state.log,share.coordinator.state.topic}.min.isr=1 >conf
java -cp 'lib/*' kafka.tools.StorageTool format -t MkU3OEVBNTcwNTJENDM2Qg -c conf >log
java -Xmx400m -cp 'lib/*' kafka.Kafka conf >log 2>&1 &
pid=$!
cat >Look.java <<'JAVA'
import java.time.Duration; import java.util.*;
import org.apache.kafka.clients.admin.*; import org.apache.kafka.clients.consumer.*; import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.*;
class Look {
    public static void main(String[] args) throws Exception {
        var at = Map.<String, Object>of("bootstrap.servers", args[0]);
        var admin = Admin.create(at);
        admin.createTopics(List.of(new NewTopic("mail", 1, (short) 1))).all().get();
        var earliest = new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, "workers"), List.of(earliest))).all().get();
        try (var producer = new KafkaProducer<>(at, new StringSerializer(), new StringSerializer())) {
            for (int job = 0; job < 20; job++) producer.send(new ProducerRecord<>("mail", "" + job)).get();
        }
        var seen = new ArrayList<String>();
        for (int stopped = 0; stopped < 9; stopped++) { // in its first job: what the worker has is released
            var worker = new KafkaShareConsumer<>(Map.of("bootstrap.servers", args[0], "group.id", "workers",
                "share.acknowledgement.mode", "explicit"), new StringDeserializer(), new StringDeserializer());
            worker.subscribe(List.of("mail"));
            var got = new ArrayList<ConsumerRecord<String, String>>();
            for (int wait = 0; wait < 60 && got.isEmpty(); wait++) worker.poll(Duration.ofSeconds(1)).forEach(got::add);
            seen.add("job %s, delivery %d, of %d fetched".formatted(got.get(0).value(), got.get(0).deliveryCount().get(), got.size()));
            worker.close();
        }
        seen.forEach(one -> System.out.println("a worker is stopped in " + one));
        if (!seen.get(6).startsWith("job 2, delivery 5,") || !seen.get(8).startsWith("job 4, delivery 5,")) throw new Exception("it is otherwise now");
        System.exit(0);
    }
}
JAVA
echo 'Kafka 4.2.0'
java -cp 'lib/*' Look.java "127.0.0.1:$port"
