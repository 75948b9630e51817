-- +goose Up

-- No table is rewritten: what is added is null or has a constant for its default. Each change waits for the readers
-- of its table, with the writers waiting behind, so migrations give up soon and are tried again.
ALTER TABLE items ADD COLUMN tags text[] NOT NULL DEFAULT '{}' CHECK (array_position(tags, NULL) IS NULL);
COMMENT ON COLUMN items.tags IS 'Anything else that items have in common, such as directors; case-exact.';

-- With defaults, so that an instance of the version before can write beside one of this.
ALTER TABLE decisions
    ADD COLUMN pinned      integer NOT NULL DEFAULT 0,
    ADD COLUMN cold_start  text[],
    ADD COLUMN terms       float8[],
    ADD COLUMN explain     boolean NOT NULL DEFAULT false,
    ADD COLUMN explanation json;
COMMENT ON COLUMN decisions.tier        IS 'Who answered: model, else previous_model, else similar, else popular, else editorial, else basic; the order can be configured.';
COMMENT ON COLUMN decisions.degraded    IS 'Reason codes, one for each better tier that was left, best first; empty when the first tier answered.';
COMMENT ON COLUMN decisions.scores      IS 'What the items were ordered by, in the order of item_ids; each is the sum of its terms.';
COMMENT ON COLUMN decisions.pinned      IS 'That many items come first because the request pins them.';
COMMENT ON COLUMN decisions.cold_start  IS 'What was not known: anonymous_user, unknown_user, empty_context, new_item; null is nothing that matters.';
COMMENT ON COLUMN decisions.terms       IS 'The parts of each score, seven an item, item after item: base, boost, affinity, freshness, popularity, similarity, diversity. Null where each score is its base alone. See recommendations for them by name.';
COMMENT ON COLUMN decisions.explain     IS 'True: the request asked for the explanation.';
COMMENT ON COLUMN decisions.explanation IS 'What was kept of how the decision came about: items (reason, contributions) in the order of item_ids, dropped (items that were left out, and why). Null where nothing was kept.';

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
COMMENT ON COLUMN recommendations.tier            IS 'Who answered: model, else previous_model, else similar, else popular, else editorial, else basic; the order can be configured.';
COMMENT ON COLUMN recommendations.degraded        IS 'Reason codes, one for each better tier that was left, best first.';
COMMENT ON COLUMN recommendations.score           IS 'What the items were ordered by: the sum of the terms.';
COMMENT ON COLUMN recommendations.pinned          IS 'True: it stands at its place because the request pins it.';
COMMENT ON COLUMN recommendations.cold_start      IS 'What the decision did not know: anonymous_user, unknown_user, empty_context, new_item; null is nothing that matters.';
COMMENT ON COLUMN recommendations.term_base       IS 'Part of the score: the tier''s own measure; of a model the weighted, calibrated prediction.';
COMMENT ON COLUMN recommendations.term_boost      IS 'Part of the score: of business rules; a demotion is negative.';
COMMENT ON COLUMN recommendations.term_affinity   IS 'Part of the score: of the user''s profile with the item.';
COMMENT ON COLUMN recommendations.term_freshness  IS 'Part of the score: of the item''s age.';
COMMENT ON COLUMN recommendations.term_popularity IS 'Part of the score: of the item''s popularity in the catalogue.';
COMMENT ON COLUMN recommendations.term_similarity IS 'Part of the score: to the item that the request asks for the like of.';
COMMENT ON COLUMN recommendations.term_diversity  IS 'Part of the score: what likeness to the items before it takes away.';
COMMENT ON COLUMN recommendations.reason          IS 'Why it was recommended, in plain words; null where no explanation was kept.';

