import { isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from "yaml"
import {
  configurationError,
  invalidConfiguration,
  type KeyPath,
  type Position,
  type Problem,
} from "./problems.ts"
import { type SubstituteSources, substitute } from "./substitute.ts"

/** The file as data with the environment put in, and the way back from a key to its line. */
export type Source = {
  readonly data: unknown
  readonly problems: readonly Problem[]
  /** Where the key of a path stands, or the nearest thing around it that exists. */
  readonly positionOf: (path: KeyPath) => Position | undefined
}

/** Far above any real file; keeps a mistaken path (a log, a dump) from filling memory. */
const sourceBytesMax = 4 * 1024 * 1024
/** YAML aliases that one document may expand to: without a bound ten lines can name a billion values. */
const aliasesMax = 100

type Document = ReturnType<typeof parseDocument>

function keyProblems(document: Document, at: (offset: number) => Position): Problem[] {
  const problems: Problem[] = []
  const walk = (node: unknown, path: KeyPath): void => {
    if (isSeq(node)) for (const [index, item] of node.items.entries()) walk(item, [...path, index])
    if (!isMap(node)) return
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? key.value : undefined
      const place = isScalar(key) || isMap(key) || isSeq(key) ? at(key.range?.[0] ?? 0) : at(0)
      if (typeof name !== "string")
        problems.push({ path, message: "has a key that is not text; put it in quotes", at: place })
      else if (name === "__proto__")
        problems.push({ path, message: "has the key __proto__, which no name may have", at: place })
      else walk(value, [...path, name])
    }
  }
  walk(document.contents, [])
  return problems
}

function putEnvironmentIn(document: Document, sources: SubstituteSources): Problem[] {
  const problems: Problem[] = []
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return
      const result = substitute(node.value, sources)
      // The visitor gives nodes, not paths: the path is read off the pairs and lists above.
      if (result.kind === "problem")
        problems.push({ path: pathOf([...ancestors, node]), message: result.message })
      else node.value = result.text
    },
  })
  return problems
}

function pathOf(nodes: readonly unknown[]): KeyPath {
  const path: (string | number)[] = []
  for (const [index, node] of nodes.entries()) {
    const child = nodes[index + 1]
    if (isSeq(node)) path.push(node.items.indexOf(child))
    else if (isMap(node)) {
      const pair = node.items.find((item) => item === child)
      if (pair !== undefined) path.push(String(isScalar(pair.key) ? pair.key.value : pair.key))
    }
  }
  return path
}

/** Offset of the key that ends the path; of its value inside a list; of what encloses it when it does not exist. */
function offsetOf(document: Document, path: KeyPath): number {
  let node: unknown = document.contents
  let offset = 0
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step)
      if (pair === undefined) return offset
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof step === "number") {
      const item = node.items[step]
      if (isScalar(item) || isMap(item) || isSeq(item)) offset = item.range?.[0] ?? offset
      node = item
    } else return offset
  }
  return offset
}

/**
 * Reads YAML 1.2 text. Throws `invalid_configuration` when it is no YAML at all (with every syntax error and its line);
 * what is wrong with single values is left in `problems`, to be shown together with what the schema finds.
 */
export function readSource(fileName: string, text: string, sources: SubstituteSources): Source {
  if (Buffer.byteLength(text) > sourceBytesMax)
    throw configurationError(`${fileName} is larger than ${sourceBytesMax} bytes`)
  const lines = new LineCounter()
  // Pretty errors quote the line, which may hold a secret.
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    version: "1.2",
  })
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      path: [],
      message: `not valid YAML: ${error.message}`,
      at: at(error.pos[0]),
    }))
    throw invalidConfiguration(fileName, problems, () => undefined)
  }
  const problems = [...keyProblems(document, at), ...putEnvironmentIn(document, sources)]
  const positionOf = (path: KeyPath) => at(offsetOf(document, path))
  try {
    const data: unknown = document.toJS({ maxAliasCount: aliasesMax })
    return { data, problems, positionOf }
  } catch (cause) {
    throw configurationError(
      `${fileName}: YAML aliases are broken or expand to too much`,
      undefined,
      cause,
    )
  }
}
