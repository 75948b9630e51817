-- +goose Up

-- Roles belong to the whole server: the role may be there, made by another database or by an administrator,
-- and the migrating user may not be allowed to make one. Then an administrator makes it and runs the grants.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        CREATE ROLE analyst NOLOGIN;
    END IF;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE WARNING 'role analyst not made: this user may not create roles';
    WHEN duplicate_object OR unique_violation THEN
        NULL; -- another database's migration was quicker
END
$$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO analyst', current_schema());
        GRANT SELECT ON decisions, recommendations, models, items, catalog_version, stream_offsets TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;

-- A block of its own: who may grant may not always comment, and the grants must stay.
DO $$
BEGIN
    COMMENT ON ROLE analyst IS 'Reads recstream''s tables, changes nothing. GRANT analyst TO somebody.';
EXCEPTION
    WHEN insufficient_privilege OR undefined_object OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst has no comment: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        REVOKE ALL ON decisions, recommendations, models, items, catalog_version, stream_offsets FROM analyst;
        EXECUTE format('REVOKE USAGE ON SCHEMA %I FROM analyst', current_schema());
    END IF;
END
$$;
-- +goose StatementEnd
