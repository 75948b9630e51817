// Package kafkaconn turns the Kafka section of the configuration into connections: transports,
// dialers and clients of kafka-go with TLS and SASL set up, and the topics that they need.
//
// It owns no connection. A Transport is shared by all clients and writers of a process, and whoever
// made it closes it with CloseIdleConnections.
package kafkaconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"recstream/internal/config"
)

const (
	clientID = "recstream"
	// dialTimeout covers TCP, TLS and SASL.
	dialTimeout = 5 * time.Second
	// metadataTTL bounds how long a moved leader goes unnoticed; the library's default is 6 s.
	metadataTTL = 500 * time.Millisecond
	// requestTimeout ends a request to a broker that took it and fell silent.
	requestTimeout = 10 * time.Second
)

// NewTransport returns a transport for kafka.Client and kafka.Writer.
// Nothing is connected yet: an error is about the CA file or the SASL settings.
func NewTransport(k config.Kafka) (*kafka.Transport, error) {
	secured, mechanism, err := security(k)
	if err != nil {
		return nil, err
	}
	return &kafka.Transport{
		ClientID:    clientID,
		DialTimeout: dialTimeout,
		MetadataTTL: metadataTTL,
		TLS:         secured,
		SASL:        mechanism,
	}, nil
}

// NewDialer returns a dialer for kafka.Reader and kafka.ConsumerGroup, with the errors of NewTransport.
func NewDialer(k config.Kafka) (*kafka.Dialer, error) {
	secured, mechanism, err := security(k)
	if err != nil {
		return nil, err
	}
	return &kafka.Dialer{
		ClientID:      clientID,
		Timeout:       dialTimeout,
		DualStack:     true,
		TLS:           secured,
		SASLMechanism: mechanism,
	}, nil
}

// NewClient returns a client on the transport, for the configured brokers.
func NewClient(k config.Kafka, transport *kafka.Transport) *kafka.Client {
	return &kafka.Client{Addr: kafka.TCP(k.Brokers...), Timeout: requestTimeout, Transport: transport}
}

func security(k config.Kafka) (*tls.Config, sasl.Mechanism, error) {
	secured, err := tlsConfig(k.TLS)
	if err != nil {
		return nil, nil, err
	}
	mechanism, err := saslMechanism(k.SASL)
	return secured, mechanism, err
}

// tlsConfig returns nil where TLS is off.
func tlsConfig(t config.TLS) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	secured := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile == "" {
		return secured, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("kafka.tls.ca_file: %w", err)
	}
	secured.RootCAs = x509.NewCertPool()
	if !secured.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("kafka.tls.ca_file: %s holds no PEM certificate", t.CAFile)
	}
	return secured, nil
}

// saslMechanism returns nil where SASL is off.
func saslMechanism(s config.SASL) (sasl.Mechanism, error) {
	switch s.Mechanism {
	case "":
		return nil, nil
	case config.MechanismPlain:
		return plain.Mechanism{Username: s.Username, Password: s.Password.Reveal()}, nil
	case config.MechanismScramSHA256:
		return scramMechanism(scram.SHA256, s)
	case config.MechanismScramSHA512:
		return scramMechanism(scram.SHA512, s)
	default:
		return nil, fmt.Errorf("kafka.sasl.mechanism: %q is not known", s.Mechanism)
	}
}

// scramMechanism fails on names and passwords that SCRAM cannot normalise; its error may repeat
// them, so it is not passed on.
func scramMechanism(algorithm scram.Algorithm, s config.SASL) (sasl.Mechanism, error) {
	mechanism, err := scram.Mechanism(algorithm, s.Username, s.Password.Reveal())
	if err != nil {
		return nil, fmt.Errorf("kafka.sasl: username or password has characters that %s does not allow", s.Mechanism)
	}
	return mechanism, nil
}
