// Package postgres keeps what recstream stores in PostgreSQL: the decisions ledger with its fence, feedback with the
// profiles and the popularity that come of it, the catalogue and its editorial lists, the names of models, the
// scoring parameters that were in force and when tiers were not trusted.
//
// It promises that a batch of decisions, or of feedback with what it changes in profiles and popularity, and the
// fence of its Kafka partition are stored together or not at all; that a decision is read as it was stored, in
// every field; that a request id has one live row however often and wherever its event arrives; and that a feedback
// event counts once. Versions of the catalogue and of profiles that decisions name can be read again, equal in every
// field, as long as the ledger is kept.
// Errors carry a Transient method: true for what time or an operator mends (a server that is away, a
// deadlock, a missing permission), false for data that Postgres will never take.
package postgres
