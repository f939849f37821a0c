/** A string with quotes around it, or a bare word; `|` parts the messages of one write. */
export type Token =
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "word"; readonly value: string }
  | { readonly kind: "bar" }

const pattern = /\s*(?:("(?:[^"\\]|\\.)*")(?:\*(\d+))?|(\|)|([^\s"|]+))/gy

/**
 * Splits one line of a script. Strings are JSON's; `"ab"*3` repeats one, and strings that stand beside each other are one
 * string. `name="value"` is a word that ends in `=` and a string. Throws on what it cannot read.
 */
export function tokensOf(line: string): Token[] {
  const tokens: Token[] = []
  const text = line.trimEnd()
  pattern.lastIndex = 0
  while (pattern.lastIndex < text.length) {
    const from = pattern.lastIndex
    const match = pattern.exec(text)
    if (match === null) throw new Error(`cannot read: ${text.slice(from)}`)
    const [, quoted, times, bar, word] = match
    if (bar !== undefined) tokens.push({ kind: "bar" })
    else if (word !== undefined) tokens.push({ kind: "word", value: word })
    else if (quoted !== undefined) pushString(tokens, quoted, times)
  }
  return tokens
}

function pushString(tokens: Token[], quoted: string, times: string | undefined): void {
  const value = String(JSON.parse(quoted)).repeat(times === undefined ? 1 : Number(times))
  const last = tokens.at(-1)
  if (last?.kind === "string")
    tokens[tokens.length - 1] = { kind: "string", value: last.value + value }
  else tokens.push({ kind: "string", value })
}

/** What stands between two bars: positional words and strings, and `name=value` pairs. */
export type Part = {
  readonly words: readonly string[]
  readonly strings: readonly string[]
  /** A list `a,"b",null` keeps its pieces; a single value is a list of one. */
  readonly options: ReadonlyMap<string, readonly Piece[]>
}

/** One value of a list: text, NULL, or bytes in hexadecimal. */
export type Piece = string | null | Buffer

export function partsOf(tokens: readonly Token[]): Part[] {
  const groups: Token[][] = [[]]
  for (const token of tokens) {
    if (token.kind === "bar") groups.push([])
    else groups.at(-1)?.push(token)
  }
  return groups.map(partOf)
}

function partOf(tokens: readonly Token[]): Part {
  const words: string[] = []
  const strings: string[] = []
  const options = new Map<string, readonly Piece[]>()
  for (let index = 0; index < tokens.length; index += 1) {
    const token = tokens[index]
    if (token === undefined || token.kind === "bar") continue
    if (token.kind === "string") {
      strings.push(token.value)
      continue
    }
    const at = token.value.indexOf("=")
    if (at <= 0) {
      words.push(token.value)
      continue
    }
    const { pieces, next } = listFrom(tokens, index, token.value.slice(at + 1))
    options.set(token.value.slice(0, at), pieces)
    index = next
  }
  return { words, strings, options }
}

/** A list goes on as long as a comma stands at its end or at the next token's beginning. */
function listFrom(
  tokens: readonly Token[],
  index: number,
  first: string,
): { readonly pieces: readonly Piece[]; readonly next: number } {
  const pieces: Piece[] = []
  let next = index
  let rest = first
  for (;;) {
    const wantsMore = rest === "" || rest.endsWith(",")
    for (const word of rest.split(",")) if (word !== "") pieces.push(pieceOf(word))
    const following = tokens[next + 1]
    if (wantsMore && following?.kind === "string") {
      pieces.push(following.value)
      next += 1
      const comma = tokens[next + 1]
      if (comma?.kind !== "word" || !comma.value.startsWith(",")) return { pieces, next }
      next += 1
      rest = comma.value
      continue
    }
    if (rest === "," && following?.kind === "word") {
      next += 1
      rest = following.value
      continue
    }
    return { pieces, next }
  }
}

function pieceOf(word: string): Piece {
  if (word === "null") return null
  if (/^0x([0-9a-f]{2})*$/i.test(word)) return Buffer.from(word.slice(2), "hex")
  return word
}
