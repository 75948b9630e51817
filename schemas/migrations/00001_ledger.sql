-- +goose Up

CREATE TABLE models (
    id            integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text        NOT NULL,
    version       text        NOT NULL,
    sha256        text        NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (name, version, sha256)
);
COMMENT ON TABLE  models               IS 'Every model that was put into force.';
COMMENT ON COLUMN models.id            IS 'What decisions.model_id points to.';
COMMENT ON COLUMN models.name          IS 'Name of the model, from the configuration or its file.';
COMMENT ON COLUMN models.version       IS 'Version of the model, from the configuration or its file''s SHA-256.';
COMMENT ON COLUMN models.sha256        IS 'SHA-256 of the model file, in hexadecimal.';
COMMENT ON COLUMN models.first_used_at IS 'When the model was first put to use.';

-- One row a request; what was recommended stands in arrays, best first. No index on the parent:
-- each day's partition gets its unique index from decisions_create_partition.
CREATE TABLE decisions (
    run_id           integer     NOT NULL DEFAULT 0,
    request_id       text        NOT NULL,
    user_id          text,
    mood             text,
    group_size       text,
    session_length   text,
    requested_at     timestamptz NOT NULL,
    scored_at        timestamptz NOT NULL,
    tier             text        NOT NULL,
    degraded         text[]      NOT NULL,
    model_id         integer,
    config_version   text        NOT NULL,
    catalog_version  bigint      NOT NULL,
    considered       integer     NOT NULL,
    item_ids         text[]      NOT NULL,
    titles           text[]      NOT NULL,
    predictions      float8[]    NOT NULL,
    scores           float8[]    NOT NULL,
    queue_us         bigint      NOT NULL,
    score_us         bigint      NOT NULL,
    source_topic     text        NOT NULL,
    source_partition integer     NOT NULL,
    source_offset    bigint      NOT NULL
) PARTITION BY RANGE (scored_at);

COMMENT ON TABLE  decisions                  IS 'The ledger: one row for each request that was decided. For one row a recommended item, see recommendations.';
COMMENT ON COLUMN decisions.run_id           IS '0 is live traffic; a replay writes under a number of its own.';
COMMENT ON COLUMN decisions.request_id       IS 'Id of the request, given by the app; one row for each within the look-back window.';
COMMENT ON COLUMN decisions.user_id          IS 'Id of the user; null is anonymous.';
COMMENT ON COLUMN decisions.mood             IS 'funny, action, dramatic or relaxing; null is unknown.';
COMMENT ON COLUMN decisions.group_size       IS 'solo, couple or group; null is unknown.';
COMMENT ON COLUMN decisions.session_length   IS 'short, medium or binge; null is unknown.';
COMMENT ON COLUMN decisions.requested_at     IS 'Time of the request event, else of its Kafka record.';
COMMENT ON COLUMN decisions.scored_at        IS 'When the request was scored. The table is partitioned by its UTC day: name it in a WHERE clause.';
COMMENT ON COLUMN decisions.tier             IS 'Who answered: model, else popular, else basic.';
COMMENT ON COLUMN decisions.degraded         IS 'Reason codes, one for each better tier that was left; empty when the model answered.';
COMMENT ON COLUMN decisions.model_id         IS 'The model that made the predictions (models.id); null when no model answered.';
COMMENT ON COLUMN decisions.config_version   IS 'Hash of the scoring parameters in force.';
COMMENT ON COLUMN decisions.catalog_version  IS 'Version of the catalogue that candidates came from.';
COMMENT ON COLUMN decisions.considered       IS 'Number of eligible candidates.';
COMMENT ON COLUMN decisions.item_ids         IS 'Ids of the recommended items, best first.';
COMMENT ON COLUMN decisions.titles           IS 'Titles of the recommended items as they were sent, in the order of item_ids.';
COMMENT ON COLUMN decisions.predictions      IS 'Predicted probabilities (0..1), in the order of item_ids; null where the tier makes none.';
COMMENT ON COLUMN decisions.scores           IS 'What the items were ordered by, in the order of item_ids.';
COMMENT ON COLUMN decisions.queue_us         IS 'Microseconds from requested_at to the start of scoring.';
COMMENT ON COLUMN decisions.score_us         IS 'Microseconds that scoring took.';
COMMENT ON COLUMN decisions.source_topic     IS 'Kafka topic of the request event that was decided.';
COMMENT ON COLUMN decisions.source_partition IS 'Kafka partition of that event.';
COMMENT ON COLUMN decisions.source_offset    IS 'Kafka offset of that event.';

