import type { MirrorSchema } from "./mirror.ts"
import type { RelationName } from "./relation.ts"

export type RelationKind =
  | "table"
  | "partitioned_table"
  | "view"
  | "materialized_view"
  | "foreign_table"
  | "sequence"

export type CatalogRelation = {
  readonly name: RelationName
  readonly schema: string
  readonly relation: string
  readonly kind: RelationKind
  /** What tells a relation from an earlier one of the same name (PostgreSQL: its oid); undefined where the engine has nothing. */
  readonly identity?: string | undefined
  /**
   * Relations whose rows this one shows: a view's direct sources, a partitioned or inheriting parent's children. Not
   * transitive; a materialised view has none, because it holds rows of its own.
   */
  readonly dependsOn: readonly RelationName[]
  /** For a view: names of functions its definition calls that are not known to be immutable; undefined when unknown. */
  readonly volatileDefinition: boolean
  /** Relations that a materialised view's rows came from: they are not read with it, but its rows are theirs. */
  readonly madeOf?: readonly RelationName[] | undefined
  /** Names of columns in their order; undefined when nobody has asked for them. */
  readonly columns?: readonly string[] | undefined
  /**
   * Their types as pg_type.oid, in the same order; those of other engines as their rows are described to clients. 0 for a column that is
   * computed where it is read (PostgreSQL's virtual generated columns): its expression may fail.
   */
  readonly columnTypes?: readonly number[] | undefined
  /** Columns of the primary key where the engine lets a query group by it alone (PostgreSQL manual, 7.2.3). */
  readonly primaryKey?: readonly string[] | undefined
  /** A view's query with all names qualified that are not pg_catalog's; undefined when nobody has asked for it, or unknown. */
  readonly definition?: string | undefined
  /**
   * What reading it may call that only its owner can vouch for: users' functions in a view's definition, or in implicit casts of a
   * column's type, as `schema.name`; `?` for what cannot be read.
   */
  readonly opaque?: readonly string[] | undefined
  /** True when writing to it may change other relations, too: triggers, rules, cascading foreign keys. */
  readonly hasSideEffects?: boolean | undefined
}

/** Worst volatility over all overloads of a name (pg_proc.provolatile). */
export type Volatility = "immutable" | "stable" | "volatile"

/** What a warehouse's catalogue said at one moment. Plain data: readers in warehouse/<engine>/catalog-reader.ts make it, catalog/ serves it. */
export type CatalogSnapshot = {
  readonly relations: ReadonlyMap<RelationName, CatalogRelation>
  /** Functions by `schema.name` as relationName() spells it. System functions stand under `pg_catalog`. */
  readonly functions: ReadonlyMap<string, Volatility>
  /** All schemas there are, empty ones too; left out where the engine does not tell. */
  readonly schemas?: ReadonlySet<string> | undefined
  /** Schemas searched before search_path as the engine does it implicitly; `pg_catalog` for PostgreSQL. */
  readonly implicitSchemas: readonly string[]
  /** True when unquoted and quoted names match without regard to case (DuckDB). */
  readonly foldsCase: boolean
  /** Operators outside pg_catalog, and types with casts of a user's as `::name`, whose functions are not all immutable. */
  readonly userOperators: ReadonlySet<string>
  /** Operators that users wrote in SQL or a procedural language, and types with such casts or checks, or made of such, as `::name`. */
  readonly userCode?: ReadonlySet<string> | undefined
  /** OIDs of those types: a client may declare a parameter to be of one. */
  readonly userCodeTypes?: ReadonlySet<number> | undefined
  /** For an engine without pg_catalog: what the shadow catalogue shows. Undefined for PostgreSQL, which answers for itself. */
  readonly mirror?: MirrorSchema | undefined
  /** Digest over all of the above: two equal snapshots have one version. */
  readonly version: string
}

/** Relations that policies name: the catalogue keeps their columns, and the definitions of views that show them. */
export type CatalogInterest = readonly { readonly schema: string; readonly relation: string }[]
