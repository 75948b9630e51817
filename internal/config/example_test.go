package config_test

import (
	"fmt"

	"recstream/internal/config"
)

func ExampleLoad() {
	cfg, err := config.Load("", []string{"RECSTREAM_KAFKA_BROKERS=kafka-1:9092,kafka-2:9092"})
	fmt.Println(cfg.Kafka.Brokers, err)

	_, err = config.Load("", []string{"RECSTREAM_KAFKA_PARTITION=12"})
	fmt.Println(err)
	// Output:
	// [kafka-1:9092 kafka-2:9092] <nil>
	// configuration: RECSTREAM_KAFKA_PARTITION: no such setting; did you mean RECSTREAM_KAFKA_PARTITIONS?
}
