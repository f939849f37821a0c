/**
 * A vector's text for people: `epoch 5f1c...; s.orders 0199...; s.items -`, with `-` for a relation that has had no
 * invalidation in this epoch. Whatever it cannot read it shows as it is.
 */
export function showVector(text: string): string {
  const parts = partsOf(text)
  if (parts === undefined) return text
  const [epoch = "", ...rest] = parts
  const shown = [`epoch ${epoch}`]
  for (let at = 0; at < rest.length; at += 2) shown.push(`${rest[at]} ${rest[at + 1] || "-"}`)
  return shown.join("; ")
}

/** Undoes a row of lengthDelimited(). */
function partsOf(text: string): string[] | undefined {
  const parts: string[] = []
  for (let at = 0; at < text.length; ) {
    const colon = text.indexOf(":", at)
    const digits = text.slice(at, colon)
    const length = Number(digits)
    const end = colon + 1 + length
    if (colon === -1 || !/^\d+$/.test(digits) || end > text.length) return undefined
    parts.push(text.slice(colon + 1, end))
    at = end
  }
  return parts.length % 2 === 1 ? parts : undefined
}
