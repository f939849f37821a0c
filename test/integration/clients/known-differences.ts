/**
 * Checks whose answer may differ from direct PostgreSQL's, each with its reason. An entry that has come to agree fails the
 * test too, so that the list never says more than is true.
 */
export type KnownDifference = {
  readonly engine: "postgres" | "duckdb"
  /** Part of the client program's name; undefined = every client that has the check. */
  readonly client?: string
  readonly check: string
  readonly reason: string
}

export const knownDifferences: readonly KnownDifference[] = []
