import type { FillSkipReason } from "../../core/observation.ts"
import type { StoredEntry } from "../stored-entry.ts"

/** What a flight does with the store; the tier implements it. */
export type FlightDuties = {
  readonly share: (entry: StoredEntry) => void
  readonly leave: (isCancelled: boolean) => void
  /** Resolves to false when the flight is lost or cannot be prolonged. */
  readonly extend: () => Promise<boolean>
}

/**
 * The duty to end a run that other instances may wait for, exactly once: by its entry, or by why there is none. It prolongs
 * its claim while it lasts; when the process dies the claim ends by itself.
 */
export class SharedFlight {
  readonly #duties: FlightDuties
  #timer: NodeJS.Timeout | undefined
  #isSettled = false

  /** `extendMs` undefined: nobody waits, because there is no claim. */
  constructor(duties: FlightDuties, extendMs: number | undefined) {
    this.#duties = duties
    if (extendMs !== undefined) this.#extendIn(extendMs)
  }

  /** Returns at once; the entry is on its way. */
  share(entry: StoredEntry): void {
    if (this.#settle()) this.#duties.share(entry)
  }

  /** A cancelled run is taken over by a follower. After any other end followers run by themselves, as they do in one process. */
  leave(reason: FillSkipReason): void {
    if (this.#settle()) this.#duties.leave(reason === "cancelled")
  }

  #extendIn(extendMs: number): void {
    this.#timer = setTimeout(() => {
      void this.#extend(extendMs)
    }, extendMs)
    this.#timer.unref()
  }

  async #extend(extendMs: number): Promise<void> {
    try {
      const isKept = await this.#duties.extend()
      if (isKept && !this.#isSettled) this.#extendIn(extendMs)
    } catch {
      // The claim ends by itself, and others run.
    }
  }

  #settle(): boolean {
    if (this.#isSettled) return false
    this.#isSettled = true
    clearTimeout(this.#timer)
    return true
  }
}
