import { hash } from "node:crypto"
import type { FormatCode, Parameters } from "../core/parameters.ts"
import { lengthDelimited } from "./length-delimited.ts"
import type { TokenVector } from "./token-store.ts"

/**
 * What is fixed for one judged statement in one session state. Together with {@link KeyInputs} it is everything that two
 * requests must share before one may be answered with the other's rows. The list is closed: a new input that can change a
 * byte of an answer is a new field here, and leaving it out is a type error at the single place where keys are made.
 *
 * Why no row can reach the wrong reader through a key: `canonical` is what the warehouse would be asked *after* policy
 * rewrote the statement, so a filter, mask or limit in force is part of the question; `scope` repeats it for rules that
 * leave no trace in the text. Tokens are listed pair by pair, not summed, because a sum meets itself again when one falls.
 * Parts are length-delimited, never joined: a pooler that keyed on md5(user||query||database) was shown to hand out another
 * database's row.
 */
export type KeyBaseParts = {
  readonly warehouse: string
  /** What the name stands for: instances that share a tier may each have a warehouse of one name. */
  readonly origin: string
  /** Hex digest of the canonical form of the rewritten statement. */
  readonly canonical: string
  /** Digest of the rules in force and the version of the policy file they come from. Two tenants never share a scope. */
  readonly scope: string
  /** Digest of what the statement's names mean: the relations they were resolved to, with their identity and those behind them. */
  readonly resolution: string
  /** Digest of the session settings that change result bytes: SettingsView.bytesDigest. */
  readonly settingsDigest: string
  /** Rows at which the result is cut; 0 = never. */
  readonly rowLimit: number
  /** The date in the session's time zone for a statement that uses current_date, otherwise undefined. */
  readonly dateBucket: string | undefined
}

/** What changes from one execution to the next. */
export type KeyInputs = {
  readonly parameters: Parameters
  /** As Bind sent them: empty = all text, one = for all, otherwise one a column. */
  readonly resultFormats: readonly FormatCode[]
  readonly vector: TokenVector
}

export type CacheKeyParts = KeyBaseParts & KeyInputs

/** Raised when the meaning or order of any part changes, so that a shared tier never mixes two spellings. */
const keyFormatVersion = "2"

/**
 * A section longer than this stands in the material as its SHA-256. It bounds the memory of an entry's key, and V8 hashes
 * strings above 16,383 characters by their length alone, which would chain all such keys in one bucket.
 */
const sectionCharsMax = 4096

/** What many keys share: everything but the parameters. Made once for a base, its result formats and a token vector. */
export class KeyHead {
  readonly text: string
  readonly digest: string
  #plainKey: CacheKey | undefined

  constructor(text: string) {
    this.text = text
    this.digest = hash("sha256", text)
  }

  /** The key of an execution without parameters: one object for all of them. */
  get plainKey(): CacheKey {
    this.#plainKey ??= new CacheKey(this, noParametersSection)
    return this.#plainKey
  }
}

/**
 * The complete key: head and parameters. Tables find it by `lookup`, which is short, because hashing a string costs its
 * length at every execution with parameters; whoever found something by it must ask `equals` before using it.
 */
export class CacheKey {
  readonly head: KeyHead
  readonly parameters: string
  /** The head's digest and the parameters. */
  readonly lookup: string
  #digest: string | undefined

  constructor(head: KeyHead, parameters: string) {
    this.head = head
    this.parameters = parameters
    this.lookup = head.digest + parameters
  }

  /** The full key material, which decides equality. */
  get material(): string {
    return this.head.text + this.parameters
  }

  /** SHA-256 in hex: the key's name in reports, logs and shared tiers. Computed on first use, about 1 µs. */
  get digest(): string {
    this.#digest ??= hash("sha256", this.lookup)
    return this.#digest
  }

  /** Compares the full material. Mostly the head is one object, and then this costs nothing. */
  equals(other: CacheKey): boolean {
    const isSameHead = this.head === other.head || this.head.text === other.head.text
    return isSameHead && this.parameters === other.parameters
  }
}

/** The part of a key that callers memoise per statement, scope, settings and catalogue. Made by {@link keyBase}. */
export class KeyBase {
  readonly material: string
  #lastVector = ""
  #lastFormats = ""
  #lastHead: KeyHead | undefined

  constructor(material: string) {
    this.material = material
  }

  /** The same object while vector and formats stay the same. */
  head(vector: string, formats: string): KeyHead {
    const last = this.#lastHead
    if (last !== undefined && this.#lastVector === vector && this.#lastFormats === formats)
      return last
    const head = new KeyHead(this.material + formats + section(vector))
    this.#lastVector = vector
    this.#lastFormats = formats
    this.#lastHead = head
    return head
  }
}

export function keyBase(parts: KeyBaseParts): KeyBase {
  const dateBucket = parts.dateBucket === undefined ? "-" : `+${parts.dateBucket}`
  return new KeyBase(
    [
      keyFormatVersion,
      parts.warehouse,
      parts.origin,
      parts.canonical,
      parts.scope,
      parts.resolution,
      parts.settingsDigest,
      String(parts.rowLimit),
      dateBucket,
    ]
      .map(section)
      .join(""),
  )
}

export function completeKey(base: KeyBase, inputs: KeyInputs): CacheKey {
  const { parameters, resultFormats, vector } = inputs
  const head = base.head(vector.text, formatsSection(resultFormats))
  if (parameters.values.length === 0 && parameters.types.length === 0) return head.plainKey
  return new CacheKey(head, parametersSection(parameters))
}

/** Both steps in one, for callers that keep no base: reports, tests, warm-up. */
export function cacheKey(parts: CacheKeyParts): CacheKey {
  return completeKey(keyBase(parts), parts)
}

/** `t` and the text, or `d` and its digest when it is long. A digest stands for its text by SHA-256's collision resistance. */
function section(text: string): string {
  if (text.length > sectionCharsMax) return `d${lengthDelimited(hash("sha256", text))}`
  return `t${lengthDelimited(text)}`
}

/** An empty list and one 0 both ask for text in every column (manual, 54.7, Bind); longer lists also assert a column count. */
function formatsSection(formats: readonly FormatCode[]): string {
  if (formats.length === 0 || (formats.length === 1 && formats[0] === 0)) return allTextSection
  return section(formats.join(""))
}

function parametersSection(parameters: Parameters): string {
  const { types, formats, values } = parameters
  let text = `${types.length},${values.length};`
  for (const type of types) text += `${type},`
  for (let index = 0; index < values.length; index += 1) {
    const value = values[index] ?? null
    // latin1 maps bytes to code units one to one, whatever the encoding of the value.
    text +=
      value === null
        ? `n${formats[index] ?? 0}`
        : `v${formats[index] ?? 0}${lengthDelimited(value.toString("latin1"))}`
  }
  return section(text)
}

const allTextSection = section("")
const noParametersSection = parametersSection({ types: [], formats: [], values: [] })
