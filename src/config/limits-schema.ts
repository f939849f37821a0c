import { z } from "zod"
import { byteCount, durationMs, integer, onOff, optionalDurationMs } from "./fields.ts"

/**
 * Limits that a workload class or a role may set. What neither says is `limitDefaults`; none of the fields has a default of
 * its own, so that a role's silence can be told from its word.
 */

export const limitDefaults = {
  rowLimit: 0,
  onExceed: "cut",
  resultBytesMax: 0,
  statementTimeoutMs: 300_000,
  queueTimeoutMs: 0,
  costMax: 0,
  rowsEstimatedMax: 0,
  cache: "on",
  cacheHints: "reduce",
  cacheAgeMsMax: 0,
  timeBucketMs: undefined,
  forbid: [],
} as const

/** From 1 s, or 0 (check-time-buckets.ts). */
export const timeBucketBounds = { max: 86_400_000 }

export const limits = {
  rowLimit: integer(limitDefaults.rowLimit, "Most rows of one result; 0 = no limit.", {
    max: 2_000_000_000,
  })
    .unwrap()
    .optional(),
  onExceed: z.enum(["cut", "error"]).optional().meta({
    description:
      "Above rowLimit or resultBytesMax: cut (the default) with a NOTICE, or fail with 54000.",
  }),
  resultBytesMax: byteCount(
    limitDefaults.resultBytesMax,
    "Most bytes of one result's rows as they are sent; 0 = no limit.",
  )
    .unwrap()
    .optional(),
  statementTimeoutMs: durationMs(
    limitDefaults.statementTimeoutMs,
    "Longest run of one statement; 0 = no limit.",
  )
    .unwrap()
    .optional(),
  queueTimeoutMs: durationMs(
    limitDefaults.queueTimeoutMs,
    "Longest wait of a statement for its turn; 0 = what the pool says (waitMsMax).",
  )
    .unwrap()
    .optional(),
  costMax: integer(
    limitDefaults.costMax,
    "Highest cost that the warehouse may estimate before it runs a statement; 0 = no limit.",
  )
    .unwrap()
    .optional(),
  rowsEstimatedMax: integer(
    limitDefaults.rowsEstimatedMax,
    "Most rows that a step of the plan may be estimated to give; 0 = no limit.",
  )
    .unwrap()
    .optional(),
  cache: onOff(limitDefaults.cache, "off: these statements never use the cache.")
    .unwrap()
    .optional(),
  cacheHints: z.enum(["reduce", "any"]).optional().meta({
    description:
      "What comments in statements may ask: reduce (the default): less caching only; any: also more, and a time bucket.",
  }),
  cacheAgeMsMax: durationMs(
    limitDefaults.cacheAgeMsMax,
    "No stored answer older than this; 0 = its TTL decides.",
  )
    .unwrap()
    .optional(),
  timeBucketMs: optionalDurationMs(
    "Time bucket for relations whose TTL class names none; default: cache.timeBucketMs.",
    timeBucketBounds,
  ),
  forbid: z
    .array(z.enum(["cross_join", "select_star", "recursive", "no_limit"]))
    .optional()
    .meta({
      description:
        "What statements over tables may not hold: cross_join (relations without a condition between them), select_star (* from a table), recursive (WITH RECURSIVE), no_limit (no LIMIT at the end).",
    }),
}

export const workloadClass = z
  .strictObject({
    ...limits,
    concurrencyMax: integer(
      0,
      "Statements of the class that may use one warehouse at once; 0 = what the pool has.",
      { max: 10_000 },
    ),
    waitersMax: integer(1_000, "Statements of the class that may wait for that.", {
      max: 1_000_000,
    }),
  })
  .meta({ description: "Limits that roles share by naming the class." })
