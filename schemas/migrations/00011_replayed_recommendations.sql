-- +goose Up

-- Who counts in recommendations means live traffic. What replays decided has a view of its own, with the same columns.
-- +goose StatementBegin
DO $$
DECLARE
    target record;
BEGIN
    FOR target IN SELECT * FROM (VALUES ('recommendations', '= 0'), ('replay_recommendations', '<> 0')) AS v(name, runs) LOOP
        EXECUTE format('CREATE OR REPLACE VIEW %I AS
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
       d.scored_at,
       d.experiment,
       d.variant,
       r.rank <= d.pinned                                AS pinned,
       d.cold_start,
       coalesce(d.terms[7 * r.rank::integer - 6], r.score) AS term_base,
       coalesce(d.terms[7 * r.rank::integer - 5], 0)       AS term_boost,
       coalesce(d.terms[7 * r.rank::integer - 4], 0)       AS term_affinity,
       coalesce(d.terms[7 * r.rank::integer - 3], 0)       AS term_freshness,
       coalesce(d.terms[7 * r.rank::integer - 2], 0)       AS term_popularity,
       coalesce(d.terms[7 * r.rank::integer - 1], 0)       AS term_similarity,
       coalesce(d.terms[7 * r.rank::integer], 0)           AS term_diversity,
       d.explanation -> ''items'' -> (r.rank::integer - 1) ->> ''reason'' AS reason
FROM decisions d
CROSS JOIN LATERAL unnest(d.item_ids, d.titles, d.predictions, d.scores)
    WITH ORDINALITY AS r(item_id, title, prediction, score, rank)
LEFT JOIN models m ON m.id = d.model_id
WHERE d.run_id %s', target.name, target.runs);
    END LOOP;
END
$$;

-- The columns mean the same in both, but for the two below.
DO $$
DECLARE
    own record;
BEGIN
    FOR own IN SELECT attname, col_description(attrelid, attnum) AS text FROM pg_attribute
               WHERE attrelid = 'recommendations'::regclass AND attnum > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN replay_recommendations.%I IS %L', own.attname, own.text);
    END LOOP;
END
$$;
-- +goose StatementEnd
COMMENT ON VIEW   recommendations                  IS 'One row for each item that was recommended live: the ledger as analysts want it. What replays decided is in replay_recommendations.';
COMMENT ON COLUMN recommendations.run_id           IS 'Always 0, live traffic: for telling rows apart beside those of replay_recommendations.';
COMMENT ON VIEW   replay_recommendations           IS 'One row for each item that a replay decided on: what would have been recommended. Columns as those of recommendations.';
COMMENT ON COLUMN replay_recommendations.run_id    IS 'The replay (replays.run_id).';
COMMENT ON COLUMN replay_recommendations.scored_at IS 'When the replay was created (replays.created_at). Name it in a WHERE clause: the ledger is partitioned by its UTC day.';

COMMENT ON TABLE  decisions         IS 'The ledger: one row for each request and run; run_id = 0 is live traffic, and has to be named to count that alone. For one row a recommended item, see recommendations.';
COMMENT ON COLUMN decisions.run_id  IS '0 is live traffic; a replay writes under a number of its own (replays.run_id).';
COMMENT ON COLUMN replays.run_id    IS 'Number of the replay; decisions.run_id and replay_recommendations.run_id refer to it. 0 is live traffic and none of these.';
COMMENT ON COLUMN replays.plan      IS 'What was asked for: filter, model, scoring parameters, features, catalogue, rate, limits of the report.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON recommendations, replay_recommendations TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP VIEW replay_recommendations;
CREATE OR REPLACE VIEW recommendations AS
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
       d.scored_at,
       d.experiment,
       d.variant,
       r.rank <= d.pinned                                AS pinned,
       d.cold_start,
       coalesce(d.terms[7 * r.rank::integer - 6], r.score) AS term_base,
       coalesce(d.terms[7 * r.rank::integer - 5], 0)       AS term_boost,
       coalesce(d.terms[7 * r.rank::integer - 4], 0)       AS term_affinity,
       coalesce(d.terms[7 * r.rank::integer - 3], 0)       AS term_freshness,
       coalesce(d.terms[7 * r.rank::integer - 2], 0)       AS term_popularity,
       coalesce(d.terms[7 * r.rank::integer - 1], 0)       AS term_similarity,
       coalesce(d.terms[7 * r.rank::integer], 0)           AS term_diversity,
       d.explanation -> 'items' -> (r.rank::integer - 1) ->> 'reason' AS reason
FROM decisions d
CROSS JOIN LATERAL unnest(d.item_ids, d.titles, d.predictions, d.scores)
    WITH ORDINALITY AS r(item_id, title, prediction, score, rank)
LEFT JOIN models m ON m.id = d.model_id;
COMMENT ON VIEW   recommendations        IS 'One row for each recommended item: the ledger as analysts want it.';
COMMENT ON COLUMN recommendations.run_id IS '0 is live traffic; a replay writes under a number of its own.';
COMMENT ON TABLE  decisions              IS 'The ledger: one row for each request that was decided. For one row a recommended item, see recommendations.';
COMMENT ON COLUMN decisions.run_id       IS '0 is live traffic; a replay writes under a number of its own.';
COMMENT ON COLUMN replays.run_id         IS 'Number of the replay; decisions.run_id and recommendations.run_id refer to it. 0 is live traffic and none of these.';
COMMENT ON COLUMN replays.plan           IS 'What was asked for: filter, model, scoring parameters, features, catalogue, rate.';
