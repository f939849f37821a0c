/** Hard bounds that no configuration lifts. Limits that an operator may set live in config/schema.ts, with the same naming. */

/** PostgreSQL's own cap on a startup packet (MAX_STARTUP_PACKET_LENGTH, pqcomm.h). */
export const startupBytesMax = 10_000

/** Int16 in Bind: what the protocol can carry. */
export const parameterCountMax = 65_535

/** Identifiers longer than this are cut by PostgreSQL (NAMEDATALEN - 1). */
export const identifierBytesMax = 63

/** Nodes deep that a parse tree may be: recursion here and in the engines stays far below any stack's end. */
export const astDepthMax = 1_000

/** DataRow bytes gathered into one batch before it is handed on. */
export const batchBytesTarget = 64 * 1024
