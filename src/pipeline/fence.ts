import { unprovableFence } from "../cache/token-store.ts"
import type { Rooms } from "./rooms.ts"

/** How long an invalidation waits for the position before it settles for "only the primary may answer". */
const positionWaitMsMax = 2_000

/**
 * What a replica must have replayed to show everything that has been committed up to now: the primary's position. `undefined`
 * for an engine that has one copy of its data; when the position cannot be learned, only the primary may answer from now on.
 */
export async function fenceNow(rooms: Rooms): Promise<string | undefined> {
  if (rooms.engine !== "postgres") return undefined
  const signal = AbortSignal.timeout(positionWaitMsMax)
  try {
    const { lease } = await rooms.router.lease({ signal })
    using held = lease
    return (await held.connection.position(signal)) ?? unprovableFence
  } catch {
    return unprovableFence
  }
}
