-- +goose Up

CREATE TABLE items (
    id           text PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 128),
    title        text             NOT NULL CHECK (octet_length(title) <= 1000),
    genres       text[]           NOT NULL DEFAULT '{}' CHECK (array_position(genres, NULL) IS NULL),
    duration_min double precision CHECK (duration_min >= 0),
    year         integer,
    popularity   double precision CHECK (popularity >= 0),
    added_at     timestamptz      NOT NULL DEFAULT now() CHECK (isfinite(added_at)),
    expires_at   timestamptz      CHECK (isfinite(expires_at)),
    hidden       boolean          NOT NULL DEFAULT false,
    suitability  text[]           NOT NULL DEFAULT '{}'
                 CHECK (suitability <@ ARRAY['solo', 'couple', 'group']),
    franchise    text
);
COMMENT ON TABLE  items              IS 'The catalogue: what can be recommended. Changes are picked up by running instances within seconds.';
COMMENT ON COLUMN items.id           IS 'Id of the item, as requests and results name it.';
COMMENT ON COLUMN items.title        IS 'Title for people.';
COMMENT ON COLUMN items.genres       IS 'Genre names, case-exact, such as {Comedy,"Science Fiction"}.';
COMMENT ON COLUMN items.duration_min IS 'Duration in minutes; null is unknown.';
COMMENT ON COLUMN items.year         IS 'Year of release; null is unknown.';
COMMENT ON COLUMN items.popularity   IS 'Popularity on any scale, larger is more popular; null is unknown.';
COMMENT ON COLUMN items.added_at     IS 'When the item came into the catalogue.';
COMMENT ON COLUMN items.expires_at   IS 'From then on the item is not recommended; null is never.';
COMMENT ON COLUMN items.hidden       IS 'True: the item is never recommended.';
COMMENT ON COLUMN items.suitability  IS 'Companies that the item suits: solo, couple, group; empty is all.';
COMMENT ON COLUMN items.franchise    IS 'Franchise that the item belongs to; null is none.';

CREATE TABLE catalog_version (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version    bigint      NOT NULL,
    changed_at timestamptz NOT NULL
);
INSERT INTO catalog_version (version, changed_at) VALUES (1, now());
COMMENT ON TABLE  catalog_version            IS 'One row: the version of the catalogue, counted up by every statement that changes items.';
COMMENT ON COLUMN catalog_version.only_row   IS 'Keeps the table at one row.';
COMMENT ON COLUMN catalog_version.version    IS 'The version; decisions.catalog_version refers to it.';
COMMENT ON COLUMN catalog_version.changed_at IS 'When it was counted up last.';

-- +goose StatementBegin
CREATE FUNCTION catalog_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE catalog_version SET version = version + 1, changed_at = now();
    RETURN NULL;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION catalog_changed() IS 'Counts catalog_version up.';
CREATE TRIGGER items_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON items
    FOR EACH STATEMENT EXECUTE FUNCTION catalog_changed();

-- +goose Down
DROP TABLE items;
DROP FUNCTION catalog_changed();
DROP TABLE catalog_version;
