package schemas

import "embed"

// Migrations holds the database's schema as goose migrations, in the folder "migrations".
//
//go:embed migrations/*.sql
var Migrations embed.FS
