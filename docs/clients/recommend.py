"""Ask recstream for recommendations, from Python: publish a request event, wait for its result event.

    pip install confluent-kafka
    python recommend.py --brokers 127.0.0.1:9092 --user ada --mood funny --group couple --session short
"""

import argparse
import json
import sys
import time
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition

args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
args.add_argument("--brokers", default="127.0.0.1:9092")
args.add_argument("--requests", default="recommendation.requests", help="topic of request events")
args.add_argument("--results", default="recommendation.results", help="topic of result events")
args.add_argument("--user", required=True)
args.add_argument("--mood", choices=["funny", "action", "dramatic", "relaxing"])
args.add_argument("--group", choices=["solo", "couple", "group"])
args.add_argument("--session", choices=["short", "medium", "binge"])
args.add_argument("--timeout", type=float, default=30, help="seconds to wait for the result")
args = args.parse_args()

request = {
    "request_id": str(uuid.uuid4()),
    "user_id": args.user,
    "mood": args.mood,  # null is unknown
    "group_size": args.group,
    "session_length": args.session,
    "limit": 3,
}

# Read results from where the topic ends now, so that nothing is missed and nothing old is seen.
consumer = Consumer({
    "bootstrap.servers": args.brokers,
    "group.id": "recommend.py",
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "enable.metrics.push": False,
})
partitions = consumer.list_topics(args.results, timeout=10).topics[args.results].partitions
ends = []
for number in partitions:
    _, end = consumer.get_watermark_offsets(TopicPartition(args.results, number), timeout=10)
    ends.append(TopicPartition(args.results, number, end))
consumer.assign(ends)

# The key keeps one user's events in order. murmur2_random is how Kafka's Java clients choose the partition.
producer = Producer({"bootstrap.servers": args.brokers, "acks": "all", "partitioner": "murmur2_random", "enable.metrics.push": False})
producer.produce(args.requests, key=args.user, value=json.dumps(request), headers={"content-type": "application/json"})
producer.flush(10)

deadline = time.monotonic() + args.timeout
while time.monotonic() < deadline:
    message = consumer.poll(1.0)
    if message is None:
        continue
    if message.error():
        sys.exit(f"read results: {message.error()}")
    result = json.loads(message.value())
    if result["request_id"] == request["request_id"]:
        print(json.dumps(result, indent=2))
        consumer.close()
        sys.exit(0 if result["status"] == "ok" else 1)
sys.exit(f"no result within {args.timeout:g} s; is recstream serving these topics?")
