import type { Invalidator } from "../core/invalidation.ts"
import type { Log } from "../observe/log.ts"
import type { InvalidationEvent } from "../observe/metrics.ts"
import type { Token } from "./authenticate.ts"

/** One thing that must hold before traffic may come. `detail` is for operators: shown with a token of scope read only. */
export type Check = { readonly name: string; readonly isOk: boolean; readonly detail?: string }

export type Status = {
  readonly version: string
  readonly startedAtMs: number
  readonly warehouses: readonly {
    readonly name: string
    readonly engine: string
    readonly isUp: boolean
  }[]
  readonly cache: {
    readonly entries: number
    readonly bytes: number
    readonly bytesMax: number
    readonly hits: number
    readonly misses: number
  }
}

/** What became of the policies; a refused file's `problems` have its path and lines. */
export type Reload =
  | { readonly kind: "none" }
  | { readonly kind: "unchanged" | "changed"; readonly version: string; readonly relations: number }
  | { readonly kind: "failed"; readonly message: string; readonly problems: readonly string[] }

export type ControlOptions = {
  readonly tokens: readonly Token[]
  readonly metricsPublic: boolean
  readonly bodyBytesMax: number
  /** Names of the configured warehouses; an invalidation may name one of them. */
  readonly warehouses: readonly string[]
  readonly invalidator: Invalidator
  readonly log: Log
  /** True once the listeners are open for the first time. */
  readonly isStarted: () => boolean
  /** All of them must be ok for /readyz; add one that fails while draining. */
  readonly readiness: () => readonly Check[]
  readonly metrics: {
    readonly contentType: string
    render(): Promise<string>
    invalidationFinished(event: InvalidationEvent): void
  }
  readonly status: () => Status
  /** Reads certificate files and policies again. */
  readonly reload: () => Reload
  /** Wall clock, for tests. */
  readonly nowMs?: () => number
  /** A clock that never goes back, for tests. */
  readonly steadyMs?: () => number
}
