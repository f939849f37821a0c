import type { StoredEntry } from "../../cache/stored-entry.ts"
import type { TokenVector } from "../../cache/token-store.ts"
import type { Plan } from "../plan-memo.ts"
import type { Question } from "../question.ts"

/** A hit as it was served. */
export type ServedHit = {
  readonly question: Question
  readonly plan: Plan
  readonly entry: StoredEntry
  readonly vector: TokenVector
  /** The date in the entry's key. */
  readonly date: string | undefined
}

/** `skipped`: no room, over a limit, not comparable, or the tokens changed meanwhile. `failed`: the run ended with an error. */
export type VerifyResult = "match" | "mismatch" | "skipped" | "failed"

/** Takes hits that were served, to compare some of them with the warehouse (verifier.ts). */
export interface Sampler {
  /** Since start, for metrics. */
  readonly counts: Readonly<Record<VerifyResult, number>>
  /** Whether this hit is one of the sample. */
  isDue(): boolean
  /** Returns at once. */
  offer(hit: ServedHit): void
  close(): void
}
