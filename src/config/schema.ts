import { z } from "zod"
import {
  byteCount,
  durationMs,
  durationMsMax,
  flag,
  integer,
  optionalDurationMs,
  share,
} from "./fields.ts"
import { limits, timeBucketBounds, workloadClass } from "./limits-schema.ts"
import { listen } from "./listen-schema.ts"
import { identity, user } from "./login-schema.ts"
import { policiesSchema } from "./policies-schema.ts"
import { redisSchema } from "./redis-schema.ts"
import { mebibyte, plainName, port, relationPattern, text } from "./scalar-fields.ts"
import { sharedSchema } from "./shared-schema.ts"
import { duckdbWarehouse, postgresWarehouse } from "./warehouse-schema.ts"

/**
 * The shape of the configuration file: every key, its default and its bounds. Strict everywhere, so that a misspelt limit
 * is an error and never a silently kept default. What one key cannot say alone (roles exist, ports differ) is in check.ts.
 */

export const controlScopes = ["invalidate", "read", "metrics", "admin"] as const

const control = z
  .strictObject({
    host: text("Address of the HTTP listener.").default("127.0.0.1"),
    port: port(6480, "Port of the HTTP listener; 0 picks a free one."),
    tokens: z
      .array(
        z.strictObject({
          name: plainName.meta({ description: "Stands in logs in place of the token." }),
          sha256: z
            .string("must be text; put it in quotes")
            .regex(/^[0-9a-fA-F]{64}$/, "must be 64 hexadecimal digits: the SHA-256 of the token")
            .transform((hex) => hex.toLowerCase())
            .optional(),
          sha256File: text("File that holds the SHA-256.").optional(),
          scopes: z.array(z.enum(controlScopes)).min(1, "must name at least one scope"),
          callsPerMinuteMax: integer(60_000, "Calls a minute with this token; above it 429.", {
            max: 1_000_000,
          }),
        }),
      )
      .default([])
      .meta({ description: "Bearer tokens by their SHA-256; `sluice token` makes one." }),
    tags: z
      .record(
        plainName,
        z.array(text("A pattern over schema.name: * for any run, ? for one character.")).min(1),
      )
      .default({})
      .meta({ description: "Names for several relations, which an invalidation may give as tag." }),
    metricsPublic: flag(false, "Serve /metrics without a token."),
    bodyBytesMax: byteCount(mebibyte, "Largest request body.", { min: 1024, max: 64 * mebibyte }),
  })
  .prefault({})

const role = z.strictObject({
  relations: z
    .strictObject({
      allow: z.array(relationPattern).default([]),
      deny: z.array(relationPattern).default([]),
    })
    .prefault({})
    .meta({ description: "What the role may read; deny wins, and what nobody allows is denied." }),
  class: plainName
    .optional()
    .meta({ description: "Workload class whose limits hold where the role says nothing." }),
  ...limits,
  explain: z.enum(["none", "coarse", "full"]).default("none").meta({
    description:
      "EXPLAIN of statements that row or column policies change: refused, the cost's order of magnitude, or the whole plan.",
  }),
  write: flag(
    false,
    "May change what it may read, on a connection of the session's own; not together with limits on results, costs and constructs.",
  ),
})

/** An IPv4 or IPv6 network in CIDR form; the addresses themselves are checked in check.ts. */

const cacheVerify = z
  .strictObject({
    share: share(0, "Part of all hits whose statement is run again and compared; 0 = none."),
    concurrencyMax: integer(1, "Such runs at once.", { min: 1, max: 16 }),
    runsPerMinuteMax: integer(60, "Such runs a minute.", { min: 1, max: 100_000 }),
    rowsMax: integer(10_000, "Larger results are not compared.", { min: 1, max: 10_000_000 }),
    bytesMax: byteCount(mebibyte, "Larger results are not compared.", { min: 1024 }),
    timeoutMs: durationMs(30_000, "Longest such run.", { min: 100 }),
    dropMismatches: flag(true, "A result that differs from the warehouse's is dropped."),
  })
  .prefault({})
  .meta({ description: "Runs a sample of hits again and counts those that differ." })

