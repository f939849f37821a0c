import { noParameters } from "../../core/parameters.ts"
import type { Asker } from "./question.ts"

/**
 * The newest commit's end in the log. The insert position, not the write position: with synchronous_commit = off the write
 * position stands behind commits that are visible already, and a replica below them would pass a fence made of it. A
 * replica tells how far it has replayed.
 */
const positionSql =
  "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn() " +
  "ELSE pg_catalog.pg_current_wal_insert_lsn() END"

/** Position as PostgreSQL spells it, `3A/7F0012C8`; undefined when the server has none to tell. */
export async function readPosition(
  connection: Asker,
  signal: AbortSignal,
): Promise<string | undefined> {
  let position: string | undefined
  await connection.query({ text: positionSql, parameters: noParameters, signal }, ([text]) => {
    position = text ?? undefined
  })
  return position
}
