import { z } from "zod"
import { byteCount, durationMs, flag, integer } from "./fields.ts"
import { mebibyte, port, text } from "./scalar-fields.ts"

export const listen = z
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
