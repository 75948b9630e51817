package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"recstream/internal/devstack"
	"recstream/internal/postgres"
)

// demoDatabase is a Postgres server of the demo's own, or a database of its own on another's.
type demoDatabase struct {
	url   string
	close func() error
}

func startDemoDatabase(ctx context.Context, other string) (*demoDatabase, error) {
	if other != "" {
		return createDemoDatabase(ctx, other)
	}
	server, err := devstack.StartPostgres(ctx, devstack.PostgresOptions{})
	if err != nil {
		return nil, err
	}
	name, err := server.CreateDatabase(ctx)
	if err != nil {
		return nil, errors.Join(err, server.Close())
	}
	return &demoDatabase{url: name, close: server.Close}, nil
}

// createDemoDatabase makes a database on a server that is there already, to be dropped at the end.
func createDemoDatabase(ctx context.Context, server string) (*demoDatabase, error) {
	own, err := url.Parse(server)
	if err != nil || own.Host == "" {
		return nil, usagef("--database-url must be a URL such as postgres://user@host:5432/postgres")
	}
	name := fmt.Sprintf("recstream_demo_%d", time.Now().UnixNano())
	own.Path = "/" + name
	db, err := postgres.Open(ctx, postgres.Options{URL: server, MaxConnections: 1})
	if err != nil {
		return nil, err
	}
	if _, err := db.Pool().Exec(ctx, "CREATE DATABASE "+name); err != nil {
		db.Close()
		return nil, fmt.Errorf("create the demo's database: %w", err)
	}
	return &demoDatabase{url: own.String(), close: func() error {
		defer db.Close()
		_, err := db.Pool().Exec(context.WithoutCancel(ctx), "DROP DATABASE "+name+" WITH (FORCE)")
		return err
	}}, nil
}
