import { readFile } from "node:fs/promises"
import { GatewayError } from "../../core/errors.ts"
import type { RowStream, StatementDescription } from "../../core/result.ts"
import type { ShadowCatalogue, ShadowQuestion } from "../../core/shadow-catalogue.ts"
import { SqlState } from "../../core/sql-state.ts"
import { ShadowInstance } from "./instance.ts"
import type { ShadowStart } from "./messages.ts"
import { describeMessages, readDescription, readRows, runMessages } from "./wire.ts"

/**
 * Shadows that live at one time, one for each visibility: 200 to 350 MB each. Above it the one that has rested longest is
 * ended, and starts anew when it is asked again. They belong to one warehouse.
 */
const shadowsMax = 4

export type PgliteCatalogueOptions = {
  readonly versionText: string
  readonly serverVersion: string
  /** Objects of the warehouse that PostgreSQL could not hold, by its error texts. */
  readonly onSkipped: (reasons: readonly string[]) => void
}

/**
 * A genuine PostgreSQL (PGlite) for each visibility, in a thread of its own and started at first need. One instance for all
 * would not do: pg_class is readable by everybody, and ::regclass finds what no grant shows.
 */
export class PgliteCatalogue implements ShadowCatalogue {
  readonly #options: PgliteCatalogueOptions
  /** In the order of their last use. */
  readonly #instances = new Map<string, ShadowInstance>()
  #wasm: Promise<WebAssembly.Module> | undefined

  constructor(options: PgliteCatalogueOptions) {
    this.#options = options
  }

  async run(question: ShadowQuestion): Promise<RowStream> {
    return readRows(await this.#instanceFor(question).ask(question, runMessages(question)))
  }

  async describe(question: ShadowQuestion): Promise<StatementDescription> {
    const bytes = await this.#instanceFor(question).ask(question, describeMessages(question))
    return readDescription(bytes)
  }

  async close(): Promise<void> {
    const instances = [...this.#instances.values()]
    this.#instances.clear()
    await Promise.all(instances.map((instance) => instance.close()))
  }

  #instanceFor({ visibility }: ShadowQuestion): ShadowInstance {
    const { digest } = visibility
    let instance = this.#instances.get(digest)
    if (instance === undefined) {
      if (this.#instances.size >= shadowsMax) this.#endOldest()
      instance = new ShadowInstance(() => this.#start(), this.#options.onSkipped)
    }
    this.#instances.delete(digest)
    this.#instances.set(digest, instance)
    return instance
  }

  #endOldest(): void {
    const oldest = [...this.#instances].find(([, instance]) => instance.isIdle)
    if (oldest === undefined) throw allBusy()
    this.#instances.delete(oldest[0])
    void oldest[1].close()
  }

  async #start(): Promise<ShadowStart> {
    this.#wasm ??= compile().catch((thrown: unknown) => {
      this.#wasm = undefined
      throw thrown
    })
    const { versionText, serverVersion } = this.#options
    return { wasm: await this.#wasm, versionText, serverVersion }
  }
}

function allBusy(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "queue_full",
    message: "too many roles with different grants ask for the catalogue at once",
    safeToRetry: true,
  })
}

/** Compiled once and shared by all threads. */
async function compile(): Promise<WebAssembly.Module> {
  const entry = import.meta.resolve("@electric-sql/pglite")
  return WebAssembly.compile(await readFile(new URL("pglite.wasm", entry)))
}
