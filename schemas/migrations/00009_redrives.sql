-- +goose Up

CREATE TABLE redrive_runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    actor       text        NOT NULL,
    why         text        NOT NULL DEFAULT '',
    topic       text        NOT NULL,
    selection   text        NOT NULL
);
CREATE INDEX redrive_runs_unfinished ON redrive_runs (topic, selection) WHERE finished_at IS NULL;
COMMENT ON TABLE  redrive_runs             IS 'Every run of recstream dlq redrive that was not a dry run. One that was cut off less than a day ago is continued by the next call with the same selection.';
COMMENT ON COLUMN redrive_runs.id          IS 'Number of the run.';
COMMENT ON COLUMN redrive_runs.started_at  IS 'When it began.';
COMMENT ON COLUMN redrive_runs.finished_at IS 'When it was through with its selection; null if it was cut off, or is running.';
COMMENT ON COLUMN redrive_runs.actor       IS 'Who began it.';
COMMENT ON COLUMN redrive_runs.why         IS 'Why, as they said. Each row of redrives has who sent it, and why: another may have continued the run.';
COMMENT ON COLUMN redrive_runs.topic       IS 'The topic of dead letters.';
COMMENT ON COLUMN redrive_runs.selection   IS 'Which letters were chosen and how they were sent: the flags of the command line, ages as times.';

CREATE TABLE redrives (
    id               uuid PRIMARY KEY,
    run_id           bigint      NOT NULL REFERENCES redrive_runs (id),
    letter_topic     text        NOT NULL,
    letter_partition integer     NOT NULL,
    letter_offset    bigint      NOT NULL,
    letter_at        timestamptz NOT NULL,
    repetition       integer     NOT NULL CHECK (repetition >= 0),
    reason           text        NOT NULL,
    from_topic       text        NOT NULL,
    from_partition   integer     NOT NULL,
    from_offset      bigint      NOT NULL,
    request_id       text,
    mended           boolean     NOT NULL,
    redrives         integer     NOT NULL CHECK (redrives > 0),
    actor            text        NOT NULL,
    why              text        NOT NULL,
    to_topic         text        NOT NULL,
    to_partition     integer     NOT NULL,
    to_offset        bigint,
    to_end           bigint      NOT NULL,
    state            text        NOT NULL DEFAULT 'sending' CHECK (state IN ('sending', 'sent', 'aborted', 'unknown')),
    begun_at         timestamptz NOT NULL DEFAULT now(),
    settled_at       timestamptz,
    CHECK ((state = 'sending') = (settled_at IS NULL))
);
-- A topic that was deleted and made anew has other letters at the same places, but not of the same time.
CREATE UNIQUE INDEX redrives_once ON redrives (letter_topic, letter_partition, letter_offset, letter_at, repetition)
    WHERE state <> 'aborted';
CREATE INDEX redrives_sending ON redrives (letter_topic) WHERE state = 'sending';
CREATE INDEX redrives_run ON redrives (run_id);
COMMENT ON TABLE  redrives                  IS 'Every dead letter that was sent back, or was about to be. A row is written before the letter is sent and settled after it.';
COMMENT ON COLUMN redrives.id               IS 'Id of the redrive: the header dlq_redrive_id of the event that was sent.';
COMMENT ON COLUMN redrives.run_id           IS 'The run that sent it (redrive_runs.id).';
COMMENT ON COLUMN redrives.letter_topic     IS 'The dead letter: its topic,';
COMMENT ON COLUMN redrives.letter_partition IS 'partition';
COMMENT ON COLUMN redrives.letter_offset    IS 'and offset.';
COMMENT ON COLUMN redrives.letter_at        IS 'Time of the letter''s record.';
COMMENT ON COLUMN redrives.repetition       IS 'How often the letter was sent back before: 0 unless it was repeated on purpose.';
COMMENT ON COLUMN redrives.reason           IS 'Code of why it is a dead letter.';
COMMENT ON COLUMN redrives.from_topic       IS 'The event that was rejected: its topic,';
COMMENT ON COLUMN redrives.from_partition   IS 'partition';
COMMENT ON COLUMN redrives.from_offset      IS 'and offset.';
COMMENT ON COLUMN redrives.request_id       IS 'Request id of the event as it was sent back; null where it has none.';
COMMENT ON COLUMN redrives.mended           IS 'True: it was sent back with another value or key.';
COMMENT ON COLUMN redrives.redrives         IS 'How often the event was sent back so far, this time included: the header dlq_redrives.';
COMMENT ON COLUMN redrives.actor            IS 'Who sent it back.';
COMMENT ON COLUMN redrives.why              IS 'Why, as they said.';
COMMENT ON COLUMN redrives.to_topic         IS 'Where it was sent: topic,';
COMMENT ON COLUMN redrives.to_partition     IS 'partition';
COMMENT ON COLUMN redrives.to_offset        IS 'and offset; null while that is not known.';
COMMENT ON COLUMN redrives.to_end           IS 'Where the partition ended before it was sent: from there on it is looked for after a crash.';
COMMENT ON COLUMN redrives.state            IS 'sending: on its way, or cut off; sent: it is there; aborted: it is not, and never will be; unknown: retention has deleted what would tell.';
COMMENT ON COLUMN redrives.begun_at         IS 'When it was about to be sent.';
COMMENT ON COLUMN redrives.settled_at       IS 'When it was known what became of it; null is not yet.';

CREATE TABLE dead_letter_purges (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    done_at     timestamptz,
    actor       text        NOT NULL,
    why         text        NOT NULL DEFAULT '',
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    next_offset bigint      NOT NULL,
    letters     bigint      NOT NULL,
    older_than  timestamptz NOT NULL
);
COMMENT ON TABLE  dead_letter_purges             IS 'Every time that recstream dlq purge deleted dead letters of a partition.';
COMMENT ON COLUMN dead_letter_purges.id          IS 'Number of the purge.';
COMMENT ON COLUMN dead_letter_purges.at          IS 'When it was begun.';
COMMENT ON COLUMN dead_letter_purges.done_at     IS 'When Kafka had deleted them; null if it was cut off, and may have happened or not.';
COMMENT ON COLUMN dead_letter_purges.actor       IS 'Who did it.';
COMMENT ON COLUMN dead_letter_purges.why         IS 'Why, as they said.';
COMMENT ON COLUMN dead_letter_purges.topic       IS 'The topic of dead letters,';
COMMENT ON COLUMN dead_letter_purges.partition   IS 'and its partition.';
COMMENT ON COLUMN dead_letter_purges.from_offset IS 'Offset of the first that was deleted.';
COMMENT ON COLUMN dead_letter_purges.next_offset IS 'Offset of the first that was kept.';
COMMENT ON COLUMN dead_letter_purges.letters     IS 'How many letters that were.';
COMMENT ON COLUMN dead_letter_purges.older_than  IS 'All of them are from before that time.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON redrive_runs, redrives, dead_letter_purges TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE dead_letter_purges;
DROP TABLE redrives;
DROP TABLE redrive_runs;
