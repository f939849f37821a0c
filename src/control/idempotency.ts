import { hash } from "node:crypto"
import { controlError } from "./problem.ts"

/** Clients repeat within seconds; a "clear task" days later is a new load. */
const rememberedMs = 10 * 60_000
const keysMax = 10_000
const keyLengthMax = 255
const visibleAscii = /^[\x21-\x7e]+$/

type Remembered = { readonly digest: string; readonly untilMs: number }

/**
 * What Idempotency-Key means here. A repeated call is always performed again: giving every relation another new token is
 * harmless, while an answer from memory could hide a load that was committed since the first call, and that is stale data.
 * The key only guards against a mistake: the same key with another body within ten minutes is a 409. Only calls that ended
 * in 2xx are remembered, and each token has keys of its own.
 */
export class IdempotencyKeys {
  readonly #remembered = new Map<string, Remembered>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Throws 400 for a key that is none and 409 for one that belongs to another body. */
  check(caller: string, key: string, body: unknown): void {
    if (key.length > keyLengthMax || !visibleAscii.test(key))
      throw controlError(
        "invalid_parameter",
        `Idempotency-Key must be 1 to ${keyLengthMax} visible ASCII characters`,
      )
    const known = this.#remembered.get(slot(caller, key))
    if (known === undefined || known.untilMs <= this.#nowMs()) return
    if (known.digest !== digestOf(body))
      throw controlError(
        "idempotency_conflict",
        "this Idempotency-Key was used with another body within the last ten minutes",
      )
  }

  remember(caller: string, key: string, body: unknown): void {
    const at = slot(caller, key)
    this.#remembered.delete(at)
    this.#remembered.set(at, { digest: digestOf(body), untilMs: this.#nowMs() + rememberedMs })
    if (this.#remembered.size <= keysMax) return
    const [oldest] = this.#remembered.keys()
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  get size(): number {
    return this.#remembered.size
  }
}

function slot(caller: string, key: string): string {
  return JSON.stringify([caller, key])
}

/** Over the parsed body with sorted keys: a client that repeats may well write its fields in another order. */
function digestOf(body: unknown): string {
  return hash("sha256", JSON.stringify(body, sortedKeys) ?? "", "base64")
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
