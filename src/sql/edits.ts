/** A piece of a text, in UTF-8 bytes, and what stands there instead. */
export type Edit = { readonly start: number; readonly end: number; readonly text: string }

export type EditedText = {
  readonly text: string
  /** The old position of a character of the new text, both from 1; undefined inside of what was put in. */
  readonly position: (position: number) => number | undefined
}

/** Carries out edits that do not overlap, in any order. */
export function editText(text: string, edits: readonly Edit[]): EditedText {
  const bytes = Buffer.from(text, "utf8")
  const ordered = [...edits].toSorted((a, b) => a.start - b.start)
  const parts: string[] = []
  const kept: Stretch[] = []
  let oldCharacters = 0
  let newCharacters = 0
  let at = 0
  const keep = (end: number): void => {
    const piece = bytes.toString("utf8", at, end)
    const length = characters(piece)
    kept.push({ from: newCharacters, to: oldCharacters, length })
    parts.push(piece)
    oldCharacters += length
    newCharacters += length
    at = end
  }
  for (const edit of ordered) {
    keep(edit.start)
    parts.push(edit.text)
    newCharacters += characters(edit.text)
    oldCharacters += characters(bytes.toString("utf8", edit.start, edit.end))
    at = edit.end
  }
  keep(bytes.length)
  return { text: parts.join(""), position: positionsIn(kept) }
}

/** A stretch of the old text in the new one, in characters from 0. */
type Stretch = { readonly from: number; readonly to: number; readonly length: number }

/** A function of its own, because plans keep it: made above, it would keep both texts with it. */
function positionsIn(kept: readonly Stretch[]): EditedText["position"] {
  return (sent) => {
    const found = kept.find(({ from, length }) => sent - 1 >= from && sent - 1 <= from + length)
    return found === undefined ? undefined : sent - found.from + found.to
  }
}

/** Code points, as PostgreSQL counts error positions. */
function characters(text: string): number {
  let count = text.length
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit >= 0xdc00 && unit <= 0xdfff) count -= 1
  }
  return count
}
