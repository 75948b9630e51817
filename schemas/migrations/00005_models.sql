-- +goose Up

ALTER TABLE models
    ADD COLUMN format        text,
    ADD COLUMN features      text[],
    ADD COLUMN user_features text[],
    ADD COLUMN pair_features text[];
COMMENT ON TABLE  models               IS 'Every model that was put into force, or scored in an experiment.';
COMMENT ON COLUMN models.name          IS 'Name of the model, from its manifest, the configuration or its file.';
COMMENT ON COLUMN models.version       IS 'Version of the model, from its manifest, the configuration or its file''s SHA-256.';
COMMENT ON COLUMN models.sha256        IS 'SHA-256 of the bundle''s manifest, which has that of the model file and all that the features are made by; of the file where there is no bundle.';
COMMENT ON COLUMN models.format        IS 'What wrote the model file: lightgbm, xgboost-json, xgboost-ubj or onnx.';
COMMENT ON COLUMN models.features      IS 'Names of the model''s features, in its order.';
COMMENT ON COLUMN models.user_features IS 'Names of the values in decisions.user_features.';
COMMENT ON COLUMN models.pair_features IS 'Names of the values of one item in decisions.pair_features.';

ALTER TABLE decisions
    ADD COLUMN experiment    text,
    ADD COLUMN variant       text,
    ADD COLUMN user_features float8[],
    ADD COLUMN pair_features float8[];
COMMENT ON COLUMN decisions.tier          IS 'Who answered: model, else previous_model, else popular, else basic.';
COMMENT ON COLUMN decisions.experiment    IS 'Experiment that took the user; null is none.';
COMMENT ON COLUMN decisions.variant       IS 'Variant of the experiment that decided.';
COMMENT ON COLUMN decisions.user_features IS 'What the model saw of the user''s profile and history at that time, named by models.user_features; NaN is a missing value, null none at all.';
COMMENT ON COLUMN decisions.pair_features IS 'What it saw of the user together with each recommended item, item after item, named by models.pair_features.';

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
       d.variant
FROM decisions d
CROSS JOIN LATERAL unnest(d.item_ids, d.titles, d.predictions, d.scores)
    WITH ORDINALITY AS r(item_id, title, prediction, score, rank)
LEFT JOIN models m ON m.id = d.model_id;
COMMENT ON COLUMN recommendations.tier       IS 'Who answered: model, else previous_model, else popular, else basic.';
COMMENT ON COLUMN recommendations.experiment IS 'Experiment that took the user; null is none.';
COMMENT ON COLUMN recommendations.variant    IS 'Variant of the experiment that decided.';

-- The log is the state: the last row names the active model.
CREATE TABLE model_changes (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    actor    text        NOT NULL,
    action   text        NOT NULL CHECK (action IN ('activate', 'rollback')),
    from_id  integer     REFERENCES models (id),
    to_id    integer     NOT NULL REFERENCES models (id),
    why      text        NOT NULL,
    served_at timestamptz
);
COMMENT ON TABLE  model_changes           IS 'Every change of the active model: who, when, from, to and why. The last row names the active one.';
COMMENT ON COLUMN model_changes.id        IS 'Number of the change.';
COMMENT ON COLUMN model_changes.at        IS 'When it was made.';
COMMENT ON COLUMN model_changes.actor     IS 'Who made it.';
COMMENT ON COLUMN model_changes.action    IS 'activate: a version was chosen; rollback: back to the one that served before.';
COMMENT ON COLUMN model_changes.from_id   IS 'The model that was active before (models.id); null is none.';
COMMENT ON COLUMN model_changes.to_id     IS 'The model that is active from then on (models.id).';
COMMENT ON COLUMN model_changes.why       IS 'Why, in the actor''s words.';
COMMENT ON COLUMN model_changes.served_at IS 'When an instance first served with it; null is never.';

