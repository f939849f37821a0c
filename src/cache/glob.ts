import type { RelationName } from "../core/relation.ts"

/**
 * True when the whole text matches: `*` stands for any run of characters, dots included, `?` for exactly one. There is no
 * escape and no class. Only the last `*` is ever tried again, so the time is at most pattern length times text length.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0
  let inPattern = 0
  let starAt = -1
  let starText = 0
  while (at < text.length) {
    const wanted = pattern[inPattern]
    if (wanted === "*") {
      starAt = inPattern
      starText = at
      inPattern += 1
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[at])) {
      at += 1
      inPattern += 1
    } else if (starAt >= 0) {
      starText += 1
      at = starText
      inPattern = starAt + 1
    } else {
      return false
    }
  }
  while (pattern[inPattern] === "*") inPattern += 1
  return inPattern === pattern.length
}

/** `schema.name` without the quotes that keep odd parts apart: what operators write in patterns. */
export function plainSpelling(relation: RelationName): string {
  if (!relation.includes('"')) return relation
  return relation.replaceAll(/"((?:[^"]|"")*)"/g, (_quoted, inner: string) =>
    inner.replaceAll('""', '"'),
  )
}

export function relationMatchesGlob(pattern: string, relation: RelationName): boolean {
  return matchesGlob(pattern, plainSpelling(relation))
}
