-- +goose Up

-- What changes items has a lock on them first, and then one on the row of catalog_version; so has this.
DROP TRIGGER items_changed ON items;
DROP FUNCTION catalog_changed();
ALTER TABLE catalog_version ADD COLUMN kept_from bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN catalog_version.kept_from IS 'The oldest version that item_versions has.';

-- The columns of items come last, in their order: rows are copied whole. A column that items is given, this is given too.
CREATE TABLE item_versions (
    version    bigint      NOT NULL,
    deleted    boolean     NOT NULL,
    changed_at timestamptz NOT NULL,
    LIKE items INCLUDING COMMENTS,
    PRIMARY KEY (id, version)
);
COMMENT ON TABLE  item_versions            IS 'The catalogue as it was: a row for each change of an item. A version of the catalogue has the latest row of each item up to it. Kept as long as the ledger.';
COMMENT ON COLUMN item_versions.version    IS 'The first version of the catalogue with this row; decisions.catalog_version refers to it.';
COMMENT ON COLUMN item_versions.deleted    IS 'True: from that version on the catalogue has no such item; the row says what it was last.';
COMMENT ON COLUMN item_versions.changed_at IS 'When the change was made.';

-- The history begins with the catalogue as it is.
UPDATE catalog_version SET kept_from = version;
INSERT INTO item_versions SELECT v.version, false, clock_timestamp(), i.* FROM items i, catalog_version v;

-- +goose StatementBegin
-- The row of catalog_version stays locked until the transaction ends, so versions are in the order of the commits.
CREATE FUNCTION next_catalog_version() RETURNS bigint
LANGUAGE sql AS $$ UPDATE catalog_version SET version = version + 1, changed_at = now() RETURNING version $$;

CREATE FUNCTION items_inserted() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := next_catalog_version();
BEGIN
    INSERT INTO item_versions SELECT next, false, clock_timestamp(), n.* FROM new_items n;
    RETURN NULL;
END
$$;

-- An item that an update leaves as it was has no new row; *<> compares bits. One whose id is another is two items.
CREATE FUNCTION items_updated() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := next_catalog_version();
BEGIN
    INSERT INTO item_versions SELECT next, true, clock_timestamp(), o.*
        FROM old_items o LEFT JOIN new_items n USING (id) WHERE n.id IS NULL;
    INSERT INTO item_versions SELECT next, false, clock_timestamp(), n.*
        FROM new_items n LEFT JOIN old_items o USING (id) WHERE o.id IS NULL OR n *<> o;
    RETURN NULL;
END
$$;

CREATE FUNCTION items_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := next_catalog_version();
BEGIN
    INSERT INTO item_versions SELECT next, true, clock_timestamp(), o.* FROM old_items o;
    RETURN NULL;
END
$$;

CREATE FUNCTION items_truncated() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := next_catalog_version();
BEGIN
    INSERT INTO item_versions SELECT next, true, clock_timestamp(), i.* FROM items i;
    RETURN NULL;
END
$$;

-- What no version from kept_from on has goes, some rows a call: of each item the rows before the latest one up to there,
-- and that one too where it says that the item was deleted, but not before the others.
CREATE FUNCTION item_versions_drop(before timestamptz, most integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    oldest bigint;
    gone   bigint;
BEGIN
    SELECT max(version) INTO oldest FROM item_versions WHERE changed_at < before;
    UPDATE catalog_version SET kept_from = oldest WHERE kept_from < oldest;
    SELECT kept_from INTO oldest FROM catalog_version;
    DELETE FROM item_versions WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM (
            SELECT ctid, id, version, deleted, lead(version) OVER (PARTITION BY id ORDER BY version) AS next
            FROM item_versions WHERE version <= oldest
        ) AS old
        WHERE deleted OR next IS NOT NULL ORDER BY id, version LIMIT most));
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION next_catalog_version()          IS 'Counts catalog_version up.';
COMMENT ON FUNCTION items_inserted()                IS 'Keeps items that were added in item_versions.';
COMMENT ON FUNCTION items_updated()                 IS 'Keeps items that were changed in item_versions.';
COMMENT ON FUNCTION items_deleted()                 IS 'Notes items that were deleted in item_versions.';
COMMENT ON FUNCTION items_truncated()               IS 'Notes in item_versions that all items are deleted.';
COMMENT ON FUNCTION item_versions_drop(timestamptz, integer) IS 'Drops at most so many rows of the versions of the catalogue that were replaced before then and returns how many that were.';
CREATE TRIGGER items_inserted AFTER INSERT ON items REFERENCING NEW TABLE AS new_items
    FOR EACH STATEMENT EXECUTE FUNCTION items_inserted();
CREATE TRIGGER items_updated AFTER UPDATE ON items REFERENCING OLD TABLE AS old_items NEW TABLE AS new_items
    FOR EACH STATEMENT EXECUTE FUNCTION items_updated();
CREATE TRIGGER items_deleted AFTER DELETE ON items REFERENCING OLD TABLE AS old_items
    FOR EACH STATEMENT EXECUTE FUNCTION items_deleted();
