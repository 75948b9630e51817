package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes that the ledger answers by itself.
const (
	uniqueViolation  = "23505"
	checkViolation   = "23514"
	undefinedTable   = "42P01"
	lockNotAvailable = "55P03"
	deadlockDetected = "40P01"
)

var (
	// ErrFenced says that the fence does not stand where the caller believed: another instance has stored
	// events of this partition meanwhile. Nothing was stored.
	ErrFenced = errors.New("fenced: another instance has moved this partition on")

	// ErrConflict says that a request id of the batch was stored by another transaction meanwhile.
	// Nothing was stored; look the ids up again.
	ErrConflict = errors.New("a request of the batch has just been answered elsewhere")
)

// Error is an operation on the database that went wrong.
type Error struct {
	Op  string // what was being done, such as "record decisions"
	Err error
}

// Error describes the operation and its cause, with the SQLSTATE where there is one.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refusedError is an event that cannot be stored, whatever the database is like: its feedback would make a profile
// useless, or its explanation cannot be written.
type refusedError struct{ fault string }

func (e *refusedError) Error() string { return e.fault }

// Transient reports whether the operation may succeed later as it is. Only a value that no text or number
// column takes never will, and an event that is refused here. Everything else is mended by time or by an
// operator, and waiting loses nothing: a column that a later version has added would otherwise make bad data of
// every event.
func (e *Error) Transient() bool {
	if refused := (*refusedError)(nil); errors.As(e.Err, &refused) {
		return false
	}
	var pgErr *pgconn.PgError
	return !errors.As(e.Err, &pgErr) || !refusedValues[pgErr.Code]
}

// refusedValues are the SQLSTATE codes that a value itself causes, whatever the table is like.
var refusedValues = map[string]bool{
	"22003": true, // numeric value out of range
	"22008": true, // datetime field overflow
	"22021": true, // character not in repertoire, such as U+0000
	"22P05": true, // untranslatable character
}

// wrap returns err as an *Error of the operation, nil for nil.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Err: err}
}

func wrapf(err error, format string, args ...any) error {
	return wrap(fmt.Sprintf(format, args...), err)
}

// isMissingPartition says that the table has no partition for a row. Postgres gives that the code of a check
// violation, but no constraint's name.
func isMissingPartition(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == checkViolation && pgErr.ConstraintName == ""
}

func hasCode(err error, code string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code
}
