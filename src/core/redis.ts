export type RedisNode = { readonly host: string; readonly port: number }

/** `file`: read again at every connection, so that a new password needs no restart. */
export type RedisPassword =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "file"; readonly path: string }

export type RedisTarget =
  | { readonly kind: "single"; readonly node: RedisNode }
  | {
      readonly kind: "sentinel"
      readonly name: string
      readonly nodes: readonly RedisNode[]
      readonly username: string | undefined
      readonly password: RedisPassword
      readonly isTls: boolean
    }
  | { readonly kind: "cluster"; readonly nodes: readonly RedisNode[] }

/** Absolute paths of PEM files; all undefined: Node's own authorities, no client certificate. */
export type RedisTls = {
  readonly caFile?: string | undefined
  readonly certFile?: string | undefined
  readonly keyFile?: string | undefined
  readonly serverName?: string | undefined
}

/** Where Redis is, how to log in there, and what may be expected of it: section `redis:` of the configuration. */
export type RedisSettings = {
  readonly target: RedisTarget
  readonly username: string | undefined
  readonly password: RedisPassword
  /** undefined: no TLS. */
  readonly tls: RedisTls | undefined
  readonly database: number
  /** Begins every key and channel. */
  readonly keyPrefix: string
  readonly commandTimeoutMs: number
  readonly connectTimeoutMs: number
  /** What an instance knows may be used so long after it began to ask. The same on all instances. */
  readonly leaseMs: number
  /** Replicas that must have a write before it counts. */
  readonly replicasMin: number
}
