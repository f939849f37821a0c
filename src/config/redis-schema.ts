import { z } from "zod"
import { durationMs, flag, integer } from "./fields.ts"

/** The keys of `redis:`, which several instances share. How they are combined is checked in resolve-redis.ts. */

const text = (description: string) =>
  z.string("must be text; put it in quotes").min(1, "must not be empty").meta({ description })

/** `host:port`; IPv6 addresses in brackets. */
const node = z
  .string("must be text; put it in quotes")
  .regex(/^(?:\[[0-9A-Fa-f:.]+\]|[^\s:[\]/@]+):\d{1,5}$/, "must be host:port")

const nodes = (description: string) =>
  z
    .array(node)
    .min(1, "must name at least one node")
    .max(100, "has more than 100 nodes")
    .meta({ description })

const tls = z.strictObject({
  caFile: text(
    "PEM file with the authorities of Redis's certificate; default: Node's own.",
  ).optional(),
  certFile: text("PEM file with the client certificate.").optional(),
  keyFile: text("PEM file with its key.").optional(),
  serverName: text(
    "Name that Redis's certificate must have; default: the host dialled.",
  ).optional(),
})

const sentinel = z.strictObject({
  name: text("Name of the master among the sentinels."),
  nodes: nodes("Sentinels, as host:port."),
  username: text("ACL user of the sentinels.").optional(),
  password: text("Password of the sentinels.").optional(),
  passwordFile: text("File that holds it; read again at every connection.").optional(),
  tls: flag(false, "The sentinels speak TLS, with the files under `tls`."),
})

export const redisSchema = z
  .strictObject({
    uri: text("redis://user@host:6379/0; rediss:// for TLS.").optional(),
    uriFile: text("File that holds the URI.").optional(),
    sentinel: sentinel.optional().meta({ description: "Redis behind sentinels, in place of uri." }),
    cluster: z
      .strictObject({ nodes: nodes("Some nodes of the cluster, as host:port.") })
      .optional()
      .meta({ description: "Redis Cluster, in place of uri." }),
    username: text("ACL user; default: the one in the URI, or `default`.").optional(),
    password: text("Password, kept apart from the URI and unescaped.").optional(),
    passwordFile: text("File that holds the password; read again at every connection.").optional(),
    tls: tls
      .optional()
      .meta({ description: "TLS to Redis; with rediss:// it is on without files." }),
    database: integer(0, "Database number; not with a cluster.", { max: 1_000 }),
    keyPrefix: z
      .string("must be text")
      .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "must be 1 to 64 letters, digits, _ . : -")
      .default("sluice")
      .meta({
        description:
          "Begins all keys and channels; instances that share warehouses share it, others have their own.",
      }),
    commandTimeoutMs: durationMs(250, "A command without an answer for so long has failed.", {
      min: 10,
      max: 30_000,
    }),
    connectTimeoutMs: durationMs(2_000, "Time to dial and log in.", { min: 50, max: 60_000 }),
    leaseMs: durationMs(
      2_000,
      "An instance that has not heard from Redis for so long stops using its cache; the longest wait of an invalidation for an instance that is silent.",
      { min: 250, max: 60_000 },
    ),
    replicasMin: integer(
      0,
      "Replicas that must have a token before an invalidation is answered, and a heartbeat before it counts; 0 = none is waited for.",
      { max: 10 },
    ),
  })
  .meta({ description: "What several instances share; without it an instance is alone." })
