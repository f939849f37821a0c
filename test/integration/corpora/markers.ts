import { equal } from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"

/**
 * `RECORD=1` writes what a test found into the files that it otherwise compares with; what changed is then in the
 * difference of the commit.
 */
const isRecording = process.env["RECORD"] === "1"

const read = (path: URL): string => readFileSync(path, "utf8")

/** The formatter pads the cells of tables and sets blank lines; neither changes what a document says. */
function unpadded(text: string): string {
  return text
    .replaceAll(/(?<=[|-]) +| +(?=\|)/g, " ")
    .replaceAll(/-{3,}/g, "---")
    .replaceAll(/\n{2,}/g, "\n")
}

/** Compares, or records, a whole file. `npm run format` pads a recorded document again. */
export function keepFile(path: URL, text: string): void {
  const [kept, found] = [unpadded(read(path)), unpadded(text)]
  if (isRecording && kept !== found) writeFileSync(path, text)
  else equal(kept, found, `${path.pathname} is not what was found; RECORD=1 writes it anew`)
}

/** Compares, or records, what stands between `<!-- name: begin -->` and `<!-- name: end -->`. */
export function keepSection(path: URL, name: string, text: string): void {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`]
  const whole = read(path)
  const [from, to] = [whole.indexOf(begin), whole.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`${path.pathname} has no section ${name}`)
  keepFile(path, `${whole.slice(0, from)}${begin}\n${text.trim()}\n${whole.slice(to)}`)
}
