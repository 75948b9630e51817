-- +goose Up

CREATE TABLE replays (
    run_id      integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state       text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'paused', 'done', 'cancelled')),
    created_at  timestamptz NOT NULL CHECK (isfinite(created_at)),
    created_by  text        NOT NULL,
    why         text        NOT NULL,
    topic       text        NOT NULL,
    plan        json        NOT NULL,
    owner       text        NOT NULL DEFAULT '',
    finished_at timestamptz,
    report      json
);
COMMENT ON TABLE  replays             IS 'Every replay: requests that were read and decided again, outside of live traffic. Their decisions stand in decisions, under the run_id.';
COMMENT ON COLUMN replays.run_id      IS 'Number of the replay; decisions.run_id and recommendations.run_id refer to it. 0 is live traffic and none of these.';
COMMENT ON COLUMN replays.state       IS 'running, paused, done or cancelled. One that was killed is still called running: replay_partitions.updated_at tells.';
COMMENT ON COLUMN replays.created_at  IS 'When it was created. All its decisions have this time as their scored_at: name it in a WHERE clause.';
COMMENT ON COLUMN replays.created_by  IS 'Who created it.';
COMMENT ON COLUMN replays.why         IS 'Why, in their words; may be empty.';
COMMENT ON COLUMN replays.topic       IS 'Kafka topic that is read.';
COMMENT ON COLUMN replays.plan        IS 'What was asked for: filter, model, scoring parameters, features, catalogue, rate.';
COMMENT ON COLUMN replays.owner       IS 'The process that works on it; another one that resumes it takes it over.';
COMMENT ON COLUMN replays.finished_at IS 'When the last request was decided; null before.';
COMMENT ON COLUMN replays.report      IS 'What came of it, as replay show -o json prints it; null before it is done.';

CREATE TABLE replay_partitions (
    run_id      integer     NOT NULL REFERENCES replays (run_id) ON DELETE CASCADE,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    to_offset   bigint      NOT NULL,
    next_offset bigint      NOT NULL,
    figures     json        NOT NULL DEFAULT '{}',
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run_id, partition),
    CHECK (from_offset <= next_offset AND next_offset <= to_offset)
) WITH (fillfactor = 50);
COMMENT ON TABLE  replay_partitions             IS 'How far each replay has come, by Kafka partition. Updated in the transaction that stores the decisions.';
COMMENT ON COLUMN replay_partitions.run_id      IS 'The replay (replays.run_id).';
COMMENT ON COLUMN replay_partitions.partition   IS 'Kafka partition.';
COMMENT ON COLUMN replay_partitions.from_offset IS 'Offset of the first event that is read.';
COMMENT ON COLUMN replay_partitions.to_offset   IS 'Offset after the last event that is read.';
COMMENT ON COLUMN replay_partitions.next_offset IS 'Offset after the last event that was read and whose decision is stored.';
COMMENT ON COLUMN replay_partitions.figures     IS 'What was counted so far, for the program to go on with; replay_figures has it when the replay is done.';
COMMENT ON COLUMN replay_partitions.updated_at  IS 'When the last batch was stored.';

