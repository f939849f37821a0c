/** What passes between the gateway's thread and a shadow's worker. Plain data, structured-cloned. */

/** One object of the mirror. `extras` are tried one by one: PostgreSQL may not take an engine's own expressions. */
export type MirrorObject = {
  readonly id: string
  readonly create: string
  readonly extras: readonly string[]
  readonly drop: string
}

export type ShadowStart = {
  readonly wasm: WebAssembly.Module
  readonly versionText: string
  readonly serverVersion: string
  /** A prepared data directory of an earlier worker (tar, gzip); without it the worker makes one, which takes seconds. */
  readonly seed: Uint8Array<ArrayBuffer> | undefined
}

/** The worker's first message: the prepared data directory (tar), when it was not started from a seed. */
export type ShadowReady = { readonly dump: Uint8Array<ArrayBuffer> | undefined }

export type ShadowTask =
  | {
      readonly kind: "sync"
      readonly id: number
      readonly drops: readonly string[]
      readonly creates: readonly Pick<MirrorObject, "create" | "extras">[]
    }
  | {
      readonly kind: "ask"
      readonly id: number
      /** Frontend messages from Parse to Sync. */
      readonly messages: Uint8Array
      readonly user: string
      readonly database: string
      readonly settings: readonly (readonly [name: string, value: string])[]
    }

export type ShadowReply =
  | { readonly id: number; readonly kind: "answer"; readonly bytes: Uint8Array<ArrayBuffer> }
  /** The answer was larger than a worker keeps; the statement has ended. */
  | { readonly id: number; readonly kind: "oversized" }
  /** Objects that PostgreSQL did not take, by their first error. */
  | { readonly id: number; readonly kind: "synced"; readonly skipped: readonly string[] }
  | { readonly id: number; readonly kind: "failed"; readonly message: string }
