import { timingSafeEqual } from "node:crypto"
import { unpredictable } from "./random.ts"

/**
 * A fresh cancel key: four bytes for protocol 3.0 and 3.1, which can carry no more, and 32, as PostgreSQL 18 has it, from
 * 3.2 on.
 */
export function makeCancelKey(protocolMinor: number): Buffer {
  return unpredictable(protocolMinor >= 2 ? 32 : 4)
}

/** Compares in a time that does not tell how much of the key was right. */
export function isSameCancelKey(left: Buffer, right: Buffer): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
