import { randomFillSync } from "node:crypto"

const poolBytes = 4096
const pool = Buffer.allocUnsafeSlow(poolBytes)
let usedBytes = poolBytes

/**
 * Unpredictable bytes for nonces and keys, at most 4,096. The kernel is asked for a pool at a time: one call costs 4 us, and
 * a login needs several handfuls. What was handed out is wiped, so that no key is found here afterwards.
 */
export function unpredictable(byteCount: number): Buffer {
  if (usedBytes + byteCount > poolBytes) {
    randomFillSync(pool)
    usedBytes = 0
  }
  const end = usedBytes + byteCount
  // Not from Node's own pool: a key that lives as long as its session would keep 8 KiB alive.
  const bytes = Buffer.allocUnsafeSlow(byteCount)
  pool.copy(bytes, 0, usedBytes, end)
  pool.fill(0, usedBytes, end)
  usedBytes = end
  return bytes
}
