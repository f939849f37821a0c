import type { KeyBase } from "../cache/key.ts"
import type { CatalogInterest } from "../core/catalog.ts"
import { InvariantViolation } from "../core/errors.ts"
import type { RelationName } from "../core/relation.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import type { Verdict } from "../policy/judge.ts"
import { parseText } from "../sql/parser.ts"
import type { Cacheability } from "./cacheability.ts"
import type { Place } from "./place.ts"

export type Asked = {
  /** What the warehouse is asked; for a governed statement parsed again when nobody has needed it for a while. */
  readonly statement: Statement
  readonly canonical: string
  /** Undefined where policies left the statement alone. */
  readonly governed: Governed | undefined
}

type Governed = {
  /** A position in `statement` as one in the client's statement, or undefined. */
  readonly clientPosition: (position: number) => number | undefined
  /** What was applied, for people. */
  readonly applied: readonly string[]
}

export function askedUnchanged(statement: Statement): Asked {
  return { statement, canonical: statement.canonical, governed: undefined }
}

/**
 * What policies made of a statement. There is one for each set of claims, and a tree is ten times the size of its text: the text
 * is kept, the tree only as long as somebody uses it. A hit needs neither.
 */
export class RewrittenStatement implements Asked {
  readonly canonical: string
  readonly governed: Governed
  readonly #text: string
  #statement: WeakRef<Statement>

  constructor(statement: Statement, governed: Governed) {
    this.canonical = statement.canonical
    this.governed = governed
    this.#text = statement.text
    this.#statement = new WeakRef(statement)
  }

  get statement(): Statement {
    const known = this.#statement.deref()
    if (known !== undefined) return known
    const [parsed] = parseText(this.#text)
    if (parsed?.canonical !== this.canonical)
      throw new InvariantViolation("a rewritten statement parses to another one than before")
    this.#statement = new WeakRef(parsed)
    return parsed
  }

  /** Estimated heap. */
  get bytes(): number {
    return 2 * this.#text.length
  }
}

/**
 * Everything that can be decided about a statement before its parameters are known, computed once for a statement, a set
 * of roles and claims, a settings view, a policy and a catalogue, and used for every repetition: the verdict, whether its answer may
 * be shared, the fixed part of its key, the SQL that would run.
 */
export type Plan = {
  readonly verdict: Verdict
  /** Where the statement is answered: by the warehouse, or by the shadow of its catalogue. */
  readonly place: Place
  readonly traits: ReadTraits | undefined
  /** True when a name was not found: a newer catalogue may know it. */
  readonly hasUnknown: boolean
  /** Relations whose columns policy has to know and the catalogue was not asked for yet; the verdict is a refusal then. */
  readonly unread: CatalogInterest
  /** Parts of the warehouse's own catalogue are hidden from whoever asks. */
  readonly hidesNames: boolean
  readonly cacheability: Cacheability
  /** Relations whose tokens the answer depends on, after view expansion. */
  readonly relations: readonly RelationName[]
  /** Digest of what the statement's names mean by the catalogue. */
  readonly resolution: string
  readonly ttlMs: number
  /** Length of the bucket whose start may stand for now() in this statement; 0 = none. */
  readonly timeBucketMs: number
  /** Key bases by date bucket; one without a date for most statements. */
  readonly bases: Map<string, KeyBase>
  /** What the warehouse is asked: the client's statement, or what policies made of it. */
  readonly asked: Asked
  /** SQL with the row limit in it; made when first needed, because a hit never does. */
  emitted: Emitted | undefined
}

/**
 * Estimated heap of all plans of a warehouse. 500 users with claims of their own and 20 charts make 10,000 plans, which were
 * measured at 2 kB each (bench/claims.ts) and count as 4 here.
 */
const plansBytesMax = 128 * 1024 * 1024

/** Verdict, lists, key base and map entry, without what the plan shares with others. */
const planOverheadBytes = 2_000

type Plans = Map<string, Plan>

/**
 * Plans live as long as the statement they belong to stays in the statement memo, and as long as they are used: what was not
 * asked for while half of the room was filled with others goes. Two generations in place of one list, because a list would
 * keep statements alive that the statement memo has let go.
 */
export class PlanMemo {
  readonly #generationBytesMax: number
  #young = new WeakMap<Statement, Plans>()
  #old = new WeakMap<Statement, Plans>()
  #youngBytes = 0

  constructor(bytesMax: number = plansBytesMax) {
    this.#generationBytesMax = bytesMax / 2
  }

  get(statement: Statement, id: string): Plan | undefined {
    const plan = this.#young.get(statement)?.get(id)
    if (plan !== undefined) return plan
    const older = this.#old.get(statement)?.get(id)
    if (older !== undefined) this.set(statement, id, older)
    return older
  }

  set(statement: Statement, id: string, plan: Plan): void {
    this.#youngBytes += planOverheadBytes
    if (plan.asked instanceof RewrittenStatement) this.#youngBytes += plan.asked.bytes
    if (this.#youngBytes > this.#generationBytesMax) {
      this.#old = this.#young
      this.#young = new WeakMap()
      this.#youngBytes = 0
    }
    const plans = this.#young.get(statement)
    if (plans === undefined) this.#young.set(statement, new Map([[id, plan]]))
    else plans.set(id, plan)
  }
}
