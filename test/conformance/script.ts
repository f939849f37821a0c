import { type Part, partsOf, tokensOf } from "./tokens.ts"

export type Action =
  /** Logs in; `part` holds what differs from the default login. */
  | { readonly kind: "connect"; readonly part: Part }
  /** A TCP connection and nothing more. */
  | { readonly kind: "open" }
  | { readonly kind: "send"; readonly parts: readonly Part[] }
  | { readonly kind: "until"; readonly type: string; readonly times: number }
  /** A Query, or the messages of `run`, and everything up to ReadyForQuery. */
  | { readonly kind: "query"; readonly parts: readonly Part[] }
  /** CancelRequests for the connection until it says something. */
  | { readonly kind: "cancel" }
  | { readonly kind: "half-close" }
  | { readonly kind: "close" }

export type Step = {
  /** Line in the file, from 1. */
  readonly line: number
  readonly connection: string
  readonly action: Action
  /** Why the gateway may answer otherwise; undefined = it must not. */
  readonly differs: string | undefined
  /** Where recorded lines belong: behind this line. */
  readonly lastLine: number
  /** What PostgreSQL 18 said when the file was recorded. */
  readonly golden: readonly string[]
  /** What the gateway said then; empty where nothing differs. */
  readonly gatewayGolden: readonly string[]
}

export type Script = {
  readonly file: string
  readonly title: string
  readonly line: number
  readonly steps: readonly Step[]
  /** Process ids are hidden in rows and errors, too. */
  readonly namesProcesses: boolean
}

type OpenStep = { -readonly [K in keyof Step]: Step[K] } & {
  golden: string[]
  gatewayGolden: string[]
}

const withOutput: ReadonlySet<Action["kind"]> = new Set(["connect", "until", "query"])

function actionOf(word: string, text: string): Action {
  switch (word) {
    case "connect":
      return { kind: "connect", part: partsOf(tokensOf(text))[0] ?? noPart }
    case "send":
      return { kind: "send", parts: partsOf(tokensOf(text)) }
    case "query":
      return { kind: "query", parts: partsOf(tokensOf(`Query ${text}`)) }
    case "run":
      return { kind: "query", parts: runParts(text) }
    case "until": {
      const [type = "", times = "1"] = text.split(/\s+/)
      return { kind: "until", type, times: Number(times) }
    }
    case "open":
    case "cancel":
    case "half-close":
    case "close":
      return { kind: word }
    default:
      throw new Error(`no step is called ${word}`)
  }
}

/** Parse, Bind, Describe, Execute, Sync of one statement, as most drivers send it. */
function runParts(text: string): readonly Part[] {
  const [part = noPart] = partsOf(tokensOf(text))
  const word = (...words: string[]): Part => ({ ...noPart, words })
  return [
    { ...part, words: ["Parse"] },
    { ...part, words: ["Bind"] },
    word("Describe", "portal"),
    word("Execute"),
    word("Sync"),
  ]
}

const noPart: Part = { words: [], strings: [], options: new Map() }

function stepOf(text: string, line: number): OpenStep {
  const [, connection = "a", word = "", rest = ""] =
    /^(?:([a-z]): +)?([a-z-]+) ?(.*)$/.exec(text) ?? []
  return {
    line,
    connection,
    action: actionOf(word, rest),
    differs: undefined,
    lastLine: line,
    golden: [],
    gatewayGolden: [],
  }
}

/**
 * Reads a file of conversations; README.md has the grammar. Throws with file and line on whatever it does not understand, and
 * on a conversation that compares nothing.
 */
export function parseScripts(file: string, text: string): Script[] {
  const scripts: { title: string; line: number; steps: OpenStep[]; names: boolean }[] = []
  for (const [index, raw] of text.split("\n").entries()) {
    const line = index + 1
    try {
      readLine(raw.trimEnd(), line, scripts)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      throw new Error(`${file}:${line}: ${why}`, { cause: error })
    }
  }
  for (const { title, line, steps } of scripts)
    if (!steps.some((step) => withOutput.has(step.action.kind)))
      throw new Error(`${file}:${line}: "${title}" compares nothing`)
  return scripts.map(({ title, line, steps, names }) => ({
    file,
    title,
    line,
    steps,
    namesProcesses: names,
  }))
}

function readLine(
  text: string,
  line: number,
  scripts: { title: string; line: number; steps: OpenStep[]; names: boolean }[],
): void {
  if (text === "" || text.startsWith("#")) return
  const script = scripts.at(-1)
  if (text.startsWith("script ")) {
    scripts.push({ title: text.slice(7), line, steps: [], names: false })
    return
  }
  if (script === undefined) throw new Error("a file begins with a script")
  const step = script.steps.at(-1)
  if (text.startsWith("< ")) step?.golden.push(text.slice(2))
  else if (text.startsWith("! ")) step?.gatewayGolden.push(text.slice(2))
  else if (text.startsWith("differs: ")) {
    if (step === undefined || !withOutput.has(step.action.kind))
      throw new Error("differs stands behind a step with an answer")
    step.differs = text.slice(9)
    step.lastLine = line
  } else {
    script.steps.push(stepOf(text, line))
    if (/pid/.test(text)) script.names = true
  }
}

/** What was said at one step, for the file. */
export type Recorded = { readonly golden: readonly string[]; readonly gateway: readonly string[] }

/** The file's text with recorded lines replaced; `recorded` is by {@link Step.lastLine}. */
export function withRecorded(text: string, recorded: ReadonlyMap<number, Recorded>): string {
  const out: string[] = []
  for (const [index, line] of text.split("\n").entries()) {
    if (/^[<!] /.test(line)) continue
    out.push(line)
    const lines = recorded.get(index + 1)
    if (lines === undefined) continue
    out.push(...lines.golden.map((one) => `< ${one}`))
    out.push(...lines.gateway.map((one) => `! ${one}`))
  }
  return out.join("\n")
}
