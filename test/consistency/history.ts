/**
 * What happened, in one total order. Writer and readers live in one process, so that a plain counter orders their events
 * exactly: an acknowledgement with a smaller number than a read's start came before it, with no clock in between.
 */
export type Ack = {
  readonly relation: string
  /** Value that the writer had committed when it asked for the invalidation. */
  readonly counter: number
  /** Order number and time of the moment just before the commit was sent. */
  readonly commitOrder: number
  readonly commitMs: number
  /** Of a soft invalidation: for so long after it older values may be seen; undefined = not at all. */
  readonly maxStaleMs?: number | undefined
  /** Order number and time of the moment at which the acknowledgement had been read. */
  readonly order: number
  readonly atMs: number
}

export type Read = {
  readonly reader: number
  readonly shape: string
  /** Taken just before the first byte of the question was written. */
  readonly startOrder: number
  readonly startMs: number
  readonly endOrder: number
  readonly endMs: number
  /** Value seen for each relation. */
  readonly seen: ReadonlyMap<string, number>
  /** `cache` of SHOW sluice.last. */
  readonly outcome: string
}

export type Violation = {
  readonly read: Read
  readonly relation: string
  readonly seen: number
  /** The newest value that was acknowledged before the read started: what it should have seen at least. */
  readonly required: Ack
}

export class History {
  readonly acks: Ack[] = []
  readonly reads: Read[] = []
  #order = 0

  /** The next order number: every event that matters takes one. */
  tick(): number {
    this.#order += 1
    return this.#order
  }
}

/** Acks of one relation in order, for binary search. */
function byRelation(acks: readonly Ack[]): Map<string, Ack[]> {
  const grouped = Map.groupBy(acks, (ack) => ack.relation)
  for (const list of grouped.values()) list.sort((a, b) => a.order - b.order)
  return grouped
}

/** Index of the last ack with an order number below the limit; -1 when there is none. */
function lastBefore(acks: readonly Ack[], limit: number): number {
  let low = 0
  let high = acks.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((acks[middle]?.order ?? Number.POSITIVE_INFINITY) < limit) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** The newest of these acks whose time for older values was over when the read started. */
function lastSoftBefore(acks: readonly Ack[], startMs: number): Ack | undefined {
  return acks.findLast(({ atMs, maxStaleMs = 0 }) => atMs + maxStaleMs < startMs)
}

/**
 * Reads that break the promise: started after an acknowledgement and answered with an older value. Counters of one relation
 * only rise and its writer waits for each acknowledgement before the next change, so that the last ack is the greatest. A soft ack
 * counts from the end of its time.
 */
export function violationsOf(history: Pick<History, "acks" | "reads">): Violation[] {
  const acks = byRelation(history.acks.filter(({ maxStaleMs }) => maxStaleMs === undefined))
  const soft = byRelation(history.acks.filter(({ maxStaleMs }) => maxStaleMs !== undefined))
  const found: Violation[] = []
  for (const read of history.reads)
    for (const [relation, seen] of read.seen) {
      const list = acks.get(relation) ?? []
      const hard = list[lastBefore(list, read.startOrder)]
      const late = lastSoftBefore(soft.get(relation) ?? [], read.startMs)
      const required = (late?.counter ?? 0) > (hard?.counter ?? 0) ? late : hard
      if (required !== undefined && seen < required.counter)
        found.push({ read, relation, seen, required })
    }
  return found
}

/** Reads that were under way while a change of what they read was acknowledged: the ones that invalidation designs lose. */
export function overlapsOf(history: Pick<History, "acks" | "reads">): Read[] {
  const acks = byRelation(history.acks)
  return history.reads.filter((read) =>
    [...read.seen.keys()].some((relation) => {
      const list = acks.get(relation) ?? []
      const next = list[lastBefore(list, read.startOrder) + 1]
      return next !== undefined && next.order < read.endOrder
    }),
  )
}

/** The events around a violation, one a line, oldest first. */
export function timelineOf(history: Pick<History, "acks" | "reads">, violation: Violation): string {
  const { read, required, relation } = violation
  const around = (order: number): boolean =>
    order > required.commitOrder - 40 && order < read.endOrder + 5
  const lines: { readonly order: number; readonly text: string }[] = []
  for (const ack of history.acks) {
    if (ack.relation !== relation) continue
    if (around(ack.commitOrder))
      lines.push({
        order: ack.commitOrder,
        text: `${ack.commitMs.toFixed(2)} ms  writer commits ${relation} = ${ack.counter}`,
      })
    if (around(ack.order))
      lines.push({
        order: ack.order,
        text: `${ack.atMs.toFixed(2)} ms  invalidation of ${relation} = ${ack.counter} is acknowledged`,
      })
  }
  for (const other of history.reads) {
    if (other.shape !== read.shape || !around(other.endOrder)) continue
    const mark = other === read ? "  <== too old" : ""
    lines.push({
      order: other.startOrder,
      text: `${other.startMs.toFixed(2)} ms  reader ${other.reader} asks "${other.shape}", answered at ${other.endMs.toFixed(2)} ms with ${other.seen.get(relation) ?? "?"} (${other.outcome})${mark}`,
    })
  }
  return lines
    .toSorted((a, b) => a.order - b.order)
    .map((line) => `  ${line.text}`)
    .join("\n")
}