const cache = z
  .strictObject({
    enabled: flag(true, "false: every statement goes to the warehouse."),
    memoryBytesMax: byteCount(256 * mebibyte, "Memory for results.", { min: mebibyte }),
    entryBytesMax: byteCount(8 * mebibyte, "Largest result kept.", { min: 1024 }),
    entriesMax: integer(100_000, "Results kept.", { min: 1, max: 10_000_000 }),
    followerWaitMsMax: durationMs(30_000, "Longest wait for the same question in flight."),
    defaultTtlMs: durationMs(3_600_000, "Life of a result that no class names; 0 = not kept."),
    ttlClasses: z
      .array(
        z.strictObject({
          relations: text("Pattern over schema.name with * and ?."),
          ttlMs: durationMs(
            3_600_000,
            "Life of a result that reads such a relation; 0 = not kept.",
          ),
          timeBucketMs: optionalDurationMs(
            "now() may be the start of a bucket of this length; default: the role's, or cache.timeBucketMs.",
            timeBucketBounds,
          ),
          staleWhileRevalidateMs: durationMs(
            0,
            "After it: served for so long while one run in the background makes it anew.",
          ),
          staleIfErrorMs: durationMs(
            0,
            "After it: served for so long, with a warning, while the warehouse cannot be reached.",
          ),
        }),
      )
      .max(1_000, "has more than 1000 classes")
      .default([])
      .meta({
        description: "First match wins for a relation; a result lives as long as its shortest.",
      }),
    refresh: z
      .strictObject({
        refreshesMax: integer(2, "Runs in the background at one time.", { min: 1, max: 1_000 }),
        aheadHitsMin: integer(
          0,
          "A result with so many hits is made anew before its life ends; 0 = none is.",
          { max: 1_000_000 },
        ),
        aheadShare: z
          .number()
          .gt(0, "must be above 0")
          .max(0.5, "must be 0.5 or less")
          .default(0.1)
          .meta({ description: "Last share of its life in which that happens." }),
      })
      .prefault({})
      .meta({ description: "Runs that no client waits for." }),
    catalogTtlMs: durationMs(30_000, "Life of answers from the system catalogues."),
    timeBucketMs: durationMs(
      0,
      "now() and its kin become the start of a bucket of this length, 1 s to 1 d, so that the answer can be kept; 0 = never.",
      timeBucketBounds,
    ),
    verify: cacheVerify,
    shared: sharedSchema,
  })
  .prefault({})

const sql = z
  .strictObject({
    statementBytesMax: byteCount(mebibyte, "Longest SQL text.", { min: 1024, max: 64 * mebibyte }),
    memoEntriesMax: integer(10_000, "Parsed texts kept.", { min: 1, max: 1_000_000 }),
    memoBytesMax: byteCount(64 * mebibyte, "Memory for parsed texts.", { min: mebibyte }),
    offLoopBytes: byteCount(16 * 1024, "Texts from this length on are parsed in a worker thread."),
  })
  .prefault({})

const log = z
  .strictObject({
    level: z.enum(["fatal", "error", "warn", "info", "debug", "trace"]).default("info"),
    format: z
      .enum(["json", "pretty"])
      .default("json")
      .meta({ description: "json: one object a line; pretty: for people at a terminal." }),
  })
  .prefault({})

const shutdown = z
  .strictObject({
    readyDelayMs: durationMs(0, "After SIGTERM: time not ready yet still accepting."),
    drainTimeoutMs: durationMs(30_000, "Time running statements get to finish.", {
      max: durationMsMax,
    }),
  })
  .prefault({})

export const configurationSchema = z.strictObject({
  listen,
  control,
  warehouses: z.record(
    plainName,
    z.discriminatedUnion("engine", [postgresWarehouse, duckdbWarehouse]),
  ),
  users: z.record(plainName, user),
  classes: z.record(plainName, workloadClass).default({}),
  roles: z.record(plainName, role).default({}),
  identity: identity.optional(),
  policiesFile: text(
    "File with row filters, masks, denied columns and required filters (config/policies.example.yaml).",
  ).optional(),
  policies: policiesSchema
    .optional()
    .meta({ description: "The same, written here in place of a file of its own." }),
  cache,
  redis: redisSchema.optional(),
  sql,
  log,
  shutdown,
})

/** The file's contents with defaults filled in, before files are read and names are checked against each other. */
export type ParsedConfiguration = z.output<typeof configurationSchema>
