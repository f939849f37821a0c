import type { RelationName } from "./relation.ts"

/**
 * A warehouse's schema as PostgreSQL would describe it: what a reader in warehouse/<engine> found, and what the shadow
 * catalogue builds empty tables from. Plain data.
 */
export type MirrorColumn = {
  readonly name: string
  /** pg_type.oid and typmod exactly as the engine's RowDescription reports the column. */
  readonly typeOid: number
  readonly typeModifier: number
  readonly isNullable: boolean
  /** In the engine's own SQL; left out of the mirror where PostgreSQL cannot read it. */
  readonly defaultText: string | undefined
  readonly comment: string | undefined
}

export type MirrorConstraint =
  | {
      readonly kind: "primary" | "unique"
      readonly name: string
      readonly columns: readonly string[]
    }
  | { readonly kind: "check"; readonly name: string; readonly expression: string }
  | {
      readonly kind: "foreign"
      readonly name: string
      readonly columns: readonly string[]
      readonly target: RelationName
      readonly targetColumns: readonly string[]
    }

/** An index over plain columns; one over expressions has no counterpart and is left out. */
export type MirrorIndex = {
  readonly name: string
  readonly columns: readonly string[]
  readonly isUnique: boolean
}

export type MirrorRelation = {
  readonly name: RelationName
  readonly schema: string
  readonly relation: string
  readonly kind: "table" | "view"
  readonly columns: readonly MirrorColumn[]
  readonly constraints: readonly MirrorConstraint[]
  readonly indexes: readonly MirrorIndex[]
  readonly comment: string | undefined
  /** A view's text in the engine's own SQL. */
  readonly definition: string | undefined
}

export type MirrorSequence = {
  readonly name: RelationName
  readonly schema: string
  readonly sequence: string
}

export type MirrorSchema = {
  readonly relations: readonly MirrorRelation[]
  readonly sequences: readonly MirrorSequence[]
}