CREATE TABLE experiments (
    name       text PRIMARY KEY,
    spec       jsonb       NOT NULL,
    running    boolean     NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE  experiments            IS 'Experiments, running and stopped.';
COMMENT ON COLUMN experiments.name       IS 'Name of the experiment, as decisions.experiment has it.';
COMMENT ON COLUMN experiments.spec       IS 'Seed, coverage, namespace, variants with their weights, models and parameters, and shadows.';
COMMENT ON COLUMN experiments.running    IS 'True: users are assigned to it.';
COMMENT ON COLUMN experiments.changed_at IS 'When it was started or stopped last.';

CREATE TABLE experiment_changes (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT now(),
    actor  text        NOT NULL,
    name   text        NOT NULL,
    action text        NOT NULL CHECK (action IN ('start', 'stop')),
    spec   jsonb       NOT NULL,
    why    text        NOT NULL
);
COMMENT ON TABLE  experiment_changes        IS 'Every start and stop of an experiment.';
COMMENT ON COLUMN experiment_changes.id     IS 'Number of the change.';
COMMENT ON COLUMN experiment_changes.at     IS 'When it was made.';
COMMENT ON COLUMN experiment_changes.actor  IS 'Who made it.';
COMMENT ON COLUMN experiment_changes.name   IS 'Name of the experiment.';
COMMENT ON COLUMN experiment_changes.action IS 'start or stop.';
COMMENT ON COLUMN experiment_changes.spec   IS 'The experiment as it was then.';
COMMENT ON COLUMN experiment_changes.why    IS 'Why, in the actor''s words.';

CREATE TABLE shadow_decisions (
    request_id     text        NOT NULL,
    experiment     text        NOT NULL,
    variant        text        NOT NULL,
    scored_at      timestamptz NOT NULL,
    tier           text        NOT NULL,
    degraded       text[]      NOT NULL,
    model_id       integer,
    config_version text        NOT NULL,
    item_ids       text[]      NOT NULL,
    predictions    float8[]    NOT NULL,
    scores         float8[]    NOT NULL,
    PRIMARY KEY (request_id, experiment, variant)
);
CREATE INDEX shadow_decisions_scored_at ON shadow_decisions USING brin (scored_at);
COMMENT ON TABLE  shadow_decisions                IS 'What the shadows of experiments would have answered. Nobody was served with it; under load some are left out.';
COMMENT ON COLUMN shadow_decisions.request_id     IS 'Id of the request (decisions.request_id).';
COMMENT ON COLUMN shadow_decisions.experiment     IS 'Experiment that the shadow belongs to.';
COMMENT ON COLUMN shadow_decisions.variant        IS 'Name of the shadow.';
COMMENT ON COLUMN shadow_decisions.scored_at      IS 'When the request itself was scored.';
COMMENT ON COLUMN shadow_decisions.tier           IS 'Who would have answered.';
COMMENT ON COLUMN shadow_decisions.degraded       IS 'Reason codes, one for each better tier that was left.';
COMMENT ON COLUMN shadow_decisions.model_id       IS 'The shadow''s model (models.id); null when no model answered.';
COMMENT ON COLUMN shadow_decisions.config_version IS 'Hash of the shadow''s scoring parameters.';
COMMENT ON COLUMN shadow_decisions.item_ids       IS 'Ids of the items, best first.';
COMMENT ON COLUMN shadow_decisions.predictions    IS 'Predictions, in the order of item_ids; null where the tier makes none.';
COMMENT ON COLUMN shadow_decisions.scores         IS 'What the items were ordered by, in the order of item_ids.';

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
        GRANT SELECT ON model_changes, experiments, experiment_changes, shadow_decisions TO analyst;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR serialization_failure OR internal_error THEN
        RAISE WARNING 'role analyst not fully set up: %', SQLERRM;
END
$$;
-- +goose StatementEnd

-- +goose Down
DROP TABLE shadow_decisions;
DROP TABLE experiment_changes;
DROP TABLE experiments;
DROP TABLE model_changes;
DROP VIEW recommendations;
ALTER TABLE decisions DROP COLUMN experiment, DROP COLUMN variant, DROP COLUMN user_features, DROP COLUMN pair_features;
ALTER TABLE models DROP COLUMN format, DROP COLUMN features, DROP COLUMN user_features, DROP COLUMN pair_features;
COMMENT ON TABLE  models               IS 'Every model that was put into force.';
COMMENT ON COLUMN models.name          IS 'Name of the model, from the configuration or its file.';
COMMENT ON COLUMN models.version       IS 'Version of the model, from the configuration or its file''s SHA-256.';
COMMENT ON COLUMN models.sha256        IS 'SHA-256 of the model file, in hexadecimal.';
COMMENT ON COLUMN decisions.tier             IS 'Who answered: model, else popular, else basic.';
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
