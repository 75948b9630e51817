import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads recstream's results from Java, each of them once: one JSON line a result. Java 17 or newer runs it as it is,
 * with the libraries of any Kafka (kafka-clients, jackson-databind):
 *
 * <pre>java -cp 'kafka/libs/*' ReadResults.java 127.0.0.1:9092 recommendation.results</pre>
 *
 * SIGTERM or Ctrl-C ends it; with --until 0:120,1:99 it ends when it has read partition 0 up to offset 120, which is
 * not read any more, and partition 1 up to 99. With --from, written alike, it goes on where an earlier run stood; a
 * partition that is not named is read from its beginning.
 *
 * <p>Three things make each result count once:
 * <ul>
 * <li>isolation.level: recstream writes results in transactions. A reader of committed ones never sees what was taken
 *     back.
 * <li>The positions are ours. What an app does with a result and the offset after it belong into one transaction of
 *     the app's database; on its next start it reads from there. An offset that Kafka keeps apart from that can be
 *     behind.
 * <li>Who reads otherwise may see a result again. It has the same ce_id then, and is to be dropped.
 * </ul>
 */
public final class ReadResults {
    private static final Duration POLL = Duration.ofMillis(200);
    private static final ObjectMapper JSON = new ObjectMapper();

    private final KafkaConsumer<String, byte[]> consumer;
    private final String topic;
    private final Map<Integer, Long> from = new HashMap<>();
    private final Map<Integer, Long> until = new HashMap<>(); // empty: until a signal comes
    private final PrintStream out =
            new PrintStream(new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16), false, StandardCharsets.UTF_8);

    public static void main(String[] args) throws Exception {
        if (args.length < 2 || args.length % 2 != 0) {
            throw new IllegalArgumentException("give BROKERS TOPIC [--from 0:120,1:99] [--until 0:130,1:99]");
        }
        ReadResults reader = new ReadResults(args);
        Thread main = Thread.currentThread();
        // A signal lets the reader finish what it is at. The exit status is 143 after SIGTERM, 130 after Ctrl-C.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            reader.consumer.wakeup();
            try {
                main.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        reader.run();
    }

    private ReadResults(String[] args) {
        topic = args[1];
        for (int i = 2; i < args.length; i += 2) {
            switch (args[i]) {
                case "--from" -> parse(args[i + 1], from);
                case "--until" -> parse(args[i + 1], until);
                default -> throw new IllegalArgumentException("there is no option " + args[i]);
            }
        }
        consumer = new KafkaConsumer<>(Map.of(
                ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, args[0],
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed",
                ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false, // no group is joined
                ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none", // rather stop than jump over what retention has removed
                ConsumerConfig.REQUEST_TIMEOUT_MS_CONFIG, 10_000, // a connection that has gone silent is given up
                ConsumerConfig.ENABLE_METRICS_PUSH_CONFIG, false,
                ConsumerConfig.KEY_DESERIALIZER_CLASS_CONFIG, StringDeserializer.class,
                ConsumerConfig.VALUE_DESERIALIZER_CLASS_CONFIG, ByteArrayDeserializer.class));
    }

    /** Reads "0:120,1:99" into a map from partition to offset. */
    private static void parse(String text, Map<Integer, Long> offsets) {
        for (String pair : text.split(",")) {
            String[] parts = pair.split(":");
            offsets.put(Integer.parseInt(parts[0]), Long.parseLong(parts[1]));
        }
    }

    private void run() throws Exception {
        try (consumer) {
            while (!begin()) {}
            while (behind()) {
                read();
            }
        } catch (WakeupException e) {
            // a signal: that is the end
        } finally {
            out.flush();
        }
    }

    /** Takes the partitions and goes to where each is to be read from. False: no broker told it yet. */
    private boolean begin() {
        try {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(p -> new TopicPartition(topic, p.partition())).toList();
            if (partitions.isEmpty()) {
                throw new IllegalArgumentException("there is no topic " + topic);
            }
            Map<TopicPartition, Long> first = consumer.beginningOffsets(partitions);
            consumer.assign(partitions);
            partitions.forEach(p -> consumer.seek(p, from.getOrDefault(p.partition(), first.get(p))));
            return true;
        } catch (RetriableException e) {
            return warn(e);
        }
    }

    /** Tells whether there is more to read. The position counts, as what comes last may be aborted records. */
    private boolean behind() {
        try {
            return until.isEmpty() || until.entrySet().stream()
                    .anyMatch(end -> consumer.position(new TopicPartition(topic, end.getKey()), POLL) < end.getValue());
        } catch (TimeoutException e) {
            return true; // the client is looking for the partition's new leader
        }
    }

    /** Handles what has come. Errors that go over are told; any other one ends the reader, before it misses something. */
    private void read() throws Exception {
        try {
            for (ConsumerRecord<String, byte[]> record : consumer.poll(POLL)) {
                if (record.offset() < until.getOrDefault(record.partition(), Long.MAX_VALUE)) {
                    handle(record);
                }
            }
            out.flush();
        } catch (RetriableException e) {
            warn(e);
        }
    }

    /** Does with a result what an app does with it. Here: prints what it is. */
    private void handle(ConsumerRecord<String, byte[]> record) throws Exception {
        JsonNode result = JSON.readTree(record.value());
        ObjectNode line = JSON.createObjectNode()
                .put("partition", record.partition())
                .put("offset", record.offset())
                .put("ce_id", new String(record.headers().lastHeader("ce_id").value(), StandardCharsets.UTF_8))
                .put("request_id", result.required("request_id").textValue())
                .put("status", result.required("status").textValue())
                .put("key", record.key())
                .put("sha256", HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(record.value())));
        out.println(JSON.writeValueAsString(line));
    }

    private boolean warn(Exception e) {
        System.err.println("read " + topic + ": " + e);
        return false;
    }
}
