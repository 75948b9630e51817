//go:build !faults

package plant

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/segmentio/kafka-go"

	"recstream/consumer"
)

// Transport returns the transport as it is.
func Transport(t kafka.RoundTripper) kafka.RoundTripper { return t }

// Pool leaves the pool's configuration as it is.
func Pool(*pgxpool.Config) {}

// Service returns the configuration of a service as it is.
func Service(cfg consumer.Config) consumer.Config { return cfg }