CREATE TRIGGER items_truncated BEFORE TRUNCATE ON items
    FOR EACH STATEMENT EXECUTE FUNCTION items_truncated();

-- As many rows as changes of profiles, so they say little: what the next version has otherwise. Like decisions the
-- table has no index on the parent. The time is in the key so that nothing that was written by hand stops feedback.
CREATE TABLE profile_versions (
    user_id     text        NOT NULL,
    version     bigint      NOT NULL,
    replaced_at timestamptz NOT NULL,
    state       bytea       NOT NULL
) PARTITION BY RANGE (replaced_at);
COMMENT ON TABLE  profile_versions             IS 'Profiles as they were: a row for each version that was replaced by the next one. Kept as long as the ledger.';
COMMENT ON COLUMN profile_versions.user_id     IS 'Id of the user.';
COMMENT ON COLUMN profile_versions.version     IS 'The version that was replaced; the one after it is the next row''s, or that of profiles.';
COMMENT ON COLUMN profile_versions.replaced_at IS 'When it was replaced. The table is partitioned by its UTC day.';
COMMENT ON COLUMN profile_versions.state       IS 'What the version was, in a form that recstream reads: some versions whole, most by what the next one has otherwise.';

-- +goose StatementBegin
CREATE FUNCTION profile_versions_create_partition(day date) RETURNS boolean
LANGUAGE sql AS $$ SELECT create_day_partition('profile_versions', day, 'user_id, version, replaced_at', 'replaced_at', 'Versions of profiles replaced on') $$;

CREATE FUNCTION profile_versions_drop_partitions(before date) RETURNS SETOF text
LANGUAGE sql AS $$ SELECT drop_day_partitions('profile_versions', before) $$;

-- A change by hand, or of an instance of the version before, counts too; what was before it is not kept.
CREATE FUNCTION profile_changed() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END
$$;

-- Whoever deletes what is known of a user deletes what was known of them.
CREATE FUNCTION profile_deleted() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM profile_versions;
    ELSE
        DELETE FROM profile_versions WHERE user_id IN (SELECT user_id FROM gone);
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION profile_versions_create_partition(date) IS 'Makes the partition of profile_versions of that UTC day; false when it is there already.';
COMMENT ON FUNCTION profile_versions_drop_partitions(date)  IS 'Drops the partitions of profile_versions of the days before that one and returns their names.';
COMMENT ON FUNCTION profile_changed()                       IS 'Counts the version of a profile up where the change has not.';
COMMENT ON FUNCTION profile_deleted()                       IS 'Deletes the versions of profiles that are deleted.';
-- The tables that live traffic writes come last: their locks are held until the end, and nothing long follows. None is
-- rewritten. -1 stands in rows from before, and in those of an instance of the version before that still
-- writes: nobody noted which profile they were decided with.
ALTER TABLE decisions ADD COLUMN profile_version bigint DEFAULT -1;
COMMENT ON COLUMN decisions.profile_version IS 'Version of the user''s profile that the decision was given (profiles.version); null is none, -1 is not known.';

-- A new profile begins with the milliseconds of its time: one that is made anew after it was deleted repeats no version.
ALTER TABLE profiles ADD COLUMN version bigint NOT NULL DEFAULT 1;
ALTER TABLE profiles ALTER COLUMN version SET DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint;
COMMENT ON COLUMN profiles.version IS 'Counts up with each change; decisions.profile_version refers to it.';
CREATE TRIGGER profiles_changed BEFORE UPDATE ON profiles
    FOR EACH ROW WHEN (NEW.version = OLD.version) EXECUTE FUNCTION profile_changed();
CREATE TRIGGER profiles_deleted AFTER DELETE ON profiles REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION profile_deleted();
CREATE TRIGGER profiles_truncated AFTER TRUNCATE ON profiles
    FOR EACH STATEMENT EXECUTE FUNCTION profile_deleted();

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON profile_versions, item_versions TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TRIGGER items_truncated ON items;
DROP TRIGGER items_deleted ON items;
DROP TRIGGER items_updated ON items;
DROP TRIGGER items_inserted ON items;
DROP FUNCTION item_versions_drop(timestamptz, integer);
DROP FUNCTION items_truncated();
DROP FUNCTION items_deleted();
DROP FUNCTION items_updated();
DROP FUNCTION items_inserted();
DROP FUNCTION next_catalog_version();
DROP TABLE item_versions;
ALTER TABLE catalog_version DROP COLUMN kept_from;
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

DROP TRIGGER profiles_truncated ON profiles;
DROP TRIGGER profiles_deleted ON profiles;
DROP TRIGGER profiles_changed ON profiles;
DROP FUNCTION profile_deleted();
DROP FUNCTION profile_changed();
DROP FUNCTION profile_versions_drop_partitions(date);
DROP FUNCTION profile_versions_create_partition(date);
DROP TABLE profile_versions;
ALTER TABLE profiles DROP COLUMN version;
ALTER TABLE decisions DROP COLUMN profile_version;
