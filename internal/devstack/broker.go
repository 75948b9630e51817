package devstack

import (
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// minSessionTimeout is the shortest group session that the embedded broker allows.
// Tests want members that died noticed soon; Kafka's own limit is 6 s.
const minSessionTimeout = time.Second

// BrokerOptions say how the embedded Kafka is made. The zero value is one broker on a free port.
type BrokerOptions struct {
	// Brokers is how many there are; 0 is one.
	Brokers int
	// Port is the first broker's; the others have the following ones. 0 chooses free ports.
	Port int
	// Topics to be made at once, with their number of partitions.
	Topics map[string]int
	// DataDir keeps the records over Close and StartBroker. Empty keeps everything in memory, which
	// a long run fills.
	DataDir string
	// Extra options of the embedded broker, for tests that need them.
	Extra []kfake.Opt
}

// Broker is an embedded Kafka: groups, transactions and idempotent producers work as in the real
// one. Topics are not made on their own. It is for the demo and for tests.
type Broker struct {
	cluster *kfake.Cluster
	addrs   []string
}

// StartBroker starts an embedded Kafka in this process. Close it to end it.
func StartBroker(opts BrokerOptions) (*Broker, error) {
	settings := []kfake.Opt{
		kfake.NumBrokers(max(opts.Brokers, 1)),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.ListenFn(portSource(opts.Port)),
	}
	for topic, partitions := range opts.Topics {
		settings = append(settings, kfake.SeedTopics(int32(partitions), topic))
	}
	if opts.DataDir != "" {
		settings = append(settings, kfake.DataDir(opts.DataDir))
	}
	cluster, err := kfake.NewCluster(append(settings, opts.Extra...)...)
	if err != nil {
		return nil, fmt.Errorf("start embedded Kafka: %w", err)
	}
	return &Broker{cluster: cluster, addrs: cluster.ListenAddrs()}, nil
}

// portSource returns a listen function that gives out ports from first on, or free ones for 0.
// The broker gets the listener itself, so nobody can take the port in between.
func portSource(first int) func(network, address string) (net.Listener, error) {
	next := first
	return func(string, string) (net.Listener, error) {
		if first == 0 {
			return listen()
		}
		next++
		return listenOn(next - 1)
	}
}

// Addr returns the brokers' addresses, each host:port.
func (b *Broker) Addr() []string { return b.addrs }

// Cluster returns the broker's inner parts, to inject faults.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close ends the broker and its connections. Later calls do nothing.
func (b *Broker) Close() { b.cluster.Close() }
