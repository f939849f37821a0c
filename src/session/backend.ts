import { isDeepStrictEqual } from "node:util"
import type { Identity } from "../core/identity.ts"
import type { ConnectionAddress } from "../core/session-values.ts"
import type { Statement } from "../core/statement.ts"

/** What pg_stat_activity tells of one session. Times are milliseconds since 1970. */
export type BackendActivity = {
  readonly applicationName: string
  readonly state: "active" | "idle" | "idle in transaction" | "idle in transaction (aborted)"
  /** The running statement, or the last one. */
  readonly statement: Statement | undefined
  readonly backendStartMs: number
  readonly transactionStartMs: number | undefined
  readonly queryStartMs: number | undefined
  readonly stateChangeMs: number
}

/** Who and where, as far as it concerns other sessions: fixed at login. */
export type BackendOrigin = {
  readonly identity: Identity
  /** The startup packet's database: it chose the warehouse. */
  readonly database: string
  readonly processId: number
  /** The connection as the gateway sees it; undefined for a Unix socket. */
  readonly address: ConnectionAddress | undefined
}

/** A session as others see it: what can be shown of it and signalled from another connection. */
export interface Backend {
  readonly origin: BackendOrigin
  readonly activity: BackendActivity
  /** Ends the statement that runs with 57014; one that comes later is not touched. */
  cancelByClient(): void
  /** Ends the session with 57P01, and first what it runs on the warehouse. */
  terminateByAdministrator(): void
}

/** Claims of a token that only say when it was made: another token of the same user differs in them. */
const timeClaims: ReadonlySet<string> = new Set(["exp", "iat", "nbf", "jti"])

function lastingClaims({ claims }: Identity): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !timeClaims.has(name)))
}

/**
 * True when both are the same reader: the same user by the same account, with the same roles and claims. Two guests who share a name but not
 * their row filters neither see nor signal each other.
 */
export function isSamePrincipal(a: Identity, b: Identity): boolean {
  return (
    a === b ||
    (a.user === b.user &&
      (a.account ?? a.user) === (b.account ?? b.user) &&
      isDeepStrictEqual(a.roles, b.roles) &&
      isDeepStrictEqual(lastingClaims(a), lastingClaims(b)))
  )
}
