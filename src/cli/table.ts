/** Longest cell of a table; what is longer is cut, and shown whole where it matters. */
const cellCharsMax = 56

/** Lines of a table for people: a heading, columns two blanks apart, no blanks at the ends of lines. */
export function tableText(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const cells = [heading, ...rows].map((row) => row.map(cut))
  const widths = heading.map((_, column) =>
    Math.max(...cells.map((row) => Array.from(row[column] ?? "").length)),
  )
  return cells
    .map(
      (row) =>
        `${row
          .map((cell, at) => padded(cell, widths[at]))
          .join("  ")
          .trimEnd()}\n`,
    )
    .join("")
}

function cut(cell: string): string {
  const characters = Array.from(cell.replaceAll(/\s+/g, " "))
  if (characters.length <= cellCharsMax) return characters.join("")
  return `${characters.slice(0, cellCharsMax - 1).join("")}…`
}

function padded(cell: string, width = 0): string {
  return cell + " ".repeat(Math.max(0, width - Array.from(cell).length))
}
