// Package postgres keeps what recstream stores in PostgreSQL: the decisions ledger with its fence,
// the catalogue and the names of models.
//
// It promises that a batch of decisions and the fence of its Kafka partition are stored together or not
// at all, and that a request id has one live row however often and wherever its event arrives.
// Errors carry a Transient method: true for what time or an operator mends (a server that is away, a
// deadlock, a missing permission), false for data that Postgres will never take.
package postgres
