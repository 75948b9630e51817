-- +goose Up

-- What became of the recommendations: one row a feedback event. Like decisions it has no index on the parent:
-- each day's partition gets its unique index from outcomes_create_partition.
CREATE TABLE outcomes (
    request_id       text        NOT NULL,
    user_id          text,
    item_id          text        NOT NULL,
    action           text        NOT NULL,
    value            float8,
    at               timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    source_topic     text        NOT NULL,
    source_partition integer     NOT NULL,
    source_offset    bigint      NOT NULL
) PARTITION BY RANGE (received_at);

COMMENT ON TABLE  outcomes                  IS 'What became of recommended items: one row for each feedback event. Join recommendations on request_id and item_id.';
COMMENT ON COLUMN outcomes.request_id       IS 'Id of the request whose result had the item, as the app said.';
COMMENT ON COLUMN outcomes.user_id          IS 'Id of the user; null is anonymous.';
COMMENT ON COLUMN outcomes.item_id          IS 'Id of the item.';
COMMENT ON COLUMN outcomes.action           IS 'impression, click, play, complete, dismiss or rating.';
COMMENT ON COLUMN outcomes.value            IS 'The rating, on the app''s scale; with other actions what the app measures; null is nothing.';
COMMENT ON COLUMN outcomes.at               IS 'When it was done: time of the event, else of its Kafka record.';
COMMENT ON COLUMN outcomes.received_at      IS 'When the event was stored. The table is partitioned by its UTC day: name it in a WHERE clause.';
COMMENT ON COLUMN outcomes.source_topic     IS 'Kafka topic of the event.';
COMMENT ON COLUMN outcomes.source_partition IS 'Kafka partition of the event.';
COMMENT ON COLUMN outcomes.source_offset    IS 'Kafka offset of the event.';

CREATE TABLE profiles (
    user_id         text PRIMARY KEY,
    as_of           timestamptz   NOT NULL DEFAULT '-infinity',
    activity        float8        NOT NULL DEFAULT 0,
    duration_sum    float8        NOT NULL DEFAULT 0,
    duration_weight float8        NOT NULL DEFAULT 0,
    genres          text[]        NOT NULL DEFAULT '{}',
    genre_weights   float8[]      NOT NULL DEFAULT '{}',
    item_ids        text[]        NOT NULL DEFAULT '{}',
    seen_at         timestamptz[] NOT NULL DEFAULT '{}',
    dismissed_at    timestamptz[] NOT NULL DEFAULT '{}',
    impressions     float8[]      NOT NULL DEFAULT '{}',
    CHECK (cardinality(genre_weights) = cardinality(genres)),
    CHECK (cardinality(seen_at) = cardinality(item_ids) AND cardinality(dismissed_at) = cardinality(item_ids)
           AND cardinality(impressions) = cardinality(item_ids)),
    -- NaN and the infinities are more than any number, or less.
    CHECK (abs(activity) < 'Infinity' AND abs(duration_sum) < 'Infinity' AND abs(duration_weight) < 'Infinity'),
    CHECK ('NaN' <> ALL (genre_weights) AND 'Infinity' <> ALL (genre_weights) AND '-Infinity' <> ALL (genre_weights)
           AND 'NaN' <> ALL (impressions) AND 'Infinity' <> ALL (impressions) AND '-Infinity' <> ALL (impressions)),
    CHECK (array_position(genres, NULL) IS NULL AND array_position(genre_weights, NULL) IS NULL
           AND array_position(item_ids, NULL) IS NULL AND array_position(impressions, NULL) IS NULL)
) WITH (fillfactor = 70);

COMMENT ON TABLE  profiles                 IS 'What is known of each user from feedback. Weights decay exponentially with the time between events; those here are as of as_of.';
COMMENT ON COLUMN profiles.user_id         IS 'Id of the user.';
COMMENT ON COLUMN profiles.as_of           IS 'Time of the user''s latest feedback.';
COMMENT ON COLUMN profiles.activity        IS 'Decayed number of feedback events, impressions left out.';
COMMENT ON COLUMN profiles.duration_sum    IS 'Decayed sum of the minutes of what was watched; the typical duration is duration_sum / nullif(duration_weight, 0).';
COMMENT ON COLUMN profiles.duration_weight IS 'Decayed weight of duration_sum.';
COMMENT ON COLUMN profiles.genres          IS 'Names of the genres that the user had to do with.';
COMMENT ON COLUMN profiles.genre_weights   IS 'Decayed preference for each genre, in the order of genres; positive is liked.';
COMMENT ON COLUMN profiles.item_ids        IS 'Ids of the items that the user had to do with of late.';
COMMENT ON COLUMN profiles.seen_at         IS 'Latest play, completion or rating of each item, in the order of item_ids; null is never.';
COMMENT ON COLUMN profiles.dismissed_at    IS 'Latest dismissal of each item, in the order of item_ids; null is never.';
COMMENT ON COLUMN profiles.impressions     IS 'How often each item was shown, in the order of item_ids.';

