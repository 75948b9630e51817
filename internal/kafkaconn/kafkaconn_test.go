package kafkaconn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"recstream/internal/config"
)

// start runs an embedded broker and returns the configuration that reaches it.
func start(t *testing.T, opts ...kfake.Opt) config.Kafka {
	t.Helper()
	cluster, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	k := config.Default().Kafka
	k.Brokers = cluster.ListenAddrs()
	return k
}

func newClient(t *testing.T, k config.Kafka) *kafka.Client {
	t.Helper()
	transport, err := NewTransport(k)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return NewClient(k, transport)
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestEnsureTopics(t *testing.T) {
	k := start(t, kfake.SeedTopics(2, "recommendation.results"))
	client := newClient(t, k)
	created, err := EnsureTopics(within(t), client, k)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(created)
	want := []string{"recommendation.dead-letters", "recommendation.feedback", "recommendation.requests"}
	if !slices.Equal(created, want) {
		t.Errorf("created %v, want %v", created, want)
	}
	found, err := newClient(t, k).Metadata(within(t), &kafka.MetadataRequest{Topics: []string{k.Topics.Requests}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(found.Topics[0].Partitions); n != k.Partitions {
		t.Errorf("created with %d partitions, want %d", n, k.Partitions)
	}
	if again, err := EnsureTopics(within(t), newClient(t, k), k); err != nil || len(again) != 0 {
		t.Errorf("second time: created %v, error %v", again, err)
	}
}

func TestEnsureTopicsNotAllowed(t *testing.T) {
	k := start(t, kfake.SeedTopics(1, "recommendation.requests", "recommendation.results", "recommendation.feedback"))
	k.CreateTopics = false
	_, err := EnsureTopics(within(t), newClient(t, k), k)
	want := "topics missing: recommendation.dead-letters; create them or set kafka.create_topics: true"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEnsureTopicLike(t *testing.T) {
	k := start(t, kfake.SeedTopics(5, "recommendation.results"), kfake.SeedTopics(2, "there"))
	off := k
	off.CreateTopics = false
	many := k
	many.ReplicationFactor = 9 // of one broker
	tests := []struct {
		name, topic, like string
		k                 config.Kafka
		created, has      int
		err               string
	}{
		{"there", "there", k.Topics.Results, k, 0, 2, ""},
		{"not allowed", "trial", k.Topics.Results, off, 0, 0, "topic trial is missing; create it or set kafka.create_topics: true"},
		{"missing", "trial", k.Topics.Results, k, 5, 5, ""},
		{"made before", "trial", k.Topics.Results, off, 0, 5, ""},
		{"like one that is missing", "another", k.Topics.Requests, k, k.Partitions, k.Partitions, ""},
		{"refused", "a-third", k.Topics.Results, many, 0, 0, "create topic a-third: "},
	}
	for _, test := range tests { // in this order
		t.Run(test.name, func(t *testing.T) {
			created, err := EnsureTopicLike(within(t), newClient(t, k), test.k, test.topic, test.like)
			if created != test.created || (err != nil) != (test.err != "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("created with %d partitions, error %v; want %d, %q", created, err, test.created, test.err)
			}
			if test.err != "" {
				return
			}
			if has, err := partitionsOf(within(t), newClient(t, k), k, test.topic); err != nil || has != test.has {
				t.Errorf("it has %d partitions (%v), want %d", has, err, test.has)
			}
		})
	}
}

func TestNoBroker(t *testing.T) {
	k := config.Default().Kafka
	k.Brokers = []string{"127.0.0.1:1"}
	_, err := MissingTopics(within(t), newClient(t, k), k)
	if err == nil || !strings.HasPrefix(err.Error(), "look for topics on 127.0.0.1:1: dial tcp ") {
		t.Errorf("got %v, want an error that names the broker and the cause", err)
	}
}

func TestSASL(t *testing.T) {
	tests := map[string]struct {
		server string
		client config.SASL
		ok     bool
	}{
		"plain":          {"PLAIN", config.SASL{Mechanism: "plain", Username: "ada", Password: "pw"}, true},
		"scram-sha-256":  {"SCRAM-SHA-256", config.SASL{Mechanism: "scram-sha-256", Username: "ada", Password: "pw"}, true},
		"scram-sha-512":  {"SCRAM-SHA-512", config.SASL{Mechanism: "scram-sha-512", Username: "ada", Password: "pw"}, true},
		"wrong password": {"SCRAM-SHA-256", config.SASL{Mechanism: "scram-sha-256", Username: "ada", Password: "no"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := start(t, kfake.EnableSASL(), kfake.Superuser(tt.server, "ada", "pw"))
			k.SASL = tt.client
			if _, err := EnsureTopics(within(t), newClient(t, k), k); (err == nil) != tt.ok {
				t.Errorf("transport: %v", err)
			}
			dialer, err := NewDialer(k)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := dialer.DialContext(within(t), "tcp", k.Brokers[0])
			if (err == nil) != tt.ok {
				t.Errorf("dialer: %v", err)
			}
			if err == nil {
				conn.Close()
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certificate, caFile := certify(t, "kafka.test")
	k := start(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	k.TLS = config.TLS{Enabled: true, CAFile: caFile, ServerName: "kafka.test"}
	if _, err := EnsureTopics(within(t), newClient(t, k), k); err != nil {
		t.Errorf("trusted: %v", err)
	}
	k.TLS.ServerName = "other.test"
	if _, err := MissingTopics(within(t), newClient(t, k), k); err == nil {
		t.Error("a certificate of another name was accepted")
	}
}

func TestBadSettings(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		change func(*config.Kafka)
		want   string
	}{
		"no CA file": {func(k *config.Kafka) { k.TLS = config.TLS{Enabled: true, CAFile: noPEM + "x"} }, "kafka.tls.ca_file: open "},
		"no PEM":     {func(k *config.Kafka) { k.TLS = config.TLS{Enabled: true, CAFile: noPEM} }, "holds no PEM certificate"},
		"mechanism":  {func(k *config.Kafka) { k.SASL.Mechanism = "gssapi" }, `kafka.sasl.mechanism: "gssapi" is not known`},
		"scram input": {func(k *config.Kafka) {
			k.SASL = config.SASL{Mechanism: "scram-sha-256", Username: "a", Password: "\x00pw"}
		}, "kafka.sasl: username or password"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			k := config.Default().Kafka
			tt.change(&k)
			_, err := NewTransport(k)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("transport: got %v, want %q", err, tt.want)
			}
			if _, err := NewDialer(k); err == nil {
				t.Error("dialer: no error")
			}
		})
	}
}

// certify makes a certificate for the name, signed by itself, and the file of its authority.
func certify(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(caFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caFile
}
