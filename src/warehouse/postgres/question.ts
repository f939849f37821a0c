import type { Parameters } from "../../core/parameters.ts"
import type { SettingsView } from "../../core/settings.ts"
import type { TextRow } from "./text-rows.ts"

/** A question of our own. */
export type Question = {
  readonly text: string
  readonly parameters: Parameters
  readonly signal: AbortSignal
  /** undefined leaves the connection's settings as they are. */
  readonly settings?: SettingsView
  /** Default: `internalTimeoutMs`. */
  readonly timeoutMs?: number
}

/** Whoever can be asked one; rows come as text. */
export interface Asker {
  query(question: Question, visit: (row: TextRow) => void): Promise<void>
}
