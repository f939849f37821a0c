import type { Socket } from "node:net"

/** First wait between two probes; it doubles, so that a statement of an hour costs a patient client some twenty messages. */
const firstWaitMs = 50
const waitMsMax = 10_000

/**
 * Tells a client that has closed its socket from one that has closed only its own direction and still reads: both look alike
 * until something is written. The first write to a closed socket brings a reset back, and the next one fails on it; nothing
 * is read any more that would show it earlier. `message` must be one that every client may get at any time.
 */
export function probeHalfOpen(socket: Socket, message: Buffer, isNeeded: () => boolean): void {
  const probe = (waitMs: number): void => {
    if (!isNeeded() || socket.destroyed) return
    // A client that listens but does not read has answers to take first, and a closed one fails on those.
    if (socket.writableLength === 0) socket.write(message)
    setTimeout(probe, waitMs, Math.min(2 * waitMs, waitMsMax)).unref()
  }
  probe(firstWaitMs)
}
