//! SQL as PostgreSQL's users write it, over one small table: the same rows, one by one, or a reason why not.

use super::{Postgres, dsv, same, session};
use crate::support::Sandbox;

const ROWS: &str = r#"{"id": 1, "name": "sparrow", "kind": "small", "weight": 24.5, "n": 7, "ok": true, "born": "2020-02-29", "seen": "2024-01-01T10:20:30.5", "tags": ["brown", "city"], "more": {"a": 1, "b": ["x", "y"]}}
{"id": 2, "name": "Wren", "kind": "small", "weight": 9.25, "n": -3, "ok": false, "born": "2021-12-31", "seen": "2024-02-29T23:59:59.999999", "tags": [], "more": {"a": null}}
{"id": 3, "name": "eagle", "kind": "large", "weight": 4300.0, "n": 0, "ok": null, "born": "1999-01-01", "seen": null, "tags": ["sea"], "more": null}
{"id": 4, "name": "owl, barn", "kind": "large", "weight": null, "n": 7, "ok": true, "born": null, "seen": "1969-12-31T23:00:00", "tags": null, "more": {"b": {"c": "deep"}}}
{"id": 5, "name": "", "kind": null, "weight": 41.0, "n": null, "ok": false, "born": "2024-03-31", "seen": "2024-03-10T02:30:00", "tags": ["city", null, "sea"], "more": {"a": 2.5}}
{"id": 6, "name": "größe_50%", "kind": "small", "weight": -0.5, "n": 100, "ok": true, "born": "2020-03-01", "seen": "2024-01-01T10:20:30.5", "tags": ["a b"], "more": {"a": "1"}}
{"id": 7, "name": null, "kind": "odd", "weight": 24.5, "n": 2, "ok": null, "born": "2020-02-29", "seen": "2023-06-15T12:00:00", "tags": ["city"], "more": [1, 2]}
"#;

const TYPES: &str = "id=int64,name=text,kind=text,weight=float64,n=int64,ok=bool,born=date,seen=timestamp(us),tags=list<text>,more=json";
const CREATE: &str =
    "CREATE TABLE t (id bigint, name text, kind text, weight double precision, n bigint, ok boolean, born date, seen timestamp, tags text[], more jsonb)";

