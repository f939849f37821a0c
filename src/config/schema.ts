import { z } from "zod"
import { byteCount, durationMs, durationMsMax, flag, integer } from "./fields.ts"
import { limits, workloadClass } from "./limits-schema.ts"
import { policiesSchema } from "./policies-schema.ts"
import { redisSchema } from "./redis-schema.ts"
import { sharedSchema } from "./shared-schema.ts"

/**
 * The shape of the configuration file: every key, its default and its bounds. Strict everywhere, so that a misspelt limit
 * is an error and never a silently kept default. What one key cannot say alone (roles exist, ports differ) is in check.ts.
 */

const mebibyte = 1024 ** 2

const text = (description: string) =>
  z.string("must be text; put it in quotes").min(1, "must not be empty").meta({ description })

const port = (initial: number, description: string) =>
  integer(initial, description, { min: 0, max: 65_535 })

/** Names that stand in metrics, URIs and logs. */
const plainName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.@-]{0,62}$/, "must be a name of 1 to 63 letters, digits, _ - . @")

const databaseName = z
  .string("must be text")
  .min(1, "must not be empty")
  .max(63, "is longer than 63")

const namePart = String.raw`(?:[^\s."*?]+|"(?:[^"]|"")+")`
const relationPattern = z
  .string("must be text; quote a lone asterisk")
  .regex(
    new RegExp(String.raw`^(?:\*|${namePart}\.(?:\*|${namePart}))$`),
    'must be "*", "schema.*" or "schema.name"',
  )

const listen = z
  .strictObject({
    host: text("Address of the PostgreSQL listener.").default("127.0.0.1"),
    port: port(6432, "Port of the PostgreSQL listener; 0 picks a free one."),
    tls: z
      .strictObject({
        certFile: text("PEM file with the certificate chain."),
        keyFile: text("PEM file with the private key."),
        required: flag(false, "Refuse clients that do not ask for TLS."),
        minVersion: z
          .enum(["TLSv1.2", "TLSv1.3"])
          .default("TLSv1.2")
          .meta({ description: "Oldest version of TLS that is spoken." }),
        clientCertificate: z.enum(["off", "optional", "require"]).default("off").meta({
          description:
            "Ask clients for a certificate; require: nobody enters without one, nor without TLS.",
        }),
        clientCaFile: text("PEM file with the authorities of client certificates.").optional(),
        clientCrlFile: text("PEM file with the revocation lists of all of them.").optional(),
        reloadPollMs: durationMs(10_000, "Looks for changed files so often; 0 = only on SIGHUP.", {
          max: 3_600_000,
        }),
      })
      .optional()
      .meta({ description: "TLS for clients; without it SSLRequest is answered with N." }),
    sessionsMax: integer(2_000, "Sessions open at once.", { min: 1, max: 1_000_000 }),
    preLoginMax: integer(1_000, "Connections that have not logged in yet.", {
      min: 1,
      max: 100_000,
    }),
    preLoginPerAddressMax: integer(
      500,
      "Connections of one address (IPv6: one /64) that have not logged in yet.",
      { min: 1, max: 100_000 },
    ),
    loginSecret: z
      .string("must be text; put it in quotes")
      .min(16, "must have at least 16 characters")
      .optional()
      .meta({
        description:
          "Keeps what unknown users are shown the same over restarts and instances; without it a random one is made at each start.",
      }),
    loginSecretFile: text("File that holds the secret.").optional(),
    loginFailuresMax: integer(
      10,
      "Failed logins of a user at an address before the next one waits; forgotten one every 6 s; 0 = never waits.",
      { max: 1_000_000 },
    ),
    loginDelayMsMax: durationMs(2_000, "Longest wait of a login after failed ones.", {
      max: 60_000,
    }),
    messageBytesMax: byteCount(16 * mebibyte, "Largest message a client may send.", {
      min: 64 * 1024,
      max: 1024 ** 3 - 1,
    }),
    loginTimeoutMs: durationMs(10_000, "Time from connect to a finished login.", { min: 100 }),
    closeTimeoutMs: durationMs(
      30_000,
      "Time a client gets to take what it is owed when its session has ended.",
      { min: 100 },
    ),
    tcpKeepAliveMs: durationMs(
      60_000,
      "Silence after which a client's host is probed (TCP keepalive); 0 = never.",
    ),
    idleSessionTimeoutMs: durationMs(0, "Ends sessions idle outside a transaction; 0 = never."),
    idleInTransactionTimeoutMs: durationMs(
      1_800_000,
      "Ends sessions idle inside a transaction, because one that has run a statement may hold a warehouse connection; 0 = never.",
    ),
    preparedStatementsMax: integer(1_000, "Prepared statements of one session.", { min: 1 }),
    sessionBytesMax: byteCount(
      64 * mebibyte,
      "Statement texts and parameters that one session may keep.",
      { min: 64 * 1024 },
    ),
    sessionsBytesMax: byteCount(
      512 * mebibyte,
      "What all sessions together may keep: texts, parameters, spooled rows, unread input, unsent output.",
      { min: mebibyte },
    ),
    portalSpoolBytesMax: byteCount(
      64 * mebibyte,
      "Bytes one session may keep for suspended portals and cursors.",
      { min: 64 * 1024 },
    ),
  })
  .prefault({})

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