-- +goose StatementBegin
-- The partition is made apart and then attached: made in place, it would wait for every reader of the table
-- to end, and all writers would wait behind it. A key column list makes its unique index.
CREATE FUNCTION create_day_partition(parent text, day date, key text, moment text, about text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := parent || '_' || to_char(day, 'YYYYMMDD');
BEGIN
    -- Instances do this at the same time; the lock is the table's own and ends with the transaction.
    PERFORM pg_advisory_xact_lock(hashtext('recstream.' || parent || '.partitions'));
    IF to_regclass(partition_name) IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(partition_name) AND inhparent = parent::regclass) THEN
            RAISE EXCEPTION 'table % is there and is no partition of %', partition_name, parent
                USING HINT = 'Attach it, rename it or drop it.';
        END IF;
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', partition_name, parent);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (%s)', partition_name || '_key', partition_name, key);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (%I)', partition_name || '_' || moment, partition_name, moment);
    EXECUTE format('COMMENT ON TABLE %I IS %L', partition_name, about || ' ' || to_char(day, 'YYYY-MM-DD') || ' (UTC).');
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        parent, partition_name,
        to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN true;
END
$$;

-- To drop a partition is to wait for the table's readers, with the writers waiting behind: it gives up soon
-- and is tried again later.
CREATE FUNCTION drop_day_partitions(parent text, before date) RETURNS SETOF text
LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    partition_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('recstream.' || parent || '.partitions'));
    FOR partition_name IN
        SELECT c.relname
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
          AND c.relname ~ ('^' || parent || '_[0-9]{8}$')
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition_name);
        RETURN NEXT partition_name;
    END LOOP;
END
$$;
-- +goose StatementEnd
COMMENT ON FUNCTION create_day_partition(text, date, text, text, text) IS 'Makes a table''s partition of that UTC day, with a unique index on the key and a brin index on the moment; false when it is there already.';
COMMENT ON FUNCTION drop_day_partitions(text, date) IS 'Drops a table''s partitions of the days before that one and returns their names.';

-- One pair for each table says what is the table's own; the ledger's did all by themselves before.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION decisions_create_partition(day date) RETURNS boolean
LANGUAGE sql AS $$ SELECT create_day_partition('decisions', day, 'request_id, run_id', 'scored_at', 'Decisions scored on') $$;

CREATE OR REPLACE FUNCTION decisions_drop_partitions(before date) RETURNS SETOF text
LANGUAGE sql AS $$ SELECT drop_day_partitions('decisions', before) $$;

-- The time stands in the key because a topic that is made anew has its offsets anew.
CREATE FUNCTION outcomes_create_partition(day date) RETURNS boolean
LANGUAGE sql AS $$ SELECT create_day_partition('outcomes', day, 'source_topic, source_partition, source_offset, at', 'received_at', 'Outcomes received on') $$;

CREATE FUNCTION outcomes_drop_partitions(before date) RETURNS SETOF text
LANGUAGE sql AS $$ SELECT drop_day_partitions('outcomes', before) $$;
-- +goose StatementEnd
COMMENT ON FUNCTION outcomes_create_partition(date) IS 'Makes the partition of outcomes of that UTC day; false when it is there already.';
COMMENT ON FUNCTION outcomes_drop_partitions(date)  IS 'Drops the partitions of outcomes of the days before that one and returns their names.';

COMMENT ON TABLE  stream_offsets            IS 'The fence: how far each Kafka partition stands in the database. Updated in the transaction that stores what its events came to.';
COMMENT ON COLUMN stream_offsets.topic       IS 'Kafka topic of the requests or of the feedback.';
COMMENT ON COLUMN stream_offsets.next_offset IS 'Offset after the last event that is stored.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON outcomes, profiles TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
COMMENT ON TABLE  stream_offsets            IS 'The fence: how far each Kafka partition stands in the ledger. Updated in the transaction that stores the decisions.';
COMMENT ON COLUMN stream_offsets.topic       IS 'Kafka topic of the requests.';
COMMENT ON COLUMN stream_offsets.next_offset IS 'Offset after the last event that stands in the ledger.';
DROP FUNCTION outcomes_drop_partitions(date);
DROP FUNCTION outcomes_create_partition(date);
DROP TABLE profiles;
DROP TABLE outcomes;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION decisions_create_partition(day date) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    partition_name text := 'decisions_' || to_char(day, 'YYYYMMDD');
BEGIN
    -- Instances do this at the same time; the lock is the ledger's own and ends with the transaction.
    PERFORM pg_advisory_xact_lock(hashtext('recstream.decisions.partitions'));
    IF to_regclass(partition_name) IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = to_regclass(partition_name) AND inhparent = 'decisions'::regclass) THEN
            RAISE EXCEPTION 'table % is there and is no partition of decisions', partition_name
                USING HINT = 'Attach it, rename it or drop it.';
        END IF;
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE decisions INCLUDING ALL)', partition_name);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (request_id, run_id)', partition_name || '_request', partition_name);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (scored_at)', partition_name || '_scored_at', partition_name);
    EXECUTE format('COMMENT ON TABLE %I IS %L', partition_name,
        'Decisions scored on ' || to_char(day, 'YYYY-MM-DD') || ' (UTC).');
    EXECUTE format(
        'ALTER TABLE decisions ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
        partition_name,
        to_char(day, 'YYYY-MM-DD') || ' 00:00:00+00',
        to_char(day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    RETURN true;
END
$$;

-- To drop a partition is to wait for the ledger's readers, with the writers waiting behind: it gives up soon
-- and is tried again later.
CREATE OR REPLACE FUNCTION decisions_drop_partitions(before date) RETURNS SETOF text
LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
    partition_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('recstream.decisions.partitions'));
    FOR partition_name IN
        SELECT c.relname
        FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'decisions'::regclass
          AND c.relname ~ '^decisions_[0-9]{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', partition_name);
        RETURN NEXT partition_name;
    END LOOP;
END
$$;
-- +goose StatementEnd
DROP FUNCTION drop_day_partitions(text, date);
DROP FUNCTION create_day_partition(text, date, text, text, text);
