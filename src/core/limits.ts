/** Hard bounds that no configuration lifts. Limits that an operator may set live in config/schema.ts, with the same naming. */

/** PostgreSQL's own cap on a startup packet (MAX_STARTUP_PACKET_LENGTH, pqcomm.h). */
export const startupBytesMax = 10_000

/**
 * Nesting of objects and lists that a parse tree may have; `1+1+...` reaches it with 995 terms, sub-queries with 280.
 * Measured on Node 24's default stack: the parser failed between 2,800 and 6,000, the deparser between 3,500 and 4,500,
 * JSON.stringify between 4,000 and 6,000, so that recursion over a tree of this depth stays below half of any stack.
 */
export const astDepthMax = 2_000

/** DataRow bytes gathered into one batch before it is handed on. */
export const batchBytesTarget = 64 * 1024
