import type { RedisSettings } from "../core/redis.ts"
import type { PoliciesFile } from "./policies-file.ts"
import type { SealingKeyConfiguration } from "./resolve-shared.ts"
import type { ParsedConfiguration } from "./schema.ts"

type DeepReadonly<T> = T extends (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

type ParsedWarehouse = ParsedConfiguration["warehouses"][string]
type ParsedUser = ParsedConfiguration["users"][string]
type ParsedToken = ParsedConfiguration["control"]["tokens"][number]

/** Every optional secret is in its place, whether it came from the file itself, the environment or a file of its own. */
export type PostgresWarehouse = DeepReadonly<
  Omit<
    Extract<ParsedWarehouse, { engine: "postgres" }>,
    | "uri"
    | "uriFile"
    | "writeUri"
    | "writeUriFile"
    | "password"
    | "passwordFile"
    | "databases"
    | "replicas"
  > & {
    /** With the password in it, percent-encoded. Secret. */
    uri: string
    /** For sessions that write; undefined = `uri`. Secret. */
    writeUri: string | undefined
    /** URIs as `uri`'s. Secret. */
    replicas: { name: string; uri: string }[]
    databases: string[]
  }
>

export type DuckdbWarehouse = DeepReadonly<
  Omit<Extract<ParsedWarehouse, { engine: "duckdb" }>, "databases"> & { databases: string[] }
>

export type WarehouseConfiguration = PostgresWarehouse | DuckdbWarehouse

export type UserConfiguration = DeepReadonly<
  Omit<ParsedUser, "verifier" | "verifierFile" | "databases"> & {
    /** SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>; empty with auth: certificate. Secret. */
    verifier: string
    /** undefined = every database. */
    databases: string[] | undefined
  }
>

export type IdentityKey = {
  readonly kid: string | undefined
  readonly algorithm: "EdDSA" | "RS256" | "HS256" | "JWKS"
  /** `text`: a PEM, or a secret. */
  readonly from:
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "file"; readonly path: string }
}

export type IdentityConfiguration = DeepReadonly<
  Omit<NonNullable<ParsedConfiguration["identity"]>, "keys" | "jwksFile">
> & {
  /** The JWK set's file is one of them. */
  readonly keys: readonly IdentityKey[]
}

type ParsedRole = ParsedConfiguration["roles"][string]

/** Limits on statements; 0 = none, queueTimeoutMs: what the pool says. */
export type RoleLimits = DeepReadonly<{
  [Key in Exclude<
    keyof ParsedRole,
    "relations" | "write" | "explain" | "class" | "timeBucketMs"
  >]-?: NonNullable<ParsedRole[Key]>
}> & {
  /** undefined = `cache.timeBucketMs`. */
  readonly timeBucketMs: number | undefined
}

/** With the limits of its class where it says nothing itself. */
export type RoleConfiguration = DeepReadonly<
  Pick<ParsedRole, "relations" | "write" | "explain">
> & { readonly class: string | undefined } & RoleLimits

export type ControlToken = DeepReadonly<
  Omit<ParsedToken, "sha256" | "sha256File"> & {
    /** Lower-case hexadecimal SHA-256 of the bearer token. */
    sha256: string
  }
>

/**
 * What the rooms are built from: validated, every default filled in, secrets read, paths absolute. Names of warehouses,
 * users and roles are the keys; all of them are own properties of objects without a prototype.
 */
export type Configuration = DeepReadonly<
  Omit<
    ParsedConfiguration,
    | "warehouses"
    | "users"
    | "roles"
    | "control"
    | "identity"
    | "policiesFile"
    | "policies"
    | "redis"
    | "cache"
  >
> & {
  /** Absolute; undefined: row and column policies stand in `inlinePolicies`, or there are none. */
  readonly policiesFile: string | undefined
  /** The section `policies` of the configuration itself; never together with `policiesFile`. */
  readonly inlinePolicies: PoliciesFile | undefined
  /** undefined: no tokens are accepted. */
  readonly identity: IdentityConfiguration | undefined
  readonly cache: DeepReadonly<Omit<ParsedConfiguration["cache"], "shared">> & {
    readonly shared: DeepReadonly<Omit<ParsedConfiguration["cache"]["shared"], "sealing">> & {
      /** The first one seals, all of them open. */
      readonly sealing: readonly SealingKeyConfiguration[]
    }
  }
  /** undefined: this instance is the only one. */
  readonly redis: RedisSettings | undefined
  readonly warehouses: Readonly<Record<string, WarehouseConfiguration>>
  readonly users: Readonly<Record<string, UserConfiguration>>
  readonly roles: Readonly<Record<string, RoleConfiguration>>
  readonly control: DeepReadonly<Omit<ParsedConfiguration["control"], "tokens">> & {
    readonly tokens: readonly ControlToken[]
  }
}
