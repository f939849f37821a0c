import { readFile } from "node:fs/promises"
import { promisify } from "node:util"
import type { Worker } from "node:worker_threads"
import { gzip } from "node:zlib"
import { unavailable } from "./errors.ts"
import type { ShadowStart } from "./messages.ts"

/** After a start that failed, nobody tries again for so long: each try costs a core for seconds. */
const startBackoffMs = 5_000

export type Spawned = {
  readonly worker: Worker
  readonly dump: Uint8Array<ArrayBuffer> | undefined
}

export type StarterOptions = {
  readonly versionText: string
  readonly serverVersion: string
  readonly onStartFailed: (error: unknown) => void
  readonly nowMs: () => number
}

/**
 * How workers of one warehouse start. The first makes a data directory (1.7 s of initdb on an idle machine, more on a
 * busy one); later ones are seeded with it (0.4 s, 4.5 MB kept). Whoever comes while the first is at it waits for the seed.
 */
export class ShadowStarter {
  readonly #options: StarterOptions
  #wasm: Promise<WebAssembly.Module> | undefined
  #seed: Promise<Uint8Array<ArrayBuffer> | undefined> | undefined
  #failedAtMs: number | undefined

  constructor(options: StarterOptions) {
    this.#options = options
  }

  /** Rejects at once within `startBackoffMs` of a failure (57P03). */
  async start(spawn: (start: ShadowStart) => Promise<Spawned>): Promise<Worker> {
    // No await without a seed under way: of several that come at once, the first one makes it.
    const seed = this.#seed === undefined ? undefined : await this.#seed
    const { nowMs, versionText, serverVersion } = this.#options
    if (this.#failedAtMs !== undefined && nowMs() < this.#failedAtMs + startBackoffMs)
      throw unavailable(new Error("its last start failed a moment ago"))
    const spawned = this.#compiled().then((wasm) =>
      spawn({ wasm, versionText, serverVersion, seed }),
    )
    // Set before anybody else runs: who waits for the seed learns of the failure with it.
    const settled = spawned.then(packed, (thrown: unknown) => this.#failed(thrown))
    if (seed === undefined) this.#seed = settled
    const { worker } = await spawned.catch((thrown: unknown) => {
      throw unavailable(thrown)
    })
    this.#failedAtMs = undefined
    return worker
  }

  #failed(thrown: unknown): undefined {
    const { nowMs, onStartFailed } = this.#options
    this.#failedAtMs = nowMs()
    // What it was started from is not to be trusted either.
    this.#seed = undefined
    onStartFailed(thrown)
    return undefined
  }

  #compiled(): Promise<WebAssembly.Module> {
    this.#wasm ??= compile().catch((thrown: unknown) => {
      this.#wasm = undefined
      throw thrown
    })
    return this.#wasm
  }
}

/** On zlib's thread; fastest level: 40 MB become 5. Without a seed the next start is only slower. */
async function packed({ dump }: Spawned): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (dump === undefined) return undefined
  try {
    return new Uint8Array(await promisify(gzip)(dump, { level: 1 }))
  } catch {
    return undefined
  }
}

/** Compiled once and shared by all threads. */
async function compile(): Promise<WebAssembly.Module> {
  const entry = import.meta.resolve("@electric-sql/pglite")
  return WebAssembly.compile(await readFile(new URL("pglite.wasm", entry)))
}