CREATE VIEW recommendations AS
SELECT d.run_id,
       d.request_id,
       d.user_id,
       d.mood,
       d.group_size,
       d.session_length,
       r.rank::integer AS rank,
       r.item_id,
       r.title,
       r.prediction,
       r.score,
       d.tier,
       d.degraded,
       m.name          AS model_name,
       m.version       AS model_version,
       d.config_version,
       d.requested_at,
       d.scored_at
FROM decisions d
CROSS JOIN LATERAL unnest(d.item_ids, d.titles, d.predictions, d.scores)
    WITH ORDINALITY AS r(item_id, title, prediction, score, rank)
LEFT JOIN models m ON m.id = d.model_id;

COMMENT ON VIEW   recommendations                IS 'One row for each recommended item: the ledger as analysts want it.';
COMMENT ON COLUMN recommendations.run_id         IS '0 is live traffic; a replay writes under a number of its own.';
COMMENT ON COLUMN recommendations.request_id     IS 'Id of the request.';
COMMENT ON COLUMN recommendations.user_id        IS 'Id of the user; null is anonymous.';
COMMENT ON COLUMN recommendations.mood           IS 'funny, action, dramatic or relaxing; null is unknown.';
COMMENT ON COLUMN recommendations.group_size     IS 'solo, couple or group; null is unknown.';
COMMENT ON COLUMN recommendations.session_length IS 'short, medium or binge; null is unknown.';
COMMENT ON COLUMN recommendations.rank           IS 'Place in the answer, from 1.';
COMMENT ON COLUMN recommendations.item_id        IS 'Id of the recommended item (items.id).';
COMMENT ON COLUMN recommendations.title          IS 'Title of the item as it was sent.';
COMMENT ON COLUMN recommendations.prediction     IS 'Predicted probability (0..1); null where the tier makes none.';
COMMENT ON COLUMN recommendations.score          IS 'What the items were ordered by.';
COMMENT ON COLUMN recommendations.tier           IS 'Who answered: model, else popular, else basic.';
COMMENT ON COLUMN recommendations.degraded       IS 'Reason codes, one for each better tier that was left.';
COMMENT ON COLUMN recommendations.model_name     IS 'Name of the model; null when no model answered.';
COMMENT ON COLUMN recommendations.model_version  IS 'Version of the model; null when no model answered.';
COMMENT ON COLUMN recommendations.config_version IS 'Hash of the scoring parameters in force.';
COMMENT ON COLUMN recommendations.requested_at   IS 'Time of the request event.';
COMMENT ON COLUMN recommendations.scored_at      IS 'When the request was scored. Name it in a WHERE clause: the ledger is partitioned by its UTC day.';

-- +goose StatementBegin
-- The partition is made apart and then attached: made in place, it would wait for every reader of the ledger
-- to end, and all writers would wait behind it.
CREATE FUNCTION decisions_create_partition(day date) RETURNS boolean
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
CREATE FUNCTION decisions_drop_partitions(before date) RETURNS SETOF text
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
COMMENT ON FUNCTION decisions_create_partition(date) IS 'Makes the ledger''s partition of that UTC day; false when it is there already.';
COMMENT ON FUNCTION decisions_drop_partitions(date)  IS 'Drops the ledger''s partitions of the days before that one and returns their names.';

CREATE TABLE stream_offsets (
    group_name   text        NOT NULL,
    topic        text        NOT NULL,
    partition    integer     NOT NULL,
    next_offset  bigint      NOT NULL,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, partition)
) WITH (fillfactor = 50);
COMMENT ON TABLE  stream_offsets              IS 'The fence: how far each Kafka partition stands in the ledger. Updated in the transaction that stores the decisions.';
COMMENT ON COLUMN stream_offsets.group_name   IS 'Kafka consumer group.';
COMMENT ON COLUMN stream_offsets.topic        IS 'Kafka topic of the requests.';
COMMENT ON COLUMN stream_offsets.partition    IS 'Kafka partition.';
COMMENT ON COLUMN stream_offsets.next_offset  IS 'Offset after the last event that stands in the ledger.';
COMMENT ON COLUMN stream_offsets.updated_at   IS 'When the last batch was stored.';

-- +goose Down
DROP TABLE stream_offsets;
DROP FUNCTION decisions_drop_partitions(date);
DROP FUNCTION decisions_create_partition(date);
DROP VIEW recommendations;
DROP TABLE decisions;
DROP TABLE models;
