package main

// demoQueries are what analysts would ask; they are shown with what they return.
var demoQueries = []struct{ question, sql string }{
	{"What is recommended most, and how sure is the model?", `SELECT title, count(*) AS times, round(avg(prediction)::numeric, 3) AS prediction
FROM recommendations
WHERE scored_at >= now() - interval '1 hour' AND rank <= 3
GROUP BY title ORDER BY times DESC, title LIMIT 5`},

	{"Which moods does the model serve best?", `SELECT coalesce(mood, 'unknown') AS mood, count(DISTINCT request_id) AS requests,
       round(avg(prediction)::numeric, 3) AS prediction
FROM recommendations
WHERE scored_at >= now() - interval '1 hour'
GROUP BY 1 ORDER BY 3 DESC`},

	{"The experiment: are films of the candidate watched to the end more often? (± is for 95 %, from household to household)",
		`WITH reactions AS (
    SELECT request_id, item_id, max((action = 'click')::int) AS clicked, max((action = 'complete')::int) AS completed
    FROM outcomes WHERE received_at >= now() - interval '1 hour' GROUP BY 1, 2
), households AS (
    SELECT variant, model_name || '@' || model_version AS model, user_id, count(DISTINCT request_id) AS requests,
           count(*) AS films, sum(prediction) AS predicted, sum(clicked) AS clicked, sum(completed) AS completed
    FROM recommendations JOIN reactions USING (request_id, item_id)
    WHERE scored_at >= now() - interval '1 hour' AND experiment = 'new-ranker' GROUP BY 1, 2, 3
), shares AS (
    SELECT *, sum(completed) OVER arm / sum(films) OVER arm AS share FROM households WINDOW arm AS (PARTITION BY variant)
)
SELECT variant, model, count(*) AS households, sum(requests) AS requests, sum(films) AS films,
       round(sum(predicted)::numeric / sum(films), 3) AS predicted, round(sum(clicked) / sum(films), 3) AS clicked,
       round(avg(share), 3) AS completed, round(1.96 * sqrt(sum((completed - share * films) ^ 2)) / sum(films), 3) AS "±"
FROM shares GROUP BY 1, 2 ORDER BY 1 DESC`},

	{"The shadow: how often would it have answered the same?", `SELECT d.variant AS served, s.variant AS shadow, name || '@' || version AS shadow_model, count(*) AS requests,
       round(avg((s.item_ids[1] = d.item_ids[1])::int), 3) AS same_first,
       round(avg((SELECT count(*) FROM unnest(d.item_ids[:3]) AS id WHERE id = ANY (s.item_ids[:3]))
                 / nullif(least(3, cardinality(d.item_ids)), 0)::numeric), 3) AS same_of_top_3
FROM shadow_decisions s JOIN decisions d USING (request_id) JOIN models m ON m.id = s.model_id
WHERE d.run_id = 0 AND s.scored_at >= now() - interval '1 hour' AND d.scored_at >= now() - interval '1 hour'
GROUP BY 1, 2, 3 ORDER BY 1 DESC`},

	{"What is known of the busiest household?", `SELECT user_id, cardinality(item_ids) AS films, round(activity::numeric, 1) AS activity,
       round((duration_sum / nullif(duration_weight, 0))::numeric) AS typical_minutes,
       (SELECT string_agg(genre || ' ' || round(weight::numeric, 1), ', ' ORDER BY weight DESC)
        FROM (SELECT * FROM unnest(genres, genre_weights) AS g(genre, weight) ORDER BY weight DESC LIMIT 4) AS best) AS likes
FROM profiles ORDER BY profiles.activity DESC LIMIT 1`},
}