/// Rows and order are to be the same.
const SAME: &[&str] = &[
    // Casts
    "SELECT id::text AS i, n::double precision, weight::numeric(10,1) AS w, '12'::int, ' 7 '::text, 'true'::boolean FROM t ORDER BY id",
    "SELECT CAST(weight AS int) FROM t WHERE id IN (3, 5) ORDER BY id",
    "SELECT '2024-02-29'::date, '2024-02-29 12:30:00'::timestamp, born::timestamp, seen::date FROM t ORDER BY id",
    "SELECT 1::bigint + 2::smallint, 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7.0 / 2",
    // Text
    "SELECT id FROM t WHERE name ILIKE 'W%' ORDER BY id",
    "SELECT id FROM t WHERE name NOT ILIKE '%R%' ORDER BY id",
    "SELECT id FROM t WHERE name LIKE '%\\_50\\%' ORDER BY id",
    "SELECT id FROM t WHERE name ~ '^[a-s]' ORDER BY id",
    "SELECT id FROM t WHERE name ~* '^W' ORDER BY id",
    "SELECT id FROM t WHERE name !~ 'r' ORDER BY id",
    "SELECT id FROM t WHERE name !~* 'R' ORDER BY id",
    "SELECT id FROM t WHERE name SIMILAR TO '(sparrow|eagle)' ORDER BY id",
    "SELECT id, length(name), octet_length(name), upper(name), lower(name), initcap(name), reverse(name) FROM t WHERE id NOT IN (4, 6) ORDER BY id",
    "SELECT substring(name FROM 2 FOR 3), substr(name, 3), left(name, 2), right(name, 2), left(name, -1) FROM t ORDER BY id",
    "SELECT position('r' IN name), strpos(name, 'e'), replace(name, 'r', '**'), translate(name, 'er', '31') FROM t ORDER BY id",
    "SELECT trim(both ' ' from '  x '), ltrim('xxa', 'x'), rtrim('axx', 'x'), lpad('7', 3, '0'), rpad('7', 3, '0'), repeat('ab', 3)",
    "SELECT split_part(name, ',', 2), name || '!' || coalesce(kind, '-'), concat(name, kind, id), concat_ws('-', name, kind, id) FROM t ORDER BY id",
    "SELECT regexp_replace(name, '[aeiou]', '_', 'g') FROM t ORDER BY id",
    "SELECT md5(name), encode(sha256('abc'::bytea), 'hex') FROM t ORDER BY id",
    "SELECT ascii('A'), chr(955), to_hex(255), starts_with('dsv', 'd')",
    // Conditions and nulls
    "SELECT id FROM t WHERE kind IN ('small', 'odd') ORDER BY id",
    "SELECT id FROM t WHERE kind NOT IN ('small', 'odd') ORDER BY id",
    "SELECT id FROM t WHERE n NOT IN (SELECT n FROM t WHERE id > 4) ORDER BY id",
    "SELECT id FROM t WHERE n NOT IN (SELECT n FROM t WHERE id > 5) ORDER BY id",
    "SELECT id FROM t WHERE weight BETWEEN 9.25 AND 41 ORDER BY id",
    "SELECT id, ok IS TRUE, ok IS NOT TRUE, ok IS FALSE, ok IS UNKNOWN, NOT ok, ok AND n > 0, ok OR n > 0 FROM t ORDER BY id",
    "SELECT id, kind IS DISTINCT FROM 'small', n IS NOT DISTINCT FROM NULL FROM t ORDER BY id",
    "SELECT coalesce(n, -1), nullif(n, 7), greatest(n, 3), least(n, 3), greatest(n, NULL) FROM t ORDER BY id",
    "SELECT id, CASE WHEN weight > 100 THEN 'heavy' WHEN weight > 10 THEN 'mid' ELSE 'light' END, CASE kind WHEN 'small' THEN 1 END FROM t ORDER BY id",
    "SELECT NULL = NULL, NULL <> 1, 1 IN (1, NULL), 2 IN (1, NULL), 2 NOT IN (1, NULL)",
    "SELECT (1, 2) = (1, 2), (1, 2) = (1, 3)",
    "SELECT id FROM t WHERE n = ANY(ARRAY[7, 100]) ORDER BY id",
    "SELECT id FROM t WHERE 'city' = ANY(tags) ORDER BY id",
    "SELECT id FROM t WHERE n > (SELECT avg(n) FROM t) ORDER BY id",
    "SELECT id FROM t a WHERE EXISTS (SELECT 1 FROM t b WHERE b.kind = a.kind AND b.id > a.id) ORDER BY id",
    // Order
    "SELECT id FROM t ORDER BY n, id",
    "SELECT id FROM t ORDER BY n DESC, id",
    "SELECT id FROM t ORDER BY n NULLS FIRST, id",
    "SELECT id FROM t ORDER BY n DESC NULLS LAST, id",
    "SELECT id, weight FROM t ORDER BY 2 DESC NULLS LAST, 1 LIMIT 3 OFFSET 1",
    "SELECT DISTINCT ON (kind) kind, id FROM t ORDER BY kind, weight DESC NULLS LAST, id",
    "SELECT DISTINCT kind, ok FROM t ORDER BY kind, ok",
    // Groups
    "SELECT kind, count(*), count(n), sum(n), avg(n), min(name), max(weight) FROM t WHERE name <> 'Wren' GROUP BY kind ORDER BY kind",
    "SELECT count(*) FILTER (WHERE ok), sum(n) FILTER (WHERE n > 0), count(DISTINCT kind) FROM t",
    "SELECT kind, count(*) FROM t GROUP BY kind HAVING count(*) > 1 ORDER BY kind",
    "SELECT kind, ok, count(*), grouping(kind), grouping(ok) FROM t GROUP BY ROLLUP (kind, ok) ORDER BY grouping(kind), grouping(ok), kind, ok",
    "SELECT kind, ok, count(*) FROM t GROUP BY GROUPING SETS ((kind), (ok)) ORDER BY grouping(kind), kind, ok",
    "SELECT kind, ok, count(*) FROM t GROUP BY CUBE (kind, ok) ORDER BY grouping(kind), grouping(ok), kind, ok",
    "SELECT string_agg(name, ';' ORDER BY id), array_agg(id ORDER BY id DESC), bool_and(ok), bool_or(ok) FROM t",
    "SELECT stddev(weight), stddev_pop(weight), var_samp(weight), var_pop(weight), corr(n, weight), covar_pop(n, weight), regr_slope(n, weight) FROM t",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY weight) FROM t",
    "SELECT sum(n) FROM t WHERE false",
    "SELECT count(*), sum(n), min(n) FROM t WHERE id > 100",
    "SELECT bit_and(id), bit_or(id), bit_xor(id) FROM t",
    // Windows
    "SELECT id, row_number() OVER (ORDER BY weight, id), rank() OVER (ORDER BY weight), dense_rank() OVER (ORDER BY weight DESC) FROM t ORDER BY id",
    "SELECT id, sum(n) OVER (PARTITION BY kind ORDER BY id), avg(weight) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM t ORDER BY id",
    "SELECT id, lag(n) OVER (ORDER BY id), lead(n, 2, -1) OVER (ORDER BY id), first_value(n) OVER w, last_value(n) OVER w, nth_value(n, 2) OVER w FROM t WINDOW w AS (ORDER BY id) ORDER BY id",
    "SELECT id, ntile(3) OVER (ORDER BY id), percent_rank() OVER (ORDER BY n), cume_dist() OVER (ORDER BY n) FROM t ORDER BY id",
    "SELECT id, count(*) FILTER (WHERE ok) OVER (ORDER BY id) FROM t ORDER BY id",
    "SELECT id, sum(n) OVER (ORDER BY n RANGE BETWEEN 5 PRECEDING AND 5 FOLLOWING) FROM t WHERE n IS NOT NULL ORDER BY id",
    // Joins and sets
    "SELECT a.id, b.id FROM t a JOIN t b ON a.n = b.n AND a.id < b.id ORDER BY 1, 2",
    "SELECT a.id, b.id FROM t a LEFT JOIN t b ON a.n = b.n AND a.id <> b.id ORDER BY 1, 2",
    "SELECT a.id, b.id FROM t a FULL JOIN (SELECT id + 3 AS id FROM t) b ON a.id = b.id ORDER BY 1, 2",
    "SELECT id, count(*) FROM t a JOIN t b USING (id) GROUP BY id ORDER BY id",
    // Joins by USING and NATURAL: whose column it is, and what * gives
    "SELECT id FROM t a FULL JOIN t b USING (id) ORDER BY id",
    "SELECT * FROM (SELECT name, id FROM t WHERE id < 5) a FULL JOIN (SELECT n, id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT * FROM (SELECT name, id FROM t WHERE id < 5) a RIGHT JOIN (SELECT n, id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT * FROM (SELECT name, id FROM t WHERE id < 5) z LEFT JOIN (SELECT n, id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT * FROM (SELECT name, id FROM t WHERE id < 5) z JOIN (SELECT n, id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT a.*, b.n FROM (SELECT name, id FROM t WHERE id < 5) a FULL JOIN (SELECT n, id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT id, a.id AS i, b.id AS j FROM (SELECT id FROM t WHERE id < 5) a FULL JOIN (SELECT id FROM t WHERE id > 2) b USING (id) ORDER BY id",
    "SELECT id, a.id, b.id FROM (SELECT id FROM t WHERE id < 5) a FULL JOIN (SELECT id FROM t WHERE id > 2) b USING (id) ORDER BY 1",
    "SELECT a.id FROM (SELECT id FROM t WHERE id < 5) a FULL JOIN (SELECT id FROM t WHERE id > 2) b USING (id) ORDER BY id, b.id",
    "SELECT kind, n, a.name, b.name FROM (SELECT * FROM t WHERE id < 5) a FULL JOIN (SELECT * FROM t WHERE id > 2) b USING (kind, n) ORDER BY kind, n, a.id, b.id",
    "SELECT kind, count(*), count(a.id), count(b.id) FROM (SELECT kind, id FROM t WHERE id < 3) a FULL JOIN (SELECT kind, id FROM t WHERE id > 3) b USING (kind) GROUP BY kind ORDER BY kind",
    "SELECT id + 1, -id AS id FROM (SELECT id FROM t WHERE id < 3) a RIGHT JOIN (SELECT id FROM t WHERE id > 1) b USING (id) WHERE id < 6 ORDER BY id",
    "SELECT * FROM (SELECT id, name FROM t WHERE id < 5) a NATURAL FULL JOIN (SELECT n, id FROM t WHERE id > 2) b ORDER BY id",
    "SELECT * FROM (SELECT n, kind FROM t WHERE id < 5) a NATURAL RIGHT JOIN (SELECT kind, n, id FROM t WHERE id > 2) b ORDER BY id",
    "SELECT * FROM (SELECT id, name FROM t WHERE id < 3) a FULL JOIN (SELECT id, n FROM t WHERE id IN (2, 4)) b USING (id) FULL JOIN (SELECT id, ok FROM t WHERE id > 3) c USING (id) ORDER BY id",
    "SELECT id, c.ok FROM (SELECT id FROM t WHERE id < 3) a JOIN (SELECT id FROM t) b USING (id) FULL JOIN (SELECT id, ok FROM t WHERE id > 1) c USING (id) ORDER BY id",
    "SELECT id, c.ok FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 4) b USING (id) LEFT JOIN (SELECT id, ok FROM t WHERE id > 1) c USING (id) ORDER BY id",
    "SELECT id, b.n FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN ((SELECT id, n FROM t WHERE id > 1) b RIGHT JOIN (SELECT id FROM t WHERE id > 5) c USING (id)) USING (id) ORDER BY id",
    "SELECT j.* FROM ((SELECT id, name FROM t WHERE id < 3) a FULL JOIN (SELECT id, n FROM t WHERE id > 1) b USING (id)) AS j ORDER BY j.id",
    "SELECT id, (SELECT max(c.name) FROM t c WHERE c.id = b.id) FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 1) b USING (id) ORDER BY id",
    "SELECT id FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 5) b USING (id) WHERE id IN (SELECT id FROM t WHERE n = 7 OR n = 2) ORDER BY id",
    "SELECT id FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 5) b USING (id) WHERE EXISTS (SELECT 1 FROM (SELECT n AS k FROM t) c WHERE k = id) ORDER BY id",
    "SELECT x AS id FROM (SELECT id, name AS x FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 1) b USING (id) WHERE id < 5 ORDER BY id",
    "SELECT DISTINCT ON (kind) kind, a.id FROM (SELECT kind, id FROM t WHERE id < 3) a RIGHT JOIN (SELECT kind FROM t) b USING (kind) ORDER BY kind, a.id",
    "SELECT id, sum(id) OVER (ORDER BY id) FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id > 1) b USING (id) ORDER BY id",
    "WITH w AS (SELECT * FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id, n FROM t WHERE id > 1) b USING (id)) SELECT * FROM w RIGHT JOIN (SELECT id, ok FROM t WHERE id > 4) c USING (id) ORDER BY id",
    "SELECT id FROM (SELECT id FROM t WHERE id < 3) a FULL JOIN (SELECT id FROM t WHERE id = 7) b USING (id) UNION SELECT id FROM t a RIGHT JOIN (SELECT id FROM t WHERE id = 5) b USING (id) ORDER BY id",
    "SELECT a.id, b.m FROM t a CROSS JOIN LATERAL (SELECT max(n) AS m FROM t c WHERE c.kind = a.kind) b ORDER BY a.id",
    "SELECT n FROM t WHERE id < 5 UNION SELECT n FROM t WHERE id > 3 ORDER BY n",
    "SELECT n FROM t WHERE id < 5 UNION ALL SELECT n FROM t WHERE id > 3 ORDER BY n",
    "SELECT n FROM t INTERSECT SELECT id FROM t ORDER BY 1",
    "SELECT n FROM t EXCEPT SELECT id FROM t ORDER BY 1",
    "WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 5) SELECT i, i * i FROM r ORDER BY i",
    "WITH small AS (SELECT * FROM t WHERE kind = 'small') SELECT s.id, t.id FROM small s JOIN t ON t.weight = s.weight ORDER BY 1, 2",
    "SELECT x, y FROM (VALUES (1, 'a'), (2, NULL)) AS v(x, y) ORDER BY x",
    // Dates and times
    "SELECT id, born::timestamp + interval '1 month', (born - interval '1 year 2 days')::date, seen + interval '36 hours' FROM t ORDER BY id",
    "SELECT id, extract(year FROM born), extract(month FROM born), extract(dow FROM born), extract(doy FROM born), extract(epoch FROM seen), date_part('hour', seen) FROM t ORDER BY id",
    "SELECT id, extract(week FROM born), extract(quarter FROM born), extract(isodow FROM born) FROM t ORDER BY id",
    "SELECT id, date_trunc('month', seen), date_trunc('hour', seen), date_trunc('week', seen) FROM t ORDER BY id",
    "SELECT id FROM t WHERE seen >= timestamp '2024-01-01' AND seen < timestamp '2024-01-01' + interval '2 months' ORDER BY id",
    "SELECT id FROM t WHERE born > date '2020-02-29' - interval '1 day' ORDER BY id",
    "SELECT make_date(2024, 2, 29), to_timestamp(0) = timestamp with time zone '1970-01-01 00:00:00+00'",
    "SELECT date '2024-03-01' - date '2024-02-01', date '2024-03-01' - 1",
    "SELECT date_bin(interval '15 minutes', seen, timestamp '2000-01-01') FROM t ORDER BY id",
    // Arrays
    "SELECT id, tags[1], tags[3], array_length(tags, 1), cardinality(tags) FROM t WHERE id <> 2 ORDER BY id",
    "SELECT ARRAY[1, 2, 3], ARRAY[1, 2] || 3, ARRAY[1] || ARRAY[2], array_append(ARRAY[1], 2), array_prepend(0, ARRAY[1]), (ARRAY[1, 2, 3])[2:3]",
    "SELECT array_position(ARRAY[5, 6, 5], 5), array_remove(ARRAY[1, 2, 3], 1), array_to_string(ARRAY[1, 2], ',')",
    "SELECT id FROM t WHERE tags @> ARRAY['city'] ORDER BY id",
    "SELECT id, tag FROM (SELECT id, unnest(tags) AS tag FROM t) u ORDER BY id, tag",
    "SELECT g FROM generate_series(1, 10, 3) AS g(g) ORDER BY g",
    "SELECT sum(g.i) FROM generate_series(1, 100) AS g(i)",
    "SELECT g.d FROM generate_series(timestamp '2024-01-30', timestamp '2024-02-02', interval '1 day') AS g(d) ORDER BY 1",
    // Numbers
    "SELECT abs(-3), ceil(1.2), floor(-1.2), round(2.4), trunc(-2.7), power(2, 10), sqrt(2.0), exp(1.0), ln(10.0), log(100.0), pi()",
    "SELECT round(2.345::numeric(10,3), 2), gcd(12, 18), lcm(4, 6), factorial(5)",
    "SELECT sin(1.0), cos(1.0), tan(1.0), atan2(1.0, 2.0), degrees(1.0), radians(180.0)",
    "SELECT 5 & 3, 5 | 3, 5 # 3, 1 << 4, 256 >> 4",
    "SELECT 'NaN'::double precision = 'NaN'::double precision, 'NaN'::double precision > 'Infinity'::double precision",
    "SELECT id FROM t WHERE weight = -0.5 OR n = 1e2 ORDER BY id",
    "SELECT 0.1 + 0.2 = 0.3::numeric, 1 = 1.0, '1' = 1::text",
    "SELECT variance(weight), sign(-3.0), mod(7, 3), mod(-7, 3), sign(weight) FROM t GROUP BY weight ORDER BY weight",
    "SELECT vector_norm('[3,4]')",
    // JSON; parts of it as text, for jsonb is printed with spaces
    "SELECT more->>'a' FROM t ORDER BY id",
    "SELECT more->'b'->>1, more#>>'{b,c}', more#>>'{1}', more->>1, more->'b'->> -1 FROM t ORDER BY id",
    "SELECT id FROM t WHERE more ? 'a' ORDER BY id",
    "SELECT id, more ?| ARRAY['b', 'z'], more ?& ARRAY['a', 'b'] FROM t ORDER BY id",
    "SELECT id FROM t WHERE more @> '{\"a\": 1}' OR more @> '[2]' OR more @> '{\"b\": [\"y\"]}' ORDER BY id",
    "SELECT id FROM t WHERE '{\"a\": 2.50}'::jsonb <@ more ORDER BY id",
    "SELECT id, jsonb_typeof(more), jsonb_typeof(more->'a'), jsonb_typeof(more->'b') FROM t ORDER BY id",
    "SELECT id, jsonb_array_length(more->'b') FROM t WHERE jsonb_typeof(more->'b') = 'array' ORDER BY id",
    "SELECT id, (more->>'a')::float8 * 2 FROM t WHERE id <> 3 ORDER BY id",
    "SELECT jsonb_extract_path_text(more, 'b', 'c'), jsonb_extract_path_text(more, 'b', '0') FROM t ORDER BY id",
    "SELECT ('[1, \"x\", null, true]'::jsonb)->>1, ('[1, null]'::jsonb)->>1, ('{\"k\": {\"k\": 3}}'::jsonb)#>>'{k,k}', ('1'::jsonb)->>'a'",
    // Subqueries, once more
    "SELECT id FROM t WHERE n >= ALL (SELECT n FROM t WHERE n IS NOT NULL) ORDER BY id",
    "SELECT id FROM t WHERE n = ANY (SELECT id FROM t) ORDER BY id",
    "SELECT id FROM t WHERE n < ANY (SELECT n FROM t b WHERE b.kind = t.kind) ORDER BY id",
    "SELECT id FROM t WHERE n <> ALL (SELECT n FROM t WHERE id < 3) ORDER BY id",
    "SELECT id FROM t WHERE n > ALL (SELECT n FROM t WHERE id > 4) ORDER BY id",
    "SELECT id, (SELECT max(b.id) FROM t b WHERE b.kind = a.kind) FROM t a ORDER BY id",
    "SELECT kind, n FROM (SELECT kind, n, row_number() OVER (PARTITION BY kind ORDER BY n DESC NULLS LAST, id) AS r FROM t) x WHERE r = 1 ORDER BY kind",
    "SELECT count(*) FROM t a, t b, t c WHERE a.id = b.id AND b.n = c.n",
    "SELECT now() > timestamp '2020-01-01', current_date >= date '2020-01-01'",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM t WHERE ok)",
    "SELECT 'it''s', E'a\\nb', $$plain$$",
    "SELECT id FROM t ORDER BY ok NULLS FIRST, born DESC NULLS LAST, id LIMIT 4",
    "SELECT max(born), min(seen), max(ok::int), count(DISTINCT weight) FROM t",
    "SELECT date_part('year', born) AS y, count(*) FROM t GROUP BY date_part('year', born) ORDER BY y",
];

