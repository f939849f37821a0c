import type { FrontendMessage } from "../wire/frontend-messages.ts"

/**
 * Where a logged-in session stands between two messages.
 *
 *   ready ──Parse/Bind/Describe/Execute/Close/Flush──▶ extended ──Sync──▶ ready
 *                                                        │ error
 *                                                        ▼
 *                                                     skipping ──Sync──▶ ready
 *   any ──Terminate, FATAL──▶ closed
 *
 * A simple Query is answered in `ready` and in `extended` alike, as PostgreSQL does.
 */
export type Phase = "ready" | "extended" | "skipping" | "closed"

/** What is to be done with a message. */
export type Step = "handle" | "discard"

/** After an error in the extended protocol everything but Sync and Terminate is read and dropped (PostgreSQL manual, 54.2.3). */
export function step(phase: Phase, message: FrontendMessage): Step {
  if (phase === "closed") return "discard"
  if (phase === "skipping" && message.kind !== "Sync" && message.kind !== "Terminate")
    return "discard"
  return "handle"
}

export function phaseAfter(phase: Phase, message: FrontendMessage): Phase {
  switch (message.kind) {
    case "Terminate":
      return "closed"
    case "Sync":
    case "Query":
    case "FunctionCall":
      return phase === "closed" ? "closed" : "ready"
    case "CopyData":
    case "CopyDone":
    case "CopyFail":
      return phase
    default:
      return phase === "ready" ? "extended" : phase
  }
}

/** After an ERROR: a batch of the extended protocol is skipped up to its Sync; a simple Query has ended anyway. */
export function phaseAfterError(message: FrontendMessage): Phase {
  switch (message.kind) {
    case "Query":
    case "FunctionCall":
    case "Sync":
      return "ready"
    default:
      return "skipping"
  }
}