const postgresWarehouse = z.strictObject({
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

const duckdbWarehouse = z.strictObject({
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
const network = z
  .string("must be text; put it in quotes")
  .regex(/^[0-9A-Fa-f:.]+\/\d{1,3}$/, "must be a network such as 10.0.0.0/8")

const tokenKey = z.strictObject({
  kid: text("Key id that a token's header names; needed when there are several keys.").optional(),
  algorithm: z
    .enum(["EdDSA", "RS256", "HS256"])
    .meta({ description: "The one algorithm that this key is used for." }),
  publicKey: text("Public key in PEM, for EdDSA and RS256.").optional(),
  publicKeyFile: text("PEM file with it; read again when it changes.").optional(),
  secret: text("Shared secret of 32 bytes or more, for HS256.").optional(),
  secretFile: text("File that holds it; read again when it changes.").optional(),
})

const identity = z
  .strictObject({
    audience: text("What `aud` must hold: the gateway's name among the services that read tokens."),
    issuer: text("When set, `iss` must be this.").optional(),
    keys: z.array(tokenKey).max(32, "has more than 32 keys").default([]),
    jwksFile: text("JWK set with public keys; read again when it changes.").optional(),
    userClaim: text("Claim with the user's name.").default("sub"),
    rolesClaim: text("Claim with the names of roles; dots lead into objects.").default("roles"),
    roleMap: z
      .record(z.string().min(1), z.array(z.string()).min(1, "must name at least one role"))
      .optional()
      .meta({
        description:
          "Roles by the values of that claim, such as groups; with it, a value that is not listed gives no role.",
      }),
    rolesDefault: z
      .array(z.string())
      .default([])
      .meta({ description: "Roles for tokens without that claim; none: they are refused." }),
    clockSkewMs: durationMs(30_000, "Difference between clocks that exp and nbf allow for.", {
      max: 600_000,
    }),
    tokenBytesMax: byteCount(8 * 1024, "Longest token.", { min: 256, max: 9_000 }),
    claimBytesMax: byteCount(4 * 1024, "Largest single claim as JSON.", { min: 64, max: 9_000 }),
    afterExpiry: z.enum(["refuse", "continue"]).default("refuse").meta({
      description:
        "refuse: a session whose token has expired ends at its next statement (28000); continue: it goes on.",
    }),
    requireTls: flag(true, "Refuse tokens that come over an unencrypted connection."),
    passwordLogin: z
      .strictObject({
        databases: z.array(databaseName).min(1, "must name at least one database"),
        users: z
          .array(z.string())
          .min(1, "must name at least one user; leave it out to allow all")
          .optional()
          .meta({ description: "Users who may; default: all that are not under `users`." }),
      })
      .optional()
      .meta({ description: "Databases where people log in with a token as their password." }),
  })
  .meta({ description: "Signed assertions (JWT) that name the end user." })

const user = z.strictObject({
  verifier: text("SCRAM-SHA-256$... as `sluice verifier` prints it.").optional(),
  verifierFile: text("File that holds the verifier.").optional(),
  auth: z.enum(["scram", "certificate"]).default("scram").meta({
    description: "scram: by password; certificate: by the client's certificate alone.",
  }),
  requireClientCertificate: z
    .strictObject({
      cn: text("Common name of the subject.").optional(),
      dn: text("Whole subject, as in RFC 2253: CN=etl,O=Example.").optional(),
      san: text("One alternative name: DNS:host, email:..., URI:..., IP Address:...").optional(),
    })
    .optional()
    .meta({
      description:
        "What the client's certificate must say; {} takes any valid one. With auth: certificate the default is cn = the user's name.",
    }),
  roles: z.array(z.string()).min(1, "must name at least one role"),
  claims: z
    .record(z.string(), z.unknown())
    .default({})
    .meta({ description: "Verified attributes of the user, for policies." }),
  databases: z
    .array(databaseName)
    .min(1, "must name at least one database; leave it out to allow all")
    .optional()
    .meta({ description: "Databases the user may connect to; default: all." }),
  identity: z.enum(["own", "optional", "required"]).optional().meta({
    description:
      "own: the user is the end user; optional, required: a service account whose sessions may or must bring a token.",
  }),
  trustUserFrom: z.enum(["startup_user"]).optional().meta({
    description: "startup_user: this account's password logs in any user it names.",
  }),
  trustedAddresses: z
    .array(network)
    .min(1, "must name at least one network")
    .optional()
    .meta({ description: "Networks that trustUserFrom is limited to." }),
  trustedCertificate: text(
    "Client certificate's subject that trustUserFrom is limited to, such as CN=superset.",
  ).optional(),
  userRoles: z
    .record(z.string(), z.array(z.string()).min(1, "must name at least one role"))
    .optional()
    .meta({
      description: "Roles of single users in place of the account's own; for trustUserFrom.",
    }),
})

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
        }),
      )
      .max(1_000, "has more than 1000 classes")
      .default([])
      .meta({
        description: "First match wins for a relation; a result lives as long as its shortest.",
      }),
    catalogTtlMs: durationMs(30_000, "Life of answers from the system catalogues."),
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
