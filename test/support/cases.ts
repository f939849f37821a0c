import { readFileSync } from "node:fs"

/**
 * Reader of `.case` files, where the file is the test:
 *
 *     # A comment, anywhere between cases.
 *     SELECT 1
 *     FROM t
 *     => read
 *     => relations: t
 *
 * A case is one or more lines of input and then one or more lines of expectation, each behind `=> `. A blank line or the
 * next input ends it. Input lines keep their spaces; inside both parts `\n`, `\t` and `\u{HEX}` stand for the character, and
 * `\\` for a backslash, where `escapes` is asked for.
 */
export type Case = {
  readonly input: string
  readonly expected: string
  /** Line of the input's start, from 1. */
  readonly line: number
}

const escape = /\\(?:u\{([0-9a-fA-F]+)\}|(.))/g
const letters: Readonly<Record<string, string>> = { n: "\n", t: "\t" }

function unescape(text: string): string {
  return text.replaceAll(escape, (_all, hex: string | undefined, letter: string | undefined) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16))
    return letters[letter ?? ""] ?? letter ?? ""
  })
}

export function readCases(path: string | URL, options?: { readonly escapes: boolean }): Case[] {
  const decode = options?.escapes === true ? unescape : (text: string) => text
  const cases: Case[] = []
  let input: string[] = []
  let expected: string[] = []
  let line = 0
  const finish = (): void => {
    if (expected.length > 0) {
      cases.push({ input: decode(input.join("\n")), expected: decode(expected.join("\n")), line })
    } else if (input.length > 0) {
      throw new Error(`${String(path)}:${line}: a case without an expectation`)
    }
    input = []
    expected = []
  }
  for (const [index, text] of readFileSync(path, "utf8").split("\n").entries()) {
    if (text.startsWith("=> ") || text === "=>") {
      if (input.length === 0) throw new Error(`${String(path)}:${index + 1}: no input`)
      expected.push(text.slice(3))
      continue
    }
    if (expected.length > 0 || text.trim() === "") finish()
    if (text.trim() === "" || (input.length === 0 && text.startsWith("#"))) continue
    if (input.length === 0) line = index + 1
    input.push(text)
  }
  finish()
  return cases
}
