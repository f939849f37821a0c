import type { StoredResult } from "../core/result.ts"

/**
 * True when a client would get the same bytes of both, however they are cut into batches. False for results with notices: those
 * belong to one run.
 */
export function isSameResult(left: StoredResult, right: StoredResult): boolean {
  if (left.byteCount !== right.byteCount || left.rowCount !== right.rowCount) return false
  if (left.tag !== right.tag || hasNotices(left) || hasNotices(right)) return false
  if (left.description === undefined || right.description === undefined) {
    if (left.description !== right.description) return false
  } else if (!left.description.equals(right.description)) return false
  return isSameBytes(buffersOf(left), buffersOf(right))
}

function hasNotices({ notices = [], batches, endNotices = [] }: StoredResult): boolean {
  if (notices.length > 0 || endNotices.length > 0) return true
  return batches.some((batch) => batch.notices !== undefined)
}

function buffersOf({ batches }: StoredResult): readonly Buffer[] {
  return batches.map(({ bytes }) => bytes)
}

/** Compares in place: nothing is copied together. */
function isSameBytes(left: readonly Buffer[], right: readonly Buffer[]): boolean {
  let [leftAt, rightAt, leftIndex, rightIndex] = [0, 0, 0, 0]
  for (;;) {
    const one = left[leftIndex]
    const other = right[rightIndex]
    if (one === undefined || other === undefined) return one === other
    const length = Math.min(one.length - leftAt, other.length - rightAt)
    if (one.compare(other, rightAt, rightAt + length, leftAt, leftAt + length) !== 0) return false
    leftAt += length
    rightAt += length
    if (leftAt === one.length) {
      leftIndex += 1
      leftAt = 0
    }
    if (rightAt === other.length) {
      rightIndex += 1
      rightAt = 0
    }
  }
}
