import { expand } from "../catalog/expand.ts"
import { resolveRelations } from "../catalog/resolve.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import type { RelationName } from "../core/relation.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ClaimLookup } from "../policy/claim-lookup.ts"
import type { Policy } from "../policy/policy.ts"
import type { RelationPolicies } from "../policy/relation-policy.ts"
import { emitUnchanged } from "../sql/emit.ts"
import type { ClaimSource } from "./claim-source.ts"
import { timedOut } from "./deadline.ts"
import { type Claims, claimsOfRows, LookupProblem, type LookupRow } from "./lookup-claims.ts"
import type { Rooms } from "./rooms.ts"
import { rowsOf } from "./row-values.ts"
import { adapt } from "./run.ts"

/** A warehouse that can be asked, with the settings of a new session. */
export type LookupTarget = { readonly rooms: Rooms; readonly settings: () => SettingsView }

export type LookupEvents = { readonly failed: (error: GatewayError) => void }

/** What was found for a user, and for how long it holds. */
type Found = {
  readonly claims: Claims
  readonly endsAtMs: number
  /** Tokens of what the query reads, taken before it ran: another one means that somebody changed it since. */
  readonly vector: string
}

type Flight = { readonly vector: string; readonly found: Promise<Found> }

/** Rows that one user may have; more is taken for a mistake in the query. */
const rowsMax = 1_000
/** Of what the query gives for one user. */
const answerBytesMax = 64 * 1024

/**
 * Claims that the warehouse knows of a user, asked by the gateway's own login. What was found holds until its time is up or an
 * invalidation names a relation that the query reads, whichever comes first; nothing found is remembered in the same way.
 * When the query fails, whoever needs its claims is refused: what was known before is never used longer.
 */
export class ClaimLookups implements ClaimSource {
  readonly #target: (warehouse: string | undefined) => LookupTarget | undefined
  readonly #events: LookupEvents
  /** Policies that what is kept was asked for: other ones may ask otherwise. */
  #policies: RelationPolicies | undefined
  /** Least recently found first. */
  #known = new Map<string, Found>()
  #flights = new Map<string, Flight>()
  /** One object for each session and answer, so that what was computed from it can be remembered by it. */
  #identities = new WeakMap<Identity, { readonly found: Found; readonly identity: Identity }>()
  /** Those that are made here: a statement goes on with the claims that it began with. */
  readonly #made = new WeakSet<Identity>()

  constructor(
    target: (warehouse: string | undefined) => LookupTarget | undefined,
    events: LookupEvents,
  ) {
    this.#target = target
    this.#events = events
  }

  of(identity: Identity, { relations: policies }: Policy): Identity | Promise<Identity> {
    const lookup = policies?.lookup
    if (policies === undefined || lookup === undefined || this.#made.has(identity)) return identity
    if (lookup.columns.every((name) => Object.hasOwn(identity.claims, name))) return identity
    this.#use(policies)
    const found = this.#current(identity.user, lookup)
    return found instanceof Promise
      ? found.then((ready) => this.#enriched(identity, ready))
      : this.#enriched(identity, found)
  }

  /** Users whose claims are known. */
  get size(): number {
    return this.#known.size
  }

  #use(policies: RelationPolicies): void {
    if (this.#policies === policies) return
    this.#policies = policies
    this.#known = new Map()
    this.#flights = new Map()
    this.#identities = new WeakMap()
  }

  /** What the login itself brings was verified for it and wins. */
  #enriched(identity: Identity, found: Found): Identity {
    const known = this.#identities.get(identity)
    if (known?.found === found) return known.identity
    const claims = Object.freeze({ ...found.claims, ...identity.claims })
    const made = Object.freeze({ ...identity, claims })
    this.#identities.set(identity, { found, identity: made })
    this.#made.add(made)
    return made
  }

  #current(user: string, lookup: ClaimLookup): Found | Promise<Found> {
    const target = this.#target(lookup.warehouse)
    if (target === undefined) throw unavailable(new LookupProblem("there is no such warehouse"))
    const { rooms } = target
    const relations = relationsRead(lookup, rooms.catalog.current())
    // Until the catalogue tells what the query reads, nobody could tell when it has changed.
    if (relations === undefined || !rooms.tokens.isUsable()) return this.#ask(user, lookup, target)
    const vector = rooms.tokens.vector(relations).text
    const known = this.#known.get(user)
    if (known !== undefined && known.vector === vector && rooms.nowMs() < known.endsAtMs)
      return known
    const flight = this.#flights.get(user)
    // One that began under older tokens may bring rows from before.
    if (flight?.vector === vector) return flight.found
    return this.#fly(user, vector, this.#ask(user, lookup, target))
  }

