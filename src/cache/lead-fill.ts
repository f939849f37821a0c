import type { RowStream } from "../core/result.ts"
import { type FillOptions, teeFill } from "./fill.ts"

export type LeadOptions = Omit<FillOptions, "abortRun"> & {
  /** Routes, leases and runs the statement. The stream owns the lease. */
  readonly run: (signal: AbortSignal) => Promise<RowStream>
}

/**
 * Runs the statement as the leader of a flight and returns the rows for the leader's own client, teed into the cache.
 *
 * `run` gets a signal of its own. It aborts with the client's as long as nobody else waits; with followers the client alone
 * is let go, at once, and the run goes on for them. The last follower to leave then aborts it.
 */
export function leadFill(options: LeadOptions): Promise<RowStream> {
  const { seat, signal, skipped } = options
  const controller = new AbortController()
  const abortRun = (reason: unknown): void => controller.abort(reason)
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      if (seat.followerCount === 0) {
        abortRun(signal.reason)
        return
      }
      seat.onDeserted(() => abortRun(signal.reason))
      reject(signal.reason)
    }
    const onFailed = (thrown: unknown): void => {
      signal.removeEventListener("abort", onAbort)
      if (signal.aborted) seat.abandon()
      else seat.release("failed")
      skipped(signal.aborted ? "cancelled" : "failed")
      reject(thrown)
    }
    const onRunning = (source: RowStream): void => {
      signal.removeEventListener("abort", onAbort)
      resolve(teeFill(source, { ...options, abortRun }))
    }
    if (signal.aborted) {
      onFailed(signal.reason)
      return
    }
    signal.addEventListener("abort", onAbort)
    options.run(controller.signal).then(onRunning, onFailed)
  })
}