/// Where dsv does otherwise: the reason, then the queries.
const OTHERWISE: &[(&str, &[&str])] = &[
    ("two columns of one name are not answered: one needs an alias", &["SELECT id::text, n FROM t ORDER BY id", "SELECT count(*), count(*) FROM t"]),
    ("a correlated subquery has to be tied by equality", &["SELECT id, (SELECT count(*) FROM t b WHERE b.n < a.n) FROM t a ORDER BY id"]),
    (
        "syntax that DataFusion does not plan, or sqlparser does not read",
        &[
            "SELECT id FROM t WHERE weight BETWEEN SYMMETRIC 41 AND 9.25 ORDER BY id",
            "SELECT id FROM t WHERE name IS NOT NULL ORDER BY name COLLATE \"C\", id",
            "SELECT id FROM t ORDER BY id OFFSET 2 ROWS FETCH NEXT 2 ROWS ONLY",
            "SELECT id FROM t WHERE (kind, n) IN (SELECT kind, n FROM t WHERE id < 3) ORDER BY id",
        ],
    ),
    ("upper case by Unicode's full rules, where PostgreSQL maps letter by letter", &["SELECT upper('größe')"]),
    (
        "a date and an interval make a date, unless it has hours",
        &["SELECT date '2024-01-31' + interval '1 month'", "SELECT born + interval '1 day' FROM t ORDER BY id"],
    ),
    ("array_remove takes out the first alone; array_remove_all is PostgreSQL's", &["SELECT array_remove(ARRAY[1, 2, 1], 1)"]),
    (
        "a float or a decimal becomes an integer by cutting its fraction off, where PostgreSQL rounds",
        &["SELECT CAST(2.7 AS int)", "SELECT (weight + 0.3)::int FROM t ORDER BY id"],
    ),
    ("integers wrap around", &["SELECT 9223372036854775807 + 1", "SELECT sum(9223372036854775807) FROM t"]),
    ("numbers with a fraction are float64, which divide by zero", &["SELECT 1.0 / 0", "SELECT 0.1 + 0.2 = 0.3"]),
    ("age() is not there", &["SELECT age(timestamp '2024-03-01', timestamp '2024-02-01')"]),
    ("formats of to_char are strftime's", &["SELECT to_char(timestamp '2024-03-01 10:00:00', 'YYYY-MM-DD')"]),
    ("a query without FROM that names columns reads the only table", &["SELECT id ORDER BY id"]),
];

