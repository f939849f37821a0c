/** Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1]
      let cost = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (isSame ? 0 : 1),
      )
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Longer names are no misspelling of anything here, and the distance costs their product. */
const nameLengthMax = 64

/** `ttl` for `ttlMs`, `memory_bytes_max` for `memoryBytesMax`. */
function plain(name: string): string {
  return name.replaceAll(/[_-]/g, "").toLowerCase()
}

/** `maxConnections` and `connectionsMax` agree here. */
function sortedWords(name: string): string {
  const words = name.replaceAll(/([a-z])([A-Z])/g, "$1 $2").split(/[\s_-]+/)
  return words
    .map((word) => word.toLowerCase())
    .toSorted((a, b) => (a < b ? -1 : 1))
    .join("")
}

/** The known name that somebody who wrote `name` most likely meant, or undefined when none is close. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > nameLengthMax) return undefined
  const written = plain(name)
  let best: string | undefined
  // A third of the letters may differ, two in short names, and never all of them.
  let bestDistance = Math.min(Math.max(2, Math.floor(written.length / 3)), written.length - 1) + 1
  for (const candidate of known) {
    const spelled = plain(candidate)
    const isStem =
      written.length >= 3 && (spelled.startsWith(written) || written.startsWith(spelled))
    const distance = Math.min(
      editDistance(written, spelled),
      editDistance(sortedWords(name), sortedWords(candidate)),
      isStem ? 1 : Number.POSITIVE_INFINITY,
    )
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}
