import { comparePositions, type Position } from "../core/position.ts"
import type { Lease } from "../pool/lease.ts"

type Connection = Lease["connection"]

/** A question of where a server stands that takes longer than this is answered by asking another server. */
const askMsMax = 1_000
/** A replica that was behind is not asked again for so long: it would cost every reader a round trip to hear the same. */
const behindMs = 50

type Behind = { readonly needed: Position; readonly untilMs: number }

/**
 * How far replicas have replayed. What a connection has said holds for as long as it lives, because a server's replay never
 * goes back without ending its connections, and because it is that server which answers, whatever stands between.
 */
export class ReplicaPositions {
  readonly #known = new WeakMap<Connection, Position>()
  readonly #behind = new Map<string, Behind>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  /** True when the server said a moment ago that it had not come as far. */
  isKnownBehind(endpoint: string, needed: Position): boolean {
    const behind = this.#behind.get(endpoint)
    if (behind === undefined || behind.untilMs <= this.#nowMs()) return false
    return (comparePositions(needed, behind.needed) ?? -1) >= 0
  }

  /** `reached`: the server behind this connection has replayed `needed`. Failing to hear so is `behind`, never an error. */
  async standing(
    endpoint: string,
    connection: Connection,
    needed: Position,
    signal: AbortSignal,
  ): Promise<"reached" | "behind"> {
    if (isReached(this.#known.get(connection), needed)) return "reached"
    const position = await ask(connection, signal)
    if (position !== undefined) this.#known.set(connection, position)
    if (isReached(position, needed)) return "reached"
    this.#behind.set(endpoint, { needed, untilMs: this.#nowMs() + behindMs })
    return "behind"
  }
}

function isReached(position: Position | undefined, needed: Position): boolean {
  return position !== undefined && (comparePositions(position, needed) ?? -1) >= 0
}

async function ask(connection: Connection, signal: AbortSignal): Promise<Position | undefined> {
  try {
    return await connection.position(AbortSignal.any([signal, AbortSignal.timeout(askMsMax)]))
  } catch {
    return undefined
  }
}
