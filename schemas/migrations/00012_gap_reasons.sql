-- +goose Up
COMMENT ON TABLE  stream_gaps        IS 'Events that were passed over: when it was noted, those offsets had no outcome. Empty as long as all goes well.';
COMMENT ON COLUMN stream_gaps.reason IS 'retention: Kafka deleted the events before they were read. ledger_behind: the group''s committed offset was ahead of the ledger, since somebody set it forward by hand, or since Postgres lost rows (a fail-over, a restored copy); stop all instances and set the group''s offset back to from_offset to have the events answered.';

-- +goose Down
COMMENT ON TABLE  stream_gaps        IS 'Events that were passed over: those offsets have no outcome. Empty as long as all goes well.';
COMMENT ON COLUMN stream_gaps.reason IS 'retention: Kafka deleted the events before they were read; ledger_behind: the ledger was older than the committed offset.';