-- The empty text stands for unknown because a key has no nulls.
CREATE TABLE popularity (
    mood           text        NOT NULL,
    group_size     text        NOT NULL,
    session_length text        NOT NULL,
    item_id        text        NOT NULL,
    weight         float8      NOT NULL CHECK (weight >= 0 AND weight < 'Infinity'),
    as_of          timestamptz NOT NULL CHECK (isfinite(as_of)),
    PRIMARY KEY (mood, group_size, session_length, item_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE  popularity                IS 'How much each item was watched in each context, by outcomes: a click counts 1, a play 2, a completion 4, a rating above 3 twice what it is above, at most 4. Weights decay exponentially with the time between outcomes; those here are as of as_of. What has faded to nothing is deleted.';
COMMENT ON COLUMN popularity.mood           IS 'Mood of the request: funny, action, dramatic or relaxing; empty is unknown.';
COMMENT ON COLUMN popularity.group_size     IS 'Company of the request: solo, couple or group; empty is unknown.';
COMMENT ON COLUMN popularity.session_length IS 'Time of the request: short, medium or binge; empty is unknown.';
COMMENT ON COLUMN popularity.item_id        IS 'Id of the item (items.id).';
COMMENT ON COLUMN popularity.weight         IS 'Decayed sum of what the outcomes count.';
COMMENT ON COLUMN popularity.as_of          IS 'Time of the latest outcome that counts.';

CREATE TABLE editorial_lists (
    name           text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 128),
    mood           text        CHECK (mood IN ('funny', 'action', 'dramatic', 'relaxing')),
    group_size     text        CHECK (group_size IN ('solo', 'couple', 'group')),
    session_length text        CHECK (session_length IN ('short', 'medium', 'binge')),
    starts_at      timestamptz CHECK (isfinite(starts_at)),
    ends_at        timestamptz CHECK (isfinite(ends_at)),
    priority       integer     NOT NULL DEFAULT 0,
    item_ids       text[]      NOT NULL CHECK (cardinality(item_ids) > 0 AND array_position(item_ids, NULL) IS NULL),
    changed_at     timestamptz NOT NULL DEFAULT now(),
    CHECK (ends_at > starts_at)
);
COMMENT ON TABLE  editorial_lists                IS 'Lists that people made, each for a context and a time. Changes are picked up by running instances within seconds.';
COMMENT ON COLUMN editorial_lists.name           IS 'Name of the list.';
COMMENT ON COLUMN editorial_lists.mood           IS 'The mood that it is for: funny, action, dramatic or relaxing; null is all.';
COMMENT ON COLUMN editorial_lists.group_size     IS 'The company that it is for: solo, couple or group; null is all.';
COMMENT ON COLUMN editorial_lists.session_length IS 'The time that it is for: short, medium or binge; null is all.';
COMMENT ON COLUMN editorial_lists.starts_at      IS 'The list is used from then on; null is always.';
COMMENT ON COLUMN editorial_lists.ends_at        IS 'The list is no longer used from then on; null is never.';
COMMENT ON COLUMN editorial_lists.priority       IS 'Of several lists for a request the one with the larger number comes first; among equals the name decides.';
COMMENT ON COLUMN editorial_lists.item_ids       IS 'Ids of the items (items.id), best first.';
COMMENT ON COLUMN editorial_lists.changed_at     IS 'When the list was imported last.';

CREATE TABLE configs (
    version       text PRIMARY KEY,
    text          text        NOT NULL,
    first_used_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  configs               IS 'Every set of scoring parameters that was put into force.';
COMMENT ON COLUMN configs.version       IS 'Hash of the parameters; decisions.config_version refers to it.';
COMMENT ON COLUMN configs.text          IS 'The parameters, as YAML.';
COMMENT ON COLUMN configs.first_used_at IS 'When they were first put to use.';

CREATE TABLE tier_changes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    instance   text        NOT NULL,
    tier       text        NOT NULL,
    model_id   integer     REFERENCES models (id),
    variant    text,
    from_state text        NOT NULL,
    to_state   text        NOT NULL,
    reason     text
);
COMMENT ON TABLE  tier_changes            IS 'Every time that an instance stopped trusting a tier, tried it again or trusts it again: the changes of its circuit breakers.';
COMMENT ON COLUMN tier_changes.id         IS 'Number of the change.';
COMMENT ON COLUMN tier_changes.at         IS 'When it was.';
COMMENT ON COLUMN tier_changes.instance   IS 'Name of the instance.';
COMMENT ON COLUMN tier_changes.tier       IS 'The tier, such as model.';
COMMENT ON COLUMN tier_changes.model_id   IS 'The model that the tier ranked by (models.id); null for a tier without one.';
COMMENT ON COLUMN tier_changes.variant    IS 'experiment/variant of a variant with parameters of its own, or of a shadow, whose breakers are its own; null for all others.';
COMMENT ON COLUMN tier_changes.from_state IS 'State before: closed (trusted), open (resting), half_open (on trial) or drifted (a model whose predictions are off).';
COMMENT ON COLUMN tier_changes.to_state   IS 'State from then on.';
COMMENT ON COLUMN tier_changes.reason     IS 'Code of the failure that led to it; null is none.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON popularity, editorial_lists, configs, tier_changes TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE tier_changes;
DROP TABLE configs;
DROP TABLE editorial_lists;
DROP TABLE popularity;
DROP VIEW recommendations;
ALTER TABLE decisions DROP COLUMN pinned, DROP COLUMN cold_start, DROP COLUMN terms, DROP COLUMN explain, DROP COLUMN explanation;
ALTER TABLE items DROP COLUMN tags;
COMMENT ON COLUMN decisions.tier     IS 'Who answered: model, else previous_model, else popular, else basic.';
COMMENT ON COLUMN decisions.degraded IS 'Reason codes, one for each better tier that was left; empty when the model answered.';
COMMENT ON COLUMN decisions.scores   IS 'What the items were ordered by, in the order of item_ids.';
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
       d.scored_at,
       d.experiment,
       d.variant
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
COMMENT ON COLUMN recommendations.tier           IS 'Who answered: model, else previous_model, else popular, else basic.';
COMMENT ON COLUMN recommendations.degraded       IS 'Reason codes, one for each better tier that was left.';
COMMENT ON COLUMN recommendations.model_name     IS 'Name of the model; null when no model answered.';
COMMENT ON COLUMN recommendations.model_version  IS 'Version of the model; null when no model answered.';
COMMENT ON COLUMN recommendations.config_version IS 'Hash of the scoring parameters in force.';
COMMENT ON COLUMN recommendations.requested_at   IS 'Time of the request event.';
COMMENT ON COLUMN recommendations.scored_at      IS 'When the request was scored. Name it in a WHERE clause: the ledger is partitioned by its UTC day.';
COMMENT ON COLUMN recommendations.experiment     IS 'Experiment that took the user; null is none.';
COMMENT ON COLUMN recommendations.variant        IS 'Variant of the experiment that decided.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON recommendations TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd
