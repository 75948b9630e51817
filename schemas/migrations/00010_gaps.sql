-- +goose Up

CREATE TABLE stream_gaps (
    group_name  text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    to_offset   bigint      NOT NULL CHECK (to_offset > from_offset),
    reason      text        NOT NULL,
    noted_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (group_name, topic, partition, from_offset, to_offset)
);
COMMENT ON TABLE  stream_gaps             IS 'Events that were passed over: those offsets have no outcome. Empty as long as all goes well.';
COMMENT ON COLUMN stream_gaps.group_name  IS 'Kafka consumer group.';
COMMENT ON COLUMN stream_gaps.topic       IS 'Kafka topic.';
COMMENT ON COLUMN stream_gaps.partition   IS 'Kafka partition.';
COMMENT ON COLUMN stream_gaps.from_offset IS 'First offset that was passed over.';
COMMENT ON COLUMN stream_gaps.to_offset   IS 'Offset after the last one.';
COMMENT ON COLUMN stream_gaps.reason      IS 'retention: Kafka deleted the events before they were read; ledger_behind: the ledger was older than the committed offset.';
COMMENT ON COLUMN stream_gaps.noted_at    IS 'When it was noticed.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON stream_gaps TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE stream_gaps;
