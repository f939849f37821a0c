import type { Configuration } from "../config/configuration.ts"

/** A started gateway, as the commands see it. */
export type RunningGateway = {
  readonly postgresPort: number
  readonly controlPort: number
  /**
   * Reads certificate files, policies, and roles and users of the configuration again; what does not fit is logged, and what was
   * in force stays so.
   */
  reload(): void
  /** Starts what catalogue statements need ahead of the first one: 150 MB for each DuckDB warehouse. Failures are logged. */
  warmCatalogues(): Promise<void>
  /** Stops accepting, lets running statements finish within the configured time, closes everything. Idempotent. */
  close(): Promise<void>
}

/** The composition root's one function, handed to the commands that need a gateway. */
export type StartGateway = (
  configuration: Configuration,
  /** Reads the configuration again, for {@link RunningGateway.reload}; throws as the first reading does. */
  reread?: () => Configuration,
) => Promise<RunningGateway>
