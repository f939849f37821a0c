/**
 * A client's text beside its UTF-8 bytes. The parser counts bytes, error positions count characters (code points), and
 * JavaScript counts UTF-16 units: this is the one place that converts.
 */
export type SourceText = { readonly text: string; readonly bytes: Buffer }

/** A slice between two byte offsets. */
export function sliceBytes(source: SourceText, start: number, end: number): string {
  // All ASCII: bytes and units are the same, and a slice of the string shares its memory.
  if (source.bytes.length === source.text.length) return source.text.slice(start, end)
  return source.bytes.toString("utf8", start, end)
}

/** Characters before a byte offset, as PostgreSQL counts them in error positions. */
export function charactersBefore(source: SourceText, byteOffset: number): number {
  if (source.bytes.length === source.text.length) return byteOffset
  let characters = 0
  for (let index = 0; index < byteOffset; index += 1) {
    // Continuation bytes (10xxxxxx) begin no character.
    if (((source.bytes[index] ?? 0) & 0xc0) !== 0x80) characters += 1
  }
  return characters
}

/** White space of PostgreSQL's scanner; Unicode's other spaces are letters of identifiers there. */
const leadingSpace = /^[ \t\n\r\f\v]+/
const spaces = " \t\n\r\f\v"

/** A slice without the white space around it, and how many bytes stood in front. */
export function trimmed(text: string): { readonly text: string; readonly leading: number } {
  const leading = leadingSpace.exec(text)?.[0].length ?? 0
  let end = text.length
  while (end > leading && spaces.includes(text.charAt(end - 1))) end -= 1
  return { text: text.slice(leading, end), leading }
}
