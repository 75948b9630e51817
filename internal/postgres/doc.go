// Package postgres keeps what recstream stores in PostgreSQL: the decisions ledger with its fence, feedback and
// the profiles that come of it, the catalogue and the names of models.
//
// It promises that a batch of decisions, or of feedback with what it changes in profiles, and the fence of its
// Kafka partition are stored together or not at all; that a request id has one live row however often and wherever
// its event arrives; and that a feedback event counts once.
// Errors carry a Transient method: true for what time or an operator mends (a server that is away, a
// deadlock, a missing permission), false for data that Postgres will never take.
package postgres
