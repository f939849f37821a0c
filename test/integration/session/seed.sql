CREATE SCHEMA lab;
CREATE TABLE lab.items (
  id int PRIMARY KEY, name text, amount numeric(12,2), ratio float8, day date, at timestamptz, span interval,
  is_open boolean, tags text[], body jsonb, raw bytea
);
INSERT INTO lab.items
SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'name ' || i || ' é€😀' END, i * 1.25, i / 3.0, date '2024-01-01' + i,
  timestamptz '2024-03-31 00:30:00+00' + i * interval '17 minutes', make_interval(days => i % 40, mins => i),
  i % 3 = 0, ARRAY['a' || i, NULL, '"q"'], jsonb_build_object('n', i), decode(lpad(to_hex(i), 8, '0'), 'hex')
FROM generate_series(1, 1000) i;
CREATE TABLE lab.empty (id int, name text);
CREATE TABLE lab.counter (n int);
INSERT INTO lab.counter VALUES (1);
CREATE TABLE lab.secret (id int, word text);
INSERT INTO lab.secret VALUES (1, 'hidden');
CREATE VIEW lab.over_secret AS SELECT id FROM lab.secret;
CREATE VIEW lab.slow AS SELECT pg_sleep(30)::text AS slept;
CREATE VIEW lab.nap AS SELECT pg_sleep(1)::text AS slept;
ANALYZE;
