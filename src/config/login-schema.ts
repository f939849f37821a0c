import { z } from "zod"
import { byteCount, durationMs, flag } from "./fields.ts"
import { databaseName, text } from "./scalar-fields.ts"

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

export const identity = z
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

export const user = z.strictObject({
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
