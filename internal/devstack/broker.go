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
	// Advertised are the addresses that clients are told to connect to, by broker, such as those of
	// proxies. Where one is missing or empty, it is the broker's own.
	Advertised []string
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
	b := &Broker{}
	settings := []kfake.Opt{
		kfake.NumBrokers(max(opts.Brokers, 1)),
		kfake.GroupMinSessionTimeout(minSessionTimeout),
		kfake.ListenFn(b.listener(opts)),
	}
	for topic, partitions := range opts.Topics {
		settings = append(settings, kfake.SeedTopics(int32(partitions), topic))
	}
	if opts.DataDir != "" {
		settings = append(settings, kfake.DataDir(opts.DataDir))
	}
	var err error
	if b.cluster, err = kfake.NewCluster(append(settings, opts.Extra...)...); err != nil {
		return nil, fmt.Errorf("start embedded Kafka: %w", err)
	}
	return b, nil
}

// listener returns a function that gives out ports from the first one on, or free ones, and notes
// which. The broker gets the listener itself, so nobody can take the port in between.
func (b *Broker) listener(opts BrokerOptions) func(network, address string) (net.Listener, error) {
	return func(string, string) (l net.Listener, err error) {
		i := len(b.addrs)
		if opts.Port == 0 {
			l, err = listen()
		} else {
			l, err = listenOn(opts.Port + i)
		}
		if err != nil {
			return nil, err
		}
		b.addrs = append(b.addrs, l.Addr().String())
		if i < len(opts.Advertised) && opts.Advertised[i] != "" {
			return advertised{l, address(opts.Advertised[i])}, nil
		}
		return l, nil
	}
}

// advertised is a listener that says that it has another address, which the broker tells clients.
type advertised struct {
	net.Listener
	addr address
}

func (a advertised) Addr() net.Addr { return a.addr }

type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// Addr returns the brokers' own addresses, each host:port, past what is advertised.
func (b *Broker) Addr() []string { return b.addrs }

// Cluster returns the broker's inner parts, to inject faults.
func (b *Broker) Cluster() *kfake.Cluster { return b.cluster }

// Close ends the broker and its connections. Later calls do nothing.
func (b *Broker) Close() { b.cluster.Close() }
