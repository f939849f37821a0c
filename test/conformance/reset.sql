-- Before each conversation of the writer: the same rows, and nothing that an earlier conversation made.
TRUNCATE w.t, w.child, w.counter;
INSERT INTO w.t VALUES (1, 'one', 1.00), (2, 'two', 2.00), (3, 'three', 3.00);
INSERT INTO w.child VALUES (1, 1);
INSERT INTO w.counter VALUES (1);
ALTER SEQUENCE w.seq RESTART;
DO $$
DECLARE made text;
BEGIN
  FOR made IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname = 'w' AND tablename NOT IN ('t', 'child', 'counter')
  LOOP EXECUTE 'DROP TABLE ' || made || ' CASCADE'; END LOOP;
END $$;
