#!/usr/bin/env bash
# ActiveMQ Artemis: each worker that is killed uses up one delivery of every job it had fetched, begun or not, up to the whole backlog.
#
# One would assume that max-delivery-attempts (10) counts tries: that a job is sent to the dead letters when ten workers have died of it,
# and that the jobs behind it, which only lay in the buffer of a consumer, are as good as new.
# What counts is that a message was sent to a consumer, and that is up to a mebibyte of them (consumerWindowSize): with small messages
# the whole queue. When a connection is closed in good order the count of those not begun is taken back: ten such stops cost the job at
# the head. Ten kills there cost all that stands behind it too: it goes to the dead letter address, or away for good if there is none.
# An autoscaler that stops workers with a grace that is too short, or whose host takes them by SIGKILL, gets there in one night with a
# backlog, and it looks like work done: the queue is empty. Until then MessageCount has those in delivery in it. Let workers close
# their connection at SIGTERM, give them time, and set consumerWindowSize=0 for jobs that are long.
# Seen with Artemis 2.42.0 (ServerConsumerImpl), broker and client from Maven. Needs Java 17 and Maven.
set -euo pipefail
dir=$(mktemp -d) port=${PORT:-39616}
trap 'rm -rf "$dir"' EXIT
cd "$dir"
need() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version></dependency>"; }
echo "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>$(
    for part in server jakarta-client; do need org.apache.activemq "artemis-$part" 2.42.0; done; need org.slf4j slf4j-nop 2.0.17)</dependencies></project>" >pom.xml
mvn -q -B -Dmaven.repo.local="$dir/m2" dependency:copy-dependencies -DoutputDirectory=lib -DincludeScope=runtime >log 2>&1 || { cat log; exit 1; }
cat >Worker.java <<'JAVA'
class Worker {
    public static void main(String[] args) throws Exception {
        var connection = new org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory(args[0]).createConnection();
        connection.start(); var session = connection.createSession(jakarta.jms.Session.CLIENT_ACKNOWLEDGE);
        var job = session.createConsumer(session.createQueue("mail")).receive(60_000);
        System.out.println(job.getBody(String.class) + ", delivery " + job.getIntProperty("JMSXDeliveryCount"));
        if (System.in.read() < 0) connection.close(); // it is at work, until it is told to stop
    }
}
JAVA
cat >Look.java <<'JAVA'
import java.util.*; import org.apache.activemq.artemis.api.core.*; import org.apache.activemq.artemis.core.config.impl.ConfigurationImpl;
import org.apache.activemq.artemis.core.server.impl.ActiveMQServerImpl; import org.apache.activemq.artemis.core.settings.impl.AddressSettings;
class Look {
    public static void main(String[] args) throws Exception {
        var server = new ActiveMQServerImpl(new ConfigurationImpl().setPersistenceEnabled(false).setSecurityEnabled(false)
            .addAcceptorConfiguration("tcp", args[0]).addAddressSetting("#", new AddressSettings().setDeadLetterAddress(SimpleString.of("dead")))
            .addQueueConfiguration(QueueConfiguration.of("dead").setRoutingType(RoutingType.ANYCAST)));
        server.start();
        try (var web = new org.apache.activemq.artemis.jms.client.ActiveMQConnectionFactory(args[0]).createContext()) {
            for (int job = 0; job < 20; job++) web.createProducer().send(web.createQueue("mail"), "job " + job); }
        var mail = server.locateQueue("mail"); var dead = server.locateQueue("dead"); var seen = new ArrayList<String>();
        for (var how : List.of("stopped in good order", "killed")) for (int worker = 1; worker <= 10; worker++) {
            var process = new ProcessBuilder("java", "-Xmx64m", "-cp", "lib/*", "Worker.java", args[0]).start();
            var job = new Scanner(process.getInputStream()).nextLine();
            for (int wait = 0; wait < 150 && mail.getDeliveringCount() < mail.getMessageCount(); wait++) Thread.sleep(200);
            if (how.equals("killed")) process.destroyForcibly(); else process.getOutputStream().close();
            process.waitFor();
            for (int wait = 0; wait < 150 && mail.getDeliveringCount() > 0; wait++) Thread.sleep(200);
            seen.add("%d workers %s, the last in %s: waiting %d, dead %d".formatted(worker, how, job, mail.getMessageCount(), dead.getMessageCount()));
        }
        for (int look : new int[] {9, 18, 19}) System.out.println(seen.get(look));
        if (!seen.get(9).endsWith("delivery 10: waiting 19, dead 1") || !seen.get(19).endsWith("waiting 0, dead 20")) throw new Exception("it is otherwise now");
        System.exit(0);
    }
}
JAVA
echo 'Artemis 2.42.0'
java -Xmx256m -cp 'lib/*' Look.java "tcp://127.0.0.1:$port"
