/** What the catalogue is asked for. All names are qualified or stand in pg_catalog, which the reader puts on search_path. */

/** Temporary and TOAST schemas belong to sessions and to storage. */
const plainSchema = "n.nspname !~ '^pg_(temp|toast)'"

/**
 * The last column: a write may change more than the relation itself, by a trigger of a user's, a rule beside a view's own, or
 * a foreign key of another table that cascades or sets values.
 */
export const relationsSql = `
SELECT c.oid, n.nspname, c.relname, c.relkind,
  EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
  OR EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
  OR EXISTS (
    SELECT FROM pg_constraint f
    WHERE f.confrelid = c.oid AND f.contype = 'f'
      AND (f.confdeltype IN ('c', 'n', 'd') OR f.confupdtype IN ('c', 'n', 'd')))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND ${plainSchema}`

export const schemasSql = `SELECT n.nspname FROM pg_namespace n WHERE ${plainSchema}`

/** Parents and their children: partitions and plain inheritance. */
export const inheritanceSql = "SELECT inhparent, inhrelid FROM pg_inherits"

export const functionsSql = `
SELECT p.oid, n.nspname, p.proname, p.provolatile
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace`

/**
 * The stored parse trees of views. pg_depend would be smaller, but knows nothing of what initdb made (pg_class, now(),
 * random()): those are pinned and leave no rows there. 16384 is the first oid after initdb; views before it are the
 * system's own.
 */
export const viewRulesSql = `
SELECT r.ev_class, r.ev_action::text
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relkind IN ('v', 'm') AND r.rulename = '_RETURN' AND c.oid >= 16384`

/** Operators and casts outside pg_catalog whose function may answer differently for the same arguments. */
export const userOperatorsSql = `
SELECT DISTINCT o.oprname::text
FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
  JOIN pg_proc p ON p.oid = o.oprcode
WHERE n.nspname <> 'pg_catalog' AND p.provolatile <> 'i'
UNION
SELECT DISTINCT '::' || t.typname
FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget JOIN pg_proc p ON p.oid = c.castfunc
WHERE c.oid >= 16384 AND p.provolatile <> 'i'`

const foreignLanguage = "l.lanname NOT IN ('c', 'internal')"

/**
 * Operators outside pg_catalog that are written in SQL or a procedural language. Those in C came from extensions, which a
 * superuser installed.
 */
export const userOperatorCodeSql = `
SELECT DISTINCT o.oprname::text
FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_language l ON l.oid = p.prolang
WHERE o.oid >= 16384 AND ${foreignLanguage}`

/**
 * Types whose values cannot be made without running such code: domains with a check, targets of casts, ranges; sources of implicit
 * casts, which an expression runs that does not name them; and what is made of all these: arrays, domains over them, composite types and rows of tables, ranges. What the code reads, no text that
 * uses the types shows. A type of pg_catalog that a cast leads to runs it only where the cast is meant, so that types that
 * merely have a column of it stay free.
 */
export const userTypeCodeSql = `
WITH RECURSIVE coded (oid) AS (
  SELECT k.contypid FROM pg_constraint k WHERE k.contypid <> 0 AND k.contype = 'c' AND k.oid >= 16384
  UNION
  SELECT c.casttarget
  FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_language l ON l.oid = p.prolang
  WHERE c.oid >= 16384 AND ${foreignLanguage}
  UNION
  SELECT c.castsource
  FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_language l ON l.oid = p.prolang
  WHERE c.castsource >= 16384 AND c.castcontext = 'i' AND ${foreignLanguage}
  UNION
  SELECT r.rngtypid
  FROM pg_range r JOIN pg_proc p ON p.oid IN (r.rngcanonical, r.rngsubdiff)
    JOIN pg_language l ON l.oid = p.prolang
  WHERE ${foreignLanguage}
  UNION
  SELECT made.oid FROM coded, LATERAL (
    SELECT t.oid FROM pg_type t WHERE coded.oid IN (t.typelem, t.typbasetype)
    UNION ALL
    SELECT t.oid FROM pg_attribute a JOIN pg_type t ON t.typrelid = a.attrelid
    WHERE a.atttypid = coded.oid AND NOT a.attisdropped AND coded.oid >= 16384 AND a.attrelid >= 16384
    UNION ALL
    SELECT unnest(ARRAY[r.rngtypid, r.rngmultitypid]) FROM pg_range r WHERE r.rngsubtype = coded.oid
  ) AS made
)
SELECT '::' || t.typname, t.oid FROM coded JOIN pg_type t USING (oid)`

/** Relations with a column from which such an implicit cast leads to another type, and its function: reading the column may call it. */
export const implicitCastsSql = `
SELECT DISTINCT a.attrelid, c.castfunc
FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc JOIN pg_language l ON l.oid = p.prolang
  JOIN pg_attribute a ON a.atttypid = c.castsource
WHERE c.castsource >= 16384 AND c.castcontext = 'i' AND a.attnum > 0 AND NOT a.attisdropped AND ${foreignLanguage}`

/**
 * Columns of relations by oid, in their order; a virtual generated column has no type: it is an expression, which may fail. The last says
 * whether a column is of the primary key, which cannot be put off.
 */
export function columnsSql(oids: readonly string[]): string {
  return `
SELECT a.attrelid, a.attname, CASE WHEN a.attgenerated = 'v' THEN 0 ELSE a.atttypid END, EXISTS (
  SELECT FROM pg_constraint k
  WHERE k.conrelid = a.attrelid AND k.contype = 'p' AND NOT k.condeferrable AND a.attnum = ANY (k.conkey))
FROM pg_attribute a
WHERE a.attrelid IN (${oids.join(", ")}) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum`
}

/** Queries of views by oid. With pg_catalog alone on search_path every other name in them is qualified. */
export function definitionsSql(oids: readonly string[]): string {
  return `
SELECT c.oid, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.oid IN (${oids.join(", ")})`
}
