import { readFileSync } from "node:fs"
import { parseText } from "../../../src/sql/parser.ts"

/** The recorded statements of test/corpora, for tests that need real SQL. */

export type Item = {
  readonly sql: string
  readonly name?: string
  readonly kind?: string
  readonly tables?: readonly string[]
  readonly ok?: boolean
}

export function corpus(name: string): Item[] {
  return JSON.parse(readFileSync(`test/corpora/${name}`, "utf8")) as Item[]
}

/** Statements of the wire corpus: each ends at a line `-- @end` and begins with `-- @` lines. */
export function wireCorpus(): string[] {
  return readFileSync("test/corpora/superset_wire_statements.sql", "utf8")
    .split("\n-- @end")
    .filter((block) => block.includes("-- @id"))
    .map((block) =>
      block
        .slice(block.indexOf("-- @id"))
        .replaceAll(/^-- @.*\n?/gm, "")
        .trim(),
    )
}

export function corpusTexts(): string[] {
  const files = [
    "superset_real_captured.json",
    "superset_statements.json",
    "superset_style_queries.json",
  ]
  const texts = files.flatMap((name) => corpus(name).map((item) => item.sql))
  return [...new Set([...texts, ...wireCorpus()])]
}

/** Texts of the corpora that are one read each. */
export function corpusReads(): string[] {
  return corpusTexts().filter((text) => {
    try {
      const statements = parseText(text)
      return statements.length === 1 && statements[0]?.class.kind === "read"
    } catch {
      return false
    }
  })
}
