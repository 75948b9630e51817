package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
)

// ClusterOptions say how an Apache Kafka of several brokers is made. The zero value is three of them.
type ClusterOptions struct {
	// Brokers is 1 or 3; 0 is three. Three replicate everything, with two in sync needed, and go on
	// while one is away.
	Brokers int
	// Dir keeps the brokers' data and logs, and stays at Close. Empty is a temporary one.
	Dir string
	// Profile is ProfileTest if empty.
	Profile KafkaProfile
	// Advertised are the addresses that clients are told to connect to, by broker, such as those of
	// proxies. Where one is missing or empty, it is the broker's own. Brokers talk to each other past
	// them.
	Advertised []string
	// Settings of server.properties, by name, over those that it has.
	Settings map[string]string
	// Log gets what the brokers print, which are their warnings; nil drops it. They write to it at
	// once, so it has to bear that.
	Log io.Writer
}

// Cluster is an Apache Kafka of our own, whose brokers can be killed, paused and started one by one.
type Cluster struct {
	brokers []*Kafka
	temp    string // to be removed at Close, or ""
}

// replicated are the settings of three brokers. Its internal topics have a partition for each, so
// that each coordinates something.
var replicated = map[string]string{
	"default.replication.factor":                       "3",
	"min.insync.replicas":                              "2",
	"offsets.topic.num.partitions":                     "3",
	"offsets.topic.replication.factor":                 "3",
	"transaction.state.log.num.partitions":             "3",
	"transaction.state.log.replication.factor":         "3",
	"transaction.state.log.min.isr":                    "2",
	"share.coordinator.state.topic.replication.factor": "3",
	"share.coordinator.state.topic.min.isr":            "2",
}

// QuickFailover returns settings with which a lost broker is replaced in about a second and comes
// back in two; without them it takes twice that. They are for tests that lose brokers often: where
// the machine is short of time, brokers are taken for lost that live.
func QuickFailover() map[string]string {
	return map[string]string{
		"broker.session.timeout.ms":                 "1000",
		"broker.heartbeat.interval.ms":              "200",
		"controller.quorum.fetch.timeout.ms":        "800",
		"controller.quorum.election.timeout.ms":     "200",
		"controller.quorum.election.backoff.max.ms": "100",
	}
}

// StartCluster starts the brokers and waits until all are in service or ctx ends. Close it to end
// them; ctx does not. The error is ErrNoKafka as of StartKafka.
func StartCluster(ctx context.Context, opts ClusterOptions) (*Cluster, error) {
	script, err := kafkaScript()
	if err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	if err := kafkaInstalled(ctx, script); err != nil {
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	c := &Cluster{}
	if err := c.open(ctx, script, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("start cluster: %w", err), c.Close())
	}
	return c, nil
}

func (c *Cluster) open(ctx context.Context, script string, opts ClusterOptions) (err error) {
	opts.Brokers = cmp.Or(opts.Brokers, 3)
	if opts.Brokers != 1 && opts.Brokers != 3 {
		return fmt.Errorf("%d brokers: give 1 or 3", opts.Brokers)
	}
	if opts.Dir == "" {
		if c.temp, err = os.MkdirTemp("", "recstream-kafka-*"); err != nil {
			return err
		}
		opts.Dir = c.temp
	}
	for i := range opts.Brokers {
		k := newKafka(script, i+1, opts.broker(i))
		c.brokers = append(c.brokers, k)
		if err := k.reserve(); err != nil {
			return err
		}
	}
	quorum := c.quorum()
	return c.each(func(k *Kafka) error {
		k.quorum = quorum
		return k.Start(ctx)
	})
}

// broker returns the options of one broker.
func (o ClusterOptions) broker(i int) KafkaOptions {
	settings := map[string]string{}
	if o.Brokers > 1 {
		maps.Copy(settings, replicated)
	}
	maps.Copy(settings, o.Settings)
	k := KafkaOptions{
		Dir: filepath.Join(o.Dir, "broker-"+strconv.Itoa(i+1)), Profile: o.Profile, Settings: settings, Log: o.Log,
	}
	if i < len(o.Advertised) {
		k.Advertised = o.Advertised[i]
	}
	return k
}

// quorum lists the brokers as each other's controllers.
func (c *Cluster) quorum() string {
	voters := make([]string, len(c.brokers))
	for i, k := range c.brokers {
		voters[i] = k.voter()
	}
	return strings.Join(voters, ",")
}

// each does the same to all brokers at once: one alone is not in service.
func (c *Cluster) each(do func(*Kafka) error) error {
	failed := make([]error, len(c.brokers))
	var wg sync.WaitGroup
	for i, k := range c.brokers {
		wg.Go(func() { failed[i] = do(k) })
	}
	wg.Wait()
	return errors.Join(failed...)
}

// Addrs returns the brokers' own addresses, host:port, past what is advertised.
func (c *Cluster) Addrs() []string {
	addrs := make([]string, len(c.brokers))
	for i, k := range c.brokers {
		addrs[i] = k.Addr()
	}
	return addrs
}

// Broker returns the broker with the id that Kafka's protocol knows it by: 1 to 3.
func (c *Cluster) Broker(id int) *Kafka { return c.brokers[id-1] }

// InSync waits until all brokers say that every partition has all of its replicas in sync, and agree
// on its leader, so that the cluster can do without any one broker, or until ctx ends. All are asked:
// one that was paused says for a moment what was true before.
func (c *Cluster) InSync(ctx context.Context) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		err := c.inSync(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for replicas: %w (last: %w)", ctx.Err(), err)
		}
	}
}

func (c *Cluster) inSync(ctx context.Context) error {
	leaders := map[string]int{}
	for _, addr := range c.Addrs() {
		transport := &kafka.Transport{}
		client := kafka.Client{Addr: kafka.TCP(addr), Transport: transport, Timeout: closeTimeout}
		found, err := client.Metadata(ctx, &kafka.MetadataRequest{})
		transport.CloseIdleConnections()
		if err != nil {
			return fmt.Errorf("ask %s: %w", addr, err)
		}
		if err := sameInSync(found.Topics, leaders); err != nil {
			return fmt.Errorf("%s says: %w", addr, err)
		}
	}
	return nil
}

// sameInSync says what keeps a broker's topics from being in sync, or from having the leaders that
// brokers before it gave, by name and partition. It adds to them those that they have not.
func sameInSync(topics []kafka.Topic, leaders map[string]int) error {
	for _, topic := range topics {
		for _, p := range topic.Partitions {
			name := fmt.Sprintf("%s/%d", topic.Name, p.ID)
			if len(p.Isr) < len(p.Replicas) {
				return fmt.Errorf("%s has %d of %d", name, len(p.Isr), len(p.Replicas))
			}
			if leader, known := leaders[name]; known && leader != p.Leader.ID {
				return fmt.Errorf("%s has leader %d, before it was %d", name, p.Leader.ID, leader)
			}
			leaders[name] = p.Leader.ID
		}
	}
	return nil
}

// Close ends the brokers and removes their directory if that was a temporary one. A directory that
// was given is left clean.
func (c *Cluster) Close() error {
	if c.temp == "" {
		return c.each((*Kafka).Close)
	}
	return errors.Join(c.each((*Kafka).Kill), os.RemoveAll(c.temp))
}
