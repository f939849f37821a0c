-- The few rows that the client programs read; PostgreSQL and DuckDB both take this text (blobs see clients.test.ts).
CREATE SCHEMA clients;

CREATE TABLE clients.numbers (n integer PRIMARY KEY, label text NOT NULL);
INSERT INTO clients.numbers SELECT g, 'label ' || g FROM generate_series(1, 100) AS t(g);

CREATE TABLE clients.kinds (
  id integer PRIMARY KEY,
  flag boolean,
  small smallint,
  big bigint,
  real4 real,
  real8 double precision,
  exact numeric(12, 3),
  name text,
  code varchar(10),
  day date,
  moment timestamp,
  moment_tz timestamptz,
  span interval,
  uid uuid,
  blob bytea,
  ints integer[],
  words text[]
);
INSERT INTO clients.kinds VALUES
  (1, true, 32767, 9223372036854775807, 1.5, 0.1, 123456789.125, 'plain', 'abc', '2026-02-28',
   '2026-02-28 23:59:59.123456', '2026-02-28 23:59:59.5+02', interval '1 day 02:03:04',
   '0b9a3f62-6a3e-4a52-9d0f-6a2d4a5b6c7d', decode('deadbeef', 'hex'), ARRAY[1, 2, 3], ARRAY['a', 'b']),
  (2, false, -32768, -9223372036854775808, -0.25, 1e300, -0.001, 'Zażółć gęślą jaźń 🦥 "q" \ ''s''', '', '1999-12-31',
   '1999-12-31 00:00:00', '1970-01-01 00:00:00+00', interval '-3 months',
   '00000000-0000-0000-0000-000000000000', decode('', 'hex'), ARRAY[-1, NULL], ARRAY['x y', NULL, '"', '', 'null']),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE VIEW clients.small_numbers AS SELECT n, label FROM clients.numbers WHERE n <= 10;
