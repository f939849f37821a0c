-- What the conversations read, and what those of the writer change.
CREATE SCHEMA lab;
CREATE TABLE lab.items (
  id int PRIMARY KEY, name text, amount numeric(12,2), ratio float8, day date, at timestamptz, span interval,
  is_open boolean, tags text[], body jsonb, raw bytea
);
INSERT INTO lab.items
SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'name ' || i || ' é€😀' END, i * 1.25, i / 4.0, date '2024-01-01' + i,
  timestamptz '2024-03-31 00:30:00+00' + i * interval '17 minutes', make_interval(days => i % 40, mins => i),
  i % 3 = 0, ARRAY['a' || i, NULL, '"q"'], jsonb_build_object('n', i), decode(lpad(to_hex(i), 8, '0'), 'hex')
FROM generate_series(1, 100) i;
CREATE TABLE lab.every_type (
  id int PRIMARY KEY, i2 int2, i4 int4, i8 int8, f4 float4, f8 float8, n numeric, b bool, t text, v varchar(20), c char(5),
  d date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, by bytea, o oid,
  ai int4[], at text[], ad date[], an numeric[], nm name
);
INSERT INTO lab.every_type VALUES
  (1, -32768, 2147483647, -9223372036854775808, 1.5, 0.1, 12345678901234567890.0123456789, true, 'text é', 'var', 'ch',
   '2024-02-29', '23:59:59.999999', '12:00:00+05:30', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56.789+00',
   '1 year 2 mons -3 days 04:05:06.7', '00000000-0000-0000-0000-00000000002a', '{"a": [1, 2]}', '{"b": null}', '\x00ff10',
   4294967295, '{1,NULL,3}', '{a,"b c",NULL,"q\"q"}', '{2024-01-01,infinity}', '{1.10,NaN}', 'a name'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 0, 0, 0, 'NaN', '-Infinity', 'NaN', false, '', '', '', 'infinity', '00:00', '00:00:00-12', '-infinity', 'infinity',
   '0', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 'null', '[]', '', 0, '{}', '{{a,b},{c,d}}', '{}', '{0,-0.00}', ''),
  (4, 1, -1, 1, '-0', 'Infinity', 'Infinity', true, E'tab\tline\nend', 'x', 'abcde', '4713-01-01 BC', '24:00', '23:59+14',
   '0001-01-01 00:00 BC', '9999-12-31 23:59:59+00', '-1 days +02:00', '12345678-9abc-def0-1234-56789abcdef0', '"s"', '1.50',
   '\xdeadbeef', 1, '[0:1]={5,6}', '{""}', '{"0044-03-15 BC"}', '{1e10}', 'n');
CREATE TYPE lab.colour AS ENUM ('red', 'green');
CREATE DOMAIN lab.positive AS int CHECK (VALUE > 0);
CREATE TABLE lab.odd ("select" int, "Upper Case" text, "quo""te" lab.colour, p lab.positive);
INSERT INTO lab.odd VALUES (1, 'x', 'red', 1), (2, NULL, 'green', 2);
CREATE TABLE lab.empty (id int, name text);
CREATE VIEW lab.nap AS SELECT pg_sleep(30)::text AS slept;
CREATE VIEW lab.open_items AS SELECT id, name FROM lab.items WHERE is_open;
CREATE TABLE lab.changing (id int, a text);
INSERT INTO lab.changing VALUES (1, 'one'), (2, 'two');
CREATE FUNCTION lab.noisy(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'noisy % é', n USING DETAIL = 'a detail', HINT = 'a hint';
  RETURN n;
END $$;
CREATE FUNCTION lab.angry(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'angry %', n USING ERRCODE = 'P0042', DETAIL = 'a detail', HINT = 'a hint', SCHEMA = 'sch', TABLE = 'tab',
    COLUMN = 'col', CONSTRAINT = 'con', DATATYPE = 'typ';
END $$;
CREATE FUNCTION lab.two_rows(n int) RETURNS SETOF int LANGUAGE sql AS 'SELECT n UNION ALL SELECT n + 1';
CREATE FUNCTION lab.out_args(n int, OUT x int, OUT y text) LANGUAGE sql AS 'SELECT n, n::text';
CREATE PROCEDURE lab.proc(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := n + 1; END';

CREATE ROLE writer LOGIN PASSWORD 'reader-test-password';
CREATE SCHEMA w AUTHORIZATION writer;
GRANT USAGE ON SCHEMA lab TO writer;
GRANT SELECT ON ALL TABLES IN SCHEMA lab TO writer;
GRANT CREATE, TEMPORARY ON DATABASE warehouse TO writer;
SET ROLE writer;
CREATE TABLE w.t (id int PRIMARY KEY, name text NOT NULL, amount numeric(6,2) CHECK (amount >= 0));
CREATE TABLE w.child (id int PRIMARY KEY, t_id int REFERENCES w.t DEFERRABLE INITIALLY IMMEDIATE);
CREATE TABLE w.counter (n int);
CREATE SEQUENCE w.seq;
RESET ROLE;
ANALYZE;
CREATE FUNCTION lab.murmur(n int) RETURNS int STABLE LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'murmur %', n;
  RETURN n;
END $$;
