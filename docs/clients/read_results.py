"""Read recstream's results from Python, each of them once: one JSON line a result.

    pip install confluent-kafka
    python read_results.py 127.0.0.1:9092 recommendation.results

SIGTERM or Ctrl-C ends it; with --until 0:120,1:99 it ends when it has read partition 0 up to offset 120, which is not
read any more, and partition 1 up to 99. With --from, written alike, it goes on where an earlier run stood; a partition
that is not named is read from its beginning.

Three things make each result count once:
- isolation.level: recstream writes results in transactions. A reader of committed ones never sees what was taken back.
- The positions are ours. What an app does with a result and the offset after it belong into one transaction of the
  app's database; on its next start it reads from there. An offset that Kafka keeps apart from that can be behind.
- Who reads otherwise may see a result again. It has the same ce_id then, and is to be dropped.
"""

import argparse
import hashlib
import json
import signal
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition


def offsets(text):
    """Read "0:120,1:99" as {0: 120, 1: 99}."""
    return {int(partition): int(offset) for partition, offset in (pair.split(":") for pair in text.split(","))}


args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
args.add_argument("brokers")
args.add_argument("topic")
args.add_argument("--from", dest="start", type=offsets, default={}, help="partition:offset,… to begin at")
args.add_argument("--until", type=offsets, help="partition:offset,… to end at; without it, a signal ends")
args = args.parse_args()

stopping = False


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)


def warn(error):
    print(f"read {args.topic}: {error}", file=sys.stderr, flush=True)


consumer = Consumer({
    "bootstrap.servers": args.brokers,
    "group.id": "read_results.py",  # must be given, and is not used: no group is joined, no offset committed
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",  # rather stop than jump over what retention has removed
    "check.crcs": True,
    "enable.partition.eof": True,  # tells how far we are where nothing but aborted records is left
    "socket.timeout.ms": 10000,  # a connection that has gone silent is given up
    "reconnect.backoff.max.ms": 1000,
    "enable.metrics.push": False,
    "error_cb": warn,  # brokers that are away: the client goes on trying
})

# These end the reader, as it cannot go on without missing something. The client gets over any other error by itself.
FINAL = {
    KafkaError._AUTO_OFFSET_RESET,  # what we were to read next is not there any more
    KafkaError._LOG_TRUNCATION,  # Kafka has lost what we have read
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}


def partitions():
    """Return the topic's partitions, as soon as a broker tells them; None when we are to stop."""
    while not stopping:
        try:
            topic = consumer.list_topics(args.topic, timeout=5).topics[args.topic]
        except KafkaException as e:
            warn(e)
            continue
        if topic.error and topic.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            sys.exit(f"read {args.topic}: there is no such topic")
        if topic.partitions:
            return sorted(topic.partitions)
    return None


def handle(message):
    """Do with a result what an app does with it. Here: print what it is."""
    value = message.value()
    result = json.loads(value)
    headers = dict(message.headers() or [])
    print(json.dumps({
        "partition": message.partition(),
        "offset": message.offset(),
        "ce_id": headers["ce_id"].decode(),
        "request_id": result["request_id"],
        "status": result["status"],
        "key": message.key().decode(),
        "sha256": hashlib.sha256(value).hexdigest(),
    }))


def behind(position):
    """Tell whether there is more to read."""
    return args.until is None or any(position.get(p, 0) < end for p, end in args.until.items())


def read():
    numbers = partitions()
    if numbers is None:
        return
    consumer.assign([TopicPartition(args.topic, p, args.start.get(p, OFFSET_BEGINNING)) for p in numbers])
    position = dict(args.start)  # by partition, the offset after the last record that was handled
    while behind(position) and not stopping:
        message = consumer.poll(0)
        if message is None:
            sys.stdout.flush()  # there is time now
            message = consumer.poll(0.2)
        if message is None:
            continue
        p, offset, error = message.partition(), message.offset(), message.error()
        if error is None:
            if position.get(p, 0) <= offset < (args.until or {}).get(p, offset + 1):
                handle(message)
            position[p] = max(position.get(p, 0), offset + 1)
        elif error.code() == KafkaError._PARTITION_EOF:
            position[p] = max(position.get(p, 0), offset)
        elif error.fatal() or error.code() in FINAL:
            raise KafkaException(error)
        else:
            warn(error)


try:
    read()
except KafkaException as e:
    sys.exit(f"read {args.topic}: {e}")
finally:
    sys.stdout.flush()
    consumer.close()
