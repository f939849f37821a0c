import type { NameScope } from "../catalog/resolve.ts"
import type { CatalogInterest } from "../core/catalog.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import type { CatalogueSight } from "./catalogue-sight.ts"
import type { Refusal } from "./judge.ts"
import type { ReaderRules } from "./relation-policy.ts"
import type { Guards } from "./rules.ts"

/** One read of somebody from whom policies hide something. */
export type GovernedRead = {
  readonly statement: Statement
  readonly traits: ReadTraits
  /** Row and column policies that hold for the reader; undefined when none does. */
  readonly rules: ReaderRules | undefined
  /** What the reader may see of PostgreSQL's catalogue; undefined where that needs no filter. */
  readonly sight: CatalogueSight | undefined
  readonly claims: Readonly<Record<string, unknown>>
  readonly scope: NameScope
  readonly expanded: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
  /** What the reader may learn of plans. */
  readonly explain: Guards["explain"]
}

/** Refused until the catalogue has read the columns of these relations. */
export type Unread = {
  readonly kind: "unread"
  readonly relations: CatalogInterest
  readonly refusal: Refusal
}

export type Governed =
  /** It reads nothing that a policy is about. */
  | { readonly kind: "untouched" }
  | {
      readonly kind: "rewritten"
      readonly query: Emitted
      /** What was applied, for the report: `sales.orders: own_region, mask email`. */
      readonly applied: readonly string[]
    }
  | Unread
  | Refusal
