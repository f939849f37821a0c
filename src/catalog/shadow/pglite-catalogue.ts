import { GatewayError } from "../../core/errors.ts"
import type { RowStream, StatementDescription } from "../../core/result.ts"
import type { ShadowCatalogue, ShadowQuestion } from "../../core/shadow-catalogue.ts"
import { SqlState } from "../../core/sql-state.ts"
import { ShadowInstance } from "./instance.ts"
import { ShadowStarter } from "./starter.ts"
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
  readonly onStartFailed: (error: unknown) => void
}

/**
 * A genuine PostgreSQL (PGlite) for each visibility, in a thread of its own and started at first need. One instance for all
 * would not do: pg_class is readable by everybody, and ::regclass finds what no grant shows.
 */
export class PgliteCatalogue implements ShadowCatalogue {
  readonly #options: PgliteCatalogueOptions
  readonly #starter: ShadowStarter
  /** In the order of their last use. */
  readonly #instances = new Map<string, ShadowInstance>()
  /** Started ahead of need and nobody's yet: the first visibility that comes takes it. */
  #spare: ShadowInstance | undefined

  constructor(options: PgliteCatalogueOptions) {
    this.#options = options
    this.#starter = new ShadowStarter({ ...options, nowMs: () => performance.now() })
  }

  async run(question: ShadowQuestion): Promise<RowStream> {
    return readRows(await this.#instanceFor(question).ask(question, runMessages(question)))
  }

  async describe(question: ShadowQuestion): Promise<StatementDescription> {
    const bytes = await this.#instanceFor(question).ask(question, describeMessages(question))
    return readDescription(bytes)
  }

  async warm(): Promise<void> {
    if (this.#spare !== undefined || this.#instances.size > 0) return
    const spare = this.#made()
    this.#spare = spare
    await spare.warm()
  }

  async close(): Promise<void> {
    const spare = this.#spare === undefined ? [] : [this.#spare]
    const instances = [...this.#instances.values(), ...spare]
    this.#spare = undefined
    this.#instances.clear()
    await Promise.all(instances.map((instance) => instance.close()))
  }

  #instanceFor({ visibility }: ShadowQuestion): ShadowInstance {
    const { digest } = visibility
    let instance = this.#instances.get(digest)
    if (instance === undefined) {
      if (this.#instances.size >= shadowsMax) this.#endOldest()
      instance = this.#spare ?? this.#made()
      this.#spare = undefined
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

  #made(): ShadowInstance {
    return new ShadowInstance(this.#starter, this.#options.onSkipped)
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
