import type { ResultCache } from "../cache/result-cache.ts"
import type { StoredEntry } from "../cache/stored-entry.ts"
import type { TokenStore } from "../cache/token-store.ts"
import type { TtlClasses } from "../cache/ttl-classes.ts"
import type { Catalog } from "../catalog/catalog.ts"
import type { ShadowCatalogue } from "../core/shadow-catalogue.ts"
import type { Policy } from "../policy/policy.ts"
import type { Router } from "../route/router.ts"
import type { StatementMemo } from "../sql/statement-memo.ts"
import type { ClaimSource } from "./claim-source.ts"
import type { DescriptionMemo } from "./description-memo.ts"
import type { EstimateMemo } from "./estimate.ts"
import type { PlanMemo } from "./plan-memo.ts"
import type { Refreshes } from "./refreshes.ts"
import type { Sampler } from "./verify/sampler.ts"
import type { WantedRelations } from "./wanted-relations.ts"

/** What the engine reports at login: ParameterStatus names and values, and the text of version(). */
export type ServerFacts = {
  readonly serverVersion: string
  readonly versionText: string
  readonly parameters: ReadonlyMap<string, string>
}

/** The rooms that one route's statements pass through, made by the composition root. Shared by all its sessions. */
export type Rooms = {
  /** The warehouse's name in the configuration: part of every key and a metric label. */
  readonly warehouse: string
  readonly engine: "postgres" | "duckdb"
  readonly serverFacts: () => ServerFacts
  /** True when the catalogue has the schema; also while it cannot be asked. */
  readonly hasSchema: (schema: string) => boolean
  /** False only when the catalogue in force says that there is none of that name. */
  readonly mayHaveSchema: (schema: string) => boolean
  readonly statements: StatementMemo
  /** The policy in force; a reload gives another one. */
  readonly policy: () => Policy
  /** Claims that the warehouse knows. */
  readonly claims: ClaimSource
  readonly catalog: Catalog
  /** Relations whose columns statements turned out to need. */
  readonly wanted: WantedRelations
  readonly isCacheEnabled: boolean
  /** Part of every key beside the name: what tells this warehouse from another that an instance elsewhere calls the same. */
  readonly origin: string
  /** False: what this warehouse holds no other instance can see. */
  readonly sharesAnswers: boolean
  readonly cache: ResultCache
  readonly tokens: TokenStore
  readonly ttl: TtlClasses
  readonly refreshes: Refreshes
  /** True for a popular entry near its end, when such are made anew before it. Asked at every hit. */
  readonly isDueAhead: (entry: StoredEntry) => boolean
  readonly router: Router
  /** Answers for pg_catalog where the engine has none. */
  readonly shadow: ShadowCatalogue | undefined
  readonly plans: PlanMemo
  readonly descriptions: DescriptionMemo
  readonly estimates: EstimateMemo
  /** Canonical values of settings that the engine checks, by name and value as written. */
  readonly checkedSettings: Map<string, string>
  readonly followerWaitMsMax: number
  /** Time bucket where neither a TTL class nor a role names one; 0 = none. */
  readonly timeBucketMs: number
  /** Runs a sample of hits again; undefined = none. */
  readonly verifier: Sampler | undefined
  /** Monotonic milliseconds: the clock of entries. */
  readonly nowMs: () => number
  /** Milliseconds since 1970: the clock of dates. */
  readonly wallMs: () => number
}
