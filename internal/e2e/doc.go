// Package e2e holds the end-to-end tests: the recstream program as its users run it, as processes of its own,
// between a Kafka and a Postgres that are real.
//
// Each test runs on Apache Kafka and, for speed, on the embedded broker; -short leaves the first out.
package e2e