CREATE TABLE replay_figures (
    run_id            integer NOT NULL REFERENCES replays (run_id) ON DELETE CASCADE,
    live_model        text    NOT NULL,
    replay_model      text    NOT NULL,
    mood              text    NOT NULL,
    group_size        text    NOT NULL,
    session_length    text    NOT NULL,
    compared          bigint  NOT NULL,
    identical         bigint  NOT NULL,
    differs_tier      bigint  NOT NULL,
    differs_items     bigint  NOT NULL,
    differs_rank      bigint  NOT NULL,
    differs_score     bigint  NOT NULL,
    differs_otherwise bigint  NOT NULL,
    overlap           float8  NOT NULL,
    overlap_1         float8  NOT NULL,
    overlap_3         float8  NOT NULL,
    overlap_10        float8  NOT NULL,
    PRIMARY KEY (run_id, live_model, replay_model, mood, group_size, session_length)
);
COMMENT ON TABLE  replay_figures                   IS 'What a replay that is done came to, by model and context. Weigh the overlaps by compared to put rows together.';
COMMENT ON COLUMN replay_figures.run_id            IS 'The replay (replays.run_id).';
COMMENT ON COLUMN replay_figures.live_model        IS 'Model of the live decision, as name@version; empty where no model ranked.';
COMMENT ON COLUMN replay_figures.replay_model      IS 'Model of the replayed decision, as name@version; empty where no model ranked.';
COMMENT ON COLUMN replay_figures.mood              IS 'Mood of the request: funny, action, dramatic or relaxing; empty is unknown.';
COMMENT ON COLUMN replay_figures.group_size        IS 'Company of the request: solo, couple or group; empty is unknown.';
COMMENT ON COLUMN replay_figures.session_length    IS 'Time of the request: short, medium or binge; empty is unknown.';
COMMENT ON COLUMN replay_figures.compared          IS 'Requests that were decided again and compared with their live decision.';
COMMENT ON COLUMN replay_figures.identical         IS 'Of these, those that were reproduced to the byte.';
COMMENT ON COLUMN replay_figures.differs_tier      IS 'Of these, those that another tier answered.';
COMMENT ON COLUMN replay_figures.differs_items     IS 'Of these, those with other items.';
COMMENT ON COLUMN replay_figures.differs_rank      IS 'Of these, those with other items or the same in another order.';
COMMENT ON COLUMN replay_figures.differs_score     IS 'Of these, those of which an item that both decisions have has another score.';
COMMENT ON COLUMN replay_figures.differs_otherwise IS 'Of these, those with the same tier, items, order and scores that differ in something else, such as the model''s version.';
COMMENT ON COLUMN replay_figures.overlap           IS 'Mean share, 0 to 1, of the items that both decisions have.';
COMMENT ON COLUMN replay_figures.overlap_1         IS 'The same of the first item alone.';
COMMENT ON COLUMN replay_figures.overlap_3         IS 'The same of the first three items.';
COMMENT ON COLUMN replay_figures.overlap_10        IS 'The same of the first ten items.';

CREATE TABLE replay_differences (
    run_id           integer NOT NULL REFERENCES replays (run_id) ON DELETE CASCADE,
    source_partition integer NOT NULL,
    source_offset    bigint  NOT NULL,
    request_id       text    NOT NULL,
    live_scored_at   timestamptz,
    causes           text[]  NOT NULL,
    reproducible     boolean NOT NULL,
    overlap          float8,
    score_difference float8,
    PRIMARY KEY (run_id, source_partition, source_offset)
);
COMMENT ON TABLE  replay_differences                  IS 'The requests that a replay did not reproduce to the byte, or could not. Those that it reproduced are counted in replay_figures only.';
COMMENT ON COLUMN replay_differences.run_id           IS 'The replay (replays.run_id).';
COMMENT ON COLUMN replay_differences.source_partition IS 'Kafka partition of the request event.';
COMMENT ON COLUMN replay_differences.source_offset    IS 'Kafka offset of that event.';
COMMENT ON COLUMN replay_differences.request_id       IS 'Id of the request. Its live decision is in decisions under run_id 0, the other one under run_id.';
COMMENT ON COLUMN replay_differences.live_scored_at   IS 'When the live decision was made; null where there is none.';
COMMENT ON COLUMN replay_differences.causes           IS 'What differs (tier, items, rank, score, other), or why it could not be reproduced, as codes.';
COMMENT ON COLUMN replay_differences.reproducible     IS 'False: it was not decided again, for those causes.';
COMMENT ON COLUMN replay_differences.overlap          IS 'Share, 0 to 1, of the items that both decisions have; null where nothing was compared.';
COMMENT ON COLUMN replay_differences.score_difference IS 'Largest difference of the scores of an item that both have; null where there is none.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON replays, replay_partitions, replay_figures, replay_differences TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE replay_differences;
DROP TABLE replay_figures;
DROP TABLE replay_partitions;
DROP TABLE replays;
