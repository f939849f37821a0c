import { z } from "zod"
import { byteCount, durationMs, flag, integer } from "./fields.ts"
import { databaseName, plainName, text } from "./scalar-fields.ts"

const pool = (connections: ReturnType<typeof integer>) =>
  z
    .strictObject({
      connectionsMax: connections,
      waitersMax: integer(1_000, "Statements that may wait for a connection.", { max: 1_000_000 }),
      waitMsMax: durationMs(30_000, "Longest wait for a connection."),
      idleCloseMs: durationMs(300_000, "Closes connections idle for so long; 0 = never."),
      lifetimeMsMax: durationMs(3_600_000, "Renews connections after so long; 0 = never."),
      connectTimeoutMs: durationMs(5_000, "Time to dial and log in.", { min: 50 }),
      settleTimeoutMs: durationMs(2_000, "Time a connection gets to become clean between leases."),
      writeSessionsMax: integer(10, "Sessions that write, each with a connection of its own.", {
        max: 10_000,
      }),
    })
    .prefault({})

const warehouseCommon = {
  requireIdentity: flag(
    false,
    "Refuse (28000) sessions that bring no end user: no token, no trusted startup user, and no user with `identity: own`.",
  ),
  catalogRefreshMs: durationMs(60_000, "Re-reads relations, views and functions so often.", {
    min: 1_000,
  }),
  databases: z
    .array(databaseName)
    .min(1, "must name at least one database")
    .optional()
    .meta({ description: "Names clients may give as database; default: the warehouse's name." }),
}

const replica = z.strictObject({
  name: plainName.meta({ description: "Stands in metrics and in SHOW sluice.last." }),
  uri: text("URI of one standby server, not of a load balancer.").optional(),
  uriFile: text("File that holds the URI.").optional(),
})

export const postgresWarehouse = z.strictObject({
  engine: z.literal("postgres"),
  uri: text("postgres://user@host:5432/database?sslmode=verify-full").optional(),
  uriFile: text("File that holds the URI.").optional(),
  writeUri: text("URI for sessions that write; default: uri.").optional(),
  writeUriFile: text("File that holds the URI for sessions that write.").optional(),
  password: text("Password, kept apart from the URI and unescaped.").optional(),
  passwordFile: text("File that holds the password.").optional(),
  replicas: z.array(replica).max(64).default([]).meta({
    description: "Streaming standbys that take turns at reads; each has a pool of its own.",
  }),
  pool: pool(integer(20, "Connections to the warehouse.", { min: 1, max: 10_000 })),
  ...warehouseCommon,
})

export const duckdbWarehouse = z.strictObject({
  engine: z.literal("duckdb"),
  path: text("Database file, relative to this file; `:memory:` for an empty one."),
  mode: z.enum(["owned", "burst"]).default("burst").meta({
    description: "owned: kept open; burst: opened per burst, so that other processes can write.",
  }),
  threads: integer(0, "DuckDB's worker threads; 0 = one per core.", { max: 1_024 }),
  memoryBytesMax: byteCount(0, "DuckDB's memory limit; 0 = its own default."),
  idleCloseMs: durationMs(1_000, "burst: closes the file after so long without a query."),
  burstMsMax: durationMs(10_000, "burst: closes the file after so long in use.", { min: 100 }),
  burstGapMs: durationMs(200, "burst: keeps it closed so long, for waiting writers."),
  lockWaitMsMax: durationMs(30_000, "burst: waits so long for another process's lock."),
  pool: pool(
    integer(
      3,
      "Statements run at once; each holds a thread of Node's pool (4 unless UV_THREADPOOL_SIZE says more).",
      {
        min: 1,
        max: 1_024,
      },
    ),
  ),
  ...warehouseCommon,
})
