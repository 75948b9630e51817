package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config is a set of scoring parameters that was put into force.
type Config struct {
	Version     string // their hash, as decisions name it
	Text        string // YAML
	FirstUsedAt time.Time
}

// SaveConfig keeps the text of parameters under their version. Of several texts for one version the first is
// kept: they differ in what does not count, such as comments.
func (db *Database) SaveConfig(ctx context.Context, version, text string) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	_, err := db.pool.Exec(ctx, `INSERT INTO configs (version, text) VALUES ($1, $2) ON CONFLICT DO NOTHING`, version, text)
	return wrap("save configuration", err)
}

// ConfigText returns the text of that version; ok is false where there is none.
func (db *Database) ConfigText(ctx context.Context, version string) (text string, ok bool, err error) {
	list, err := db.configs(ctx, `WHERE version = $1`, version)
	if err != nil || len(list) == 0 {
		return "", false, err
	}
	return list[0].Text, true, nil
}

// Configs returns all parameters that were in force, the latest first.
func (db *Database) Configs(ctx context.Context) ([]Config, error) {
	return db.configs(ctx, `ORDER BY first_used_at DESC, version`)
}

func (db *Database) configs(ctx context.Context, clause string, args ...any) ([]Config, error) {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	rows, _ := db.pool.Query(ctx, `SELECT version, text, first_used_at FROM configs `+clause, args...) // CollectRows has its error
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Config, err error) {
		err = row.Scan(&c.Version, &c.Text, &c.FirstUsedAt)
		c.FirstUsedAt = c.FirstUsedAt.UTC()
		return c, err
	})
	return list, wrap("read configurations", err)
}
