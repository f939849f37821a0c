import type { CatalogSnapshot } from "./catalog.ts"
import type { FormatCode, Parameters } from "./parameters.ts"
import type { RelationName } from "./relation.ts"
import type { RowStream, StatementDescription } from "./result.ts"
import type { SettingsView } from "./settings.ts"

/** What one identity may see of a schema. Two equal digests see the same relations and columns of any snapshot. */
export type Visibility = {
  readonly digest: string
  readonly sees: (name: RelationName, snapshot: CatalogSnapshot) => boolean
  /** Columns of a relation that are not there for this reader, as the policies spell them. */
  readonly deniedColumns: (name: RelationName, snapshot: CatalogSnapshot) => ReadonlySet<string>
  /** Nothing of any schema is hidden. */
  readonly seesAll: boolean
}

export type ShadowQuestion = {
  /** One admitted read; nothing else may reach a shadow. */
  readonly text: string
  readonly parameters: Parameters
  readonly resultFormats: readonly FormatCode[]
  readonly settings: SettingsView
  readonly snapshot: CatalogSnapshot
  readonly visibility: Visibility
  /** Names as the client knows them: current_user, current_database(). */
  readonly user: string
  readonly database: string
  readonly signal: AbortSignal
}

/**
 * Answers reads of pg_catalog and information_schema for an engine that has none. It holds schemas without rows, and of
 * those only what the visibility lets through: what is hidden is not there to be found.
 */
export interface ShadowCatalogue {
  /** The whole answer as PostgreSQL's own wire bytes. Rejects with PostgreSQL's error, positions relative to `text`. */
  run(question: ShadowQuestion): Promise<RowStream>
  /** Types of parameters and columns without running. */
  describe(question: ShadowQuestion): Promise<StatementDescription>
  /** Starts what the first statement would start, so that it does not wait. Rejects when that fails; it is tried anew at need. */
  warm(): Promise<void>
  close(): Promise<void>
}
