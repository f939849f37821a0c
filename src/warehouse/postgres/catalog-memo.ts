import type { CatalogInterest, CatalogSnapshot } from "../../core/catalog.ts"
import { isSameCatalog } from "./catalog-fingerprint.ts"
import {
  type CatalogReading,
  catalogAsker,
  readCatalog,
  readFingerprint,
} from "./catalog-reader.ts"
import type { PostgresConnection } from "./connection.ts"

/** Longest time for which looking has to do: names of roles can stand in definitions, and no fingerprint shows them. */
const readAgainMs = 300_000

type Known = {
  readonly reading: CatalogReading
  readonly interest: string
  readonly atMs: number
}

/**
 * The catalogue as it was read last, for as long as nothing in it has changed. Every invalidation has to know what names mean now,
 * on every instance; mostly rows were loaded and nothing else, and then a look suffices.
 */
export class CatalogMemo {
  #known: Known | undefined

  /** As the server has it now: what it shows was true at a moment after the call. */
  async read(
    connection: PostgresConnection,
    signal: AbortSignal,
    interest: CatalogInterest,
  ): Promise<CatalogSnapshot> {
    const asked = JSON.stringify(interest)
    const known = this.#known
    if (
      known !== undefined &&
      known.interest === asked &&
      performance.now() - known.atMs < readAgainMs
    ) {
      const now = await readFingerprint(connection, catalogAsker(connection, signal))
      if (isSameCatalog(known.reading.fingerprint, now)) return known.reading.snapshot
    }
    const atMs = performance.now()
    const reading = await readCatalog(connection, signal, { interest, before: known?.reading })
    this.#known = { reading, interest: asked, atMs }
    return reading.snapshot
  }
}
