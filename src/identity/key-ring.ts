import { readFileSync, statSync } from "node:fs"
import { readFile, stat } from "node:fs/promises"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import {
  KeyProblem,
  type KeySource,
  keySetProblem,
  readKeys,
  type VerificationKey,
} from "./keys.ts"

/** Files are looked at again at most so often, and only when a token asks. */
const lookAgainMs = 1_000

export type KeyRingEvents = {
  /** Keys were read anew. */
  readonly renewed: (kids: readonly string[]) => void
  /** A changed file could not be used; the keys before stay in force. */
  readonly kept: (problem: string) => void
}

/** One trailing newline is the editor's, as with every secret in a file. */
function trimmed(text: string): string {
  return text.replace(/\r?\n$/, "")
}

function keysOf(source: KeySource, text: string): readonly VerificationKey[] {
  try {
    return readKeys(source, source.from.kind === "file" ? trimmed(text) : text)
  } catch (thrown) {
    if (!(thrown instanceof KeyProblem)) throw thrown
    const where = source.from.kind === "file" ? source.from.path : `key ${source.kid ?? ""}`
    throw new KeyProblem(`${where} ${thrown.message}`)
  }
}

function together(lists: readonly (readonly VerificationKey[])[]): readonly VerificationKey[] {
  const keys = lists.flat()
  const problem = keySetProblem(keys)
  if (problem !== undefined) throw new KeyProblem(problem)
  return keys
}

/** Keys in force. Several may be: during a rotation the old and the new one are, until the old one is taken out. */
export class KeyRing {
  /** Raised whenever keys change, so that whoever remembers what a key said forgets it. */
  generation = 0
  readonly #sources: readonly KeySource[]
  readonly #nowMs: () => number
  readonly #events: KeyRingEvents
  #keys: readonly VerificationKey[]
  #stamp: string
  #lookedAtMs: number
  #looking: Promise<void> | undefined

  /** Reads all sources; throws a GatewayError `invalid_configuration` when one of them is no key. */
  constructor(sources: readonly KeySource[], nowMs: () => number, events: KeyRingEvents) {
    this.#sources = sources
    this.#nowMs = nowMs
    this.#events = events
    this.#lookedAtMs = nowMs()
    try {
      this.#stamp = this.#paths.map((path) => stampOf(statSync(path))).join()
      this.#keys = together(
        sources.map((source) =>
          keysOf(
            source,
            source.from.kind === "text" ? source.from.text : readFileSync(source.from.path, "utf8"),
          ),
        ),
      )
    } catch (cause) {
      throw new GatewayError({
        sqlState: SqlState.ConfigFileError,
        reason: "invalid_configuration",
        severity: "FATAL",
        message: `identity keys: ${cause instanceof Error ? cause.message : String(cause)}`,
        cause,
      })
    }
  }

  get keys(): readonly VerificationKey[] {
    return this.#keys
  }

  /** True when files may have changed since they were looked at last. */
  get isDue(): boolean {
    return this.#paths.length > 0 && this.#nowMs() - this.#lookedAtMs >= lookAgainMs
  }

  /** Reads files that have changed. What cannot be read leaves the keys in force and is reported; it never rejects. */
  refresh(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
      this.#lookedAtMs = this.#nowMs()
    })
    return this.#looking
  }

  get #paths(): readonly string[] {
    return this.#sources.flatMap(({ from }) => (from.kind === "file" ? [from.path] : []))
  }

  async #look(): Promise<void> {
    try {
      const stamps = await Promise.all(this.#paths.map(async (path) => stampOf(await stat(path))))
      const stamp = stamps.join()
      if (stamp === this.#stamp) return
      const texts = await Promise.all(
        this.#sources.map(async ({ from }) =>
          from.kind === "text" ? from.text : readFile(from.path, "utf8"),
        ),
      )
      this.#keys = together(
        this.#sources.map((source, index) => keysOf(source, texts[index] ?? "")),
      )
      this.#stamp = stamp
      this.generation += 1
      this.#events.renewed(this.#keys.map(({ kid }) => kid ?? ""))
    } catch (thrown) {
      this.#events.kept(thrown instanceof Error ? thrown.message : String(thrown))
    }
  }
}

/** A file that is replaced has another inode, one that is written another time or size. */
function stampOf(file: { ino: number; mtimeMs: number; size: number }): string {
  return `${file.ino}:${file.mtimeMs}:${file.size}`
}
