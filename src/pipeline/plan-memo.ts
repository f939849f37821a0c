import type { KeyBase } from "../cache/key.ts"
import type { RelationName } from "../core/relation.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import type { Verdict } from "../policy/judge.ts"
import type { Cacheability } from "./cacheability.ts"
import type { Place } from "./place.ts"

export type Asked = {
  readonly statement: Statement
  /** Undefined where policies left the statement alone. */
  readonly governed:
    | {
        /** A position in `statement` as one in the client's statement, or undefined. */
        readonly clientPosition: (position: number) => number | undefined
        /** What was applied, for people. */
        readonly applied: readonly string[]
      }
    | undefined
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
  readonly cacheability: Cacheability
  /** Relations whose tokens the answer depends on, after view expansion. */
  readonly relations: readonly RelationName[]
  /** Digest of what the statement's names mean by the catalogue. */
  readonly resolution: string
  readonly ttlMs: number
  /** Key bases by date bucket; one without a date for most statements. */
  readonly bases: Map<string, KeyBase>
  /** What the warehouse is asked: the client's statement, or what policies made of it. */
  readonly asked: Asked
  /** SQL with the row limit in it; made when first needed, because a hit never does. */
  emitted: Emitted | undefined
}

/** Plans kept for one statement, one a combination of roles, settings, policy and catalogue. */
const plansPerStatementMax = 64

/** Plans live as long as the statement they belong to stays in the statement memo. */
export class PlanMemo {
  readonly #plans = new WeakMap<Statement, Map<string, Plan>>()

  get(statement: Statement, id: string): Plan | undefined {
    return this.#plans.get(statement)?.get(id)
  }

  set(statement: Statement, id: string, plan: Plan): void {
    const plans = this.#plans.get(statement)
    if (plans === undefined) {
      this.#plans.set(statement, new Map([[id, plan]]))
      return
    }
    if (plans.size >= plansPerStatementMax) plans.clear()
    plans.set(id, plan)
  }
}
