import { noParameters } from "../../core/parameters.ts"
import { type Position, postgresPosition } from "../../core/position.ts"
import type { Asker } from "./question.ts"

/**
 * The newest commit's end in the log. The insert position, not the write position: with synchronous_commit = off the write
 * position stands behind commits that are visible already, and a replica below them would pass a fence made of it. A
 * replica tells how far it has replayed, and the timeline of its last restart point: behind a failover that is the old one
 * for a while, which makes it look older than it is and never newer.
 */
const positionSql = `SELECT
  pg_catalog.pg_wal_lsn_diff(CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_insert_lsn() END, '0/0')::pg_catalog.text,
  CASE WHEN pg_catalog.pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
    ELSE (pg_catalog.concat('x', pg_catalog.substr(
      pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8)))::bit(32)::pg_catalog.int4 END,
  pg_catalog.current_setting('wal_block_size'),
  pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::pg_catalog.text`

/** Bytes of a page's header in the log, and of the first page of a segment (SizeOfXLogShortPHD, SizeOfXLogLongPHD; access/xlog_internal.h). */
const pageHeaderBytes = 24n
const segmentHeaderBytes = 40n

/** undefined when the server has no position to tell: one that archives nothing and replays nothing. */
export async function readPosition(
  connection: Asker,
  signal: AbortSignal,
): Promise<Position | undefined> {
  let position: Position | undefined
  await connection.query({ text: positionSql, parameters: noParameters, signal }, (row) => {
    const [bytes, timeline, block, segment] = row
    if (bytes === null || bytes === undefined || timeline === null || !block || !segment) return
    const lsn = beforeHeader(BigInt(bytes), BigInt(block), BigInt(segment))
    position = postgresPosition(Number(timeline), lsn)
  })
  return position
}

/**
 * The insert position behind a page that has just been filled stands behind the next page's header; a replica that has
 * replayed all of it stands before that header. No record can end inside or right behind a header, so both mean the same.
 */
export function beforeHeader(lsn: bigint, blockBytes: bigint, segmentBytes: bigint): bigint {
  if (lsn % segmentBytes === segmentHeaderBytes) return lsn - segmentHeaderBytes
  if (lsn % segmentBytes < blockBytes) return lsn
  return lsn % blockBytes === pageHeaderBytes ? lsn - pageHeaderBytes : lsn
}