  #fly(user: string, vector: string, found: Promise<Found>): Promise<Found> {
    const flights = this.#flights
    const flight = { vector, found }
    flights.set(user, flight)
    const land = (): void => {
      if (flights.get(user) === flight) flights.delete(user)
    }
    found.then(land, land)
    return found
  }

  async #ask(user: string, lookup: ClaimLookup, target: LookupTarget): Promise<Found> {
    const known = this.#known
    const policies = this.#policies
    try {
      const { rooms } = target
      const snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow())
      const relations = relationsRead(lookup, snapshot)
      if (relations === undefined) throw new LookupProblem("a relation of the query is not there")
      const vector = rooms.tokens.vector(relations).text
      const startedMs = rooms.nowMs()
      const rows = await runLookup(user, lookup, target)
      const claims = claimsOfRows(rows, lookup, policies?.claims ?? new Map())
      const found = { claims, endsAtMs: startedMs + lookup.ttlMs, vector }
      known.delete(user)
      known.set(user, found)
      if (known.size > lookup.usersMax)
        for (const [oldest] of known) {
          known.delete(oldest)
          break
        }
      return found
    } catch (thrown) {
      known.delete(user)
      const error = unavailable(thrown)
      this.#events.failed(error)
      throw error
    }
  }
}

const readBySnapshot = new WeakMap<CatalogSnapshot, WeakMap<ClaimLookup, readonly RelationName[]>>()

/** What the query reads, behind views too; one list a catalogue, by which vectors are remembered. Undefined when a name is unknown. */
function relationsRead(
  lookup: ClaimLookup,
  snapshot: CatalogSnapshot | undefined,
): readonly RelationName[] | undefined {
  if (snapshot === undefined) return undefined
  let known = readBySnapshot.get(snapshot)
  if (known === undefined) {
    known = new WeakMap()
    readBySnapshot.set(snapshot, known)
  }
  const before = known.get(lookup)
  if (before !== undefined) return before
  const scope = { snapshot, searchPath: [], database: undefined }
  const { resolved, unknown } = resolveRelations(lookup.relations, scope)
  if (unknown.length > 0) return undefined
  const { relations } = expand(resolved, snapshot)
  known.set(lookup, relations)
  return relations
}

const textType = 25

/** The user is bound, never spliced. */
async function runLookup(
  user: string,
  lookup: ClaimLookup,
  { rooms, settings }: LookupTarget,
): Promise<readonly LookupRow[]> {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(timedOut()), lookup.timeoutMs)
  const { signal } = controller
  try {
    const leased = await rooms.router.lease({ signal })
    using held = leased.lease
    const bound = { types: [textType], formats: [0] as const, values: [Buffer.from(user)] }
    const { statement, parameters } = adapt(emitUnchanged(lookup.statement), bound, leased)
    using rows = await held.connection.run({
      statement,
      parameters,
      resultFormats: [],
      protocol: "extended",
      settings: settings(),
      statementTimeoutMs: lookup.timeoutMs,
      signal,
    })
    const read: LookupRow[] = []
    let bytes = 0
    for (let batch = await rows.next(); batch !== undefined; batch = await rows.next()) {
      bytes += batch.bytes.length
      if (bytes > answerBytesMax)
        throw new LookupProblem(`the answer has more than ${answerBytesMax} bytes`)
      for (const row of rowsOf(batch.bytes))
        read.push(row.map((value) => value?.toString("utf8") ?? null))
      if (read.length > rowsMax) throw new LookupProblem(`the answer has more than ${rowsMax} rows`)
    }
    return read
  } finally {
    clearTimeout(timer)
  }
}

/** The reader learns that it is not about rights of its own; the operator learns the rest. */
function unavailable(cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InsufficientPrivilege,
    reason: "claims_unavailable",
    message: "permission denied: what you may see could not be looked up",
    hint: "Try again; the gateway's log says why.",
    safeToRetry: true,
    cause,
  })
}
