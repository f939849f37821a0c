import type { CatalogSnapshot } from "../../core/catalog.ts"
import type { Statement } from "../../core/statement.ts"
import { boundForDirect } from "../../pipeline/bind-session.ts"
import { addWritten, admit, nothingWritten, type Written } from "../../pipeline/direct.ts"
import type { TransactionStatus } from "../../wire/backend-messages.ts"
import type { ParseMessage, QueryMessage } from "../../wire/frontend-messages.ts"
import type { SessionState } from "../session-state.ts"
import { sessionValues } from "../session-values.ts"
import { ownText } from "./own-text.ts"
import type { KnownSearchPath } from "./search-path.ts"
import { type DirectSignals, signalOf } from "./signals.ts"
import type { WrittenNames } from "./written-names.ts"

/** What a write session knows when a text of its client's is judged; prepared names and the search path are noted in it. */
export type JudgeContext = {
  readonly state: SessionState
  readonly path: KnownSearchPath
  readonly ownNames: Set<string>
  readonly names: WrittenNames
  readonly signals: DirectSignals
  readonly status: TransactionStatus
}

export type JudgedTexts = {
  /** What the warehouse is sent, a text for each statement. */
  readonly texts: readonly string[]
  readonly written: Written
  /** True when some text is not the client's own. */
  readonly isChanged: boolean
}

/** Judges every statement of a Query or Parse before any of it is sent. Throws the refusal of the first that may not run. */
export function judgeTexts(
  message: QueryMessage | ParseMessage,
  statements: readonly Statement[],
  snapshot: CatalogSnapshot,
  { state, path, ownNames, names, signals, status }: JudgeContext,
): JudgedTexts {
  const { identity, rooms } = state.origin
  const texts: string[] = []
  let written = nothingWritten
  for (const statement of statements) {
    const context = { identity, searchPath: path.schemas, ownNames }
    const signal = statements.length === 1 ? signalOf(statement) : undefined
    if (signal !== undefined) {
      texts.push(signals.text(message, signal, status))
      continue
    }
    const bound = boundForDirect(statement, () => sessionValues(state, true))
    const admission = admit(bound, context, snapshot, rooms)
    path.after(bound)
    texts.push(ownText(bound, state) ?? bound.text)
    if (admission.prepares === undefined) written = addWritten(written, admission.written)
    else names.prepare(admission.prepares, admission.written)
    if (admission.executes !== undefined)
      written = addWritten(written, names.ofStatement(admission.executes))
  }
  const isChanged = texts.some((text, index) => text !== statements[index]?.text)
  return { texts, written, isChanged }
}