#[test]
fn the_same_questions_have_the_same_answers() {
    let Some(mut postgres) = Postgres::start() else { return };
    let s = Sandbox::repo();
    s.file("t.jsonl", ROWS);
    s.ok(["import", "t", "t.jsonl", "--schema", TYPES]);
    postgres.run("DROP TABLE IF EXISTS t");
    postgres.run(CREATE);
    for line in ROWS.lines() {
        postgres.run(&format!(
            "INSERT INTO t SELECT id, name, kind, weight, n, ok, born, seen, tags, nullif(more, 'null') FROM json_populate_record(null::t, '{line}')"
        ));
    }
    let session = session(&s);
    let (mut wrong, mut count) = (Vec::new(), [0, 0]);
    let all = SAME.iter().map(|sql| (*sql, None)).chain(OTHERWISE.iter().flat_map(|(why, list)| list.iter().map(|sql| (*sql, Some(*why)))));
    for (sql, why) in all {
        let (theirs, ours) = (postgres.ask(sql), dsv(&session, sql));
        let equal = match (&theirs, &ours) {
            (Ok(theirs), Ok(ours)) => same(theirs, ours, 1e-9),
            // What neither answers shows nothing, and belongs in no list.
            (theirs, ours) => theirs.is_err() && ours.is_err() && why.is_some(),
        };
        count[usize::from(why.is_some())] += 1;
        if equal == why.is_some() {
            let told = theirs.map(|answer| answer.rows);
            wrong.push(format!(
                "{sql}\n{}\nPostgreSQL: {told:?}\ndsv:        {ours:?}",
                why.map_or("is to be the same", |_| "is the same now, and listed as otherwise")
            ));
        }
    }
    println!("{} queries answered as PostgreSQL does, {} otherwise for a reason", count[0], count[1]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
