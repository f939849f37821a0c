/**
 * The newest commit's end in the log. The insert position, not the write position: with synchronous_commit = off the write
 * position stands behind commits that are visible already, and a replica below them would pass a fence made of it. A
 * replica tells how far it has replayed.
 */
export const positionSql =
  "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() " +
  "ELSE pg_catalog.pg_current_wal_insert_lsn() END"
