import type { CacheKey } from "../cache/key.ts"
import { showVector } from "../cache/show-vector.ts"
import type { TokenVector } from "../cache/token-store.ts"
import type {
  BypassReason,
  CacheOutcome,
  StageTimes,
  StatementReport,
} from "../core/observation.ts"
import type { RelationName } from "../core/relation.ts"
import type { Question } from "./question.ts"
import type { WarehouseRows } from "./warehouse-rows.ts"

/**
 * Gathers what `SHOW sluice.last` and the metrics tell about one statement. It is itself the report, so that a hit makes one
 * small object; the key's digest, which costs a SHA-256, and the tokens are spelt when somebody reads them.
 */
export class ReportDraft implements StatementReport {
  readonly warehouse: string
  readonly statement: string
  readonly stages: StageTimes = {
    parseMs: 0,
    policyMs: 0,
    cacheMs: 0,
    queueMs: 0,
    warehouseMs: 0,
    encodeMs: 0,
  }
  cache: CacheOutcome = "bypass"
  reason: BypassReason | undefined = undefined
  ageMs: number | undefined = undefined
  relations: readonly RelationName[] = []
  endpoint: string | undefined = undefined
  timeBucket: string | undefined = undefined
  hint: string | undefined = undefined
  readonly #startMs = performance.now()
  #judgedMs = 0
  #key: CacheKey | undefined
  #vector: TokenVector | undefined

  constructor(question: Question, warehouse: string) {
    this.statement = question.statement.class.kind
    this.warehouse = warehouse
    this.stages.parseMs = question.parseMs
  }

  get key(): string | undefined {
    return this.#key?.digest
  }

  get tokens(): string | undefined {
    return this.#vector === undefined ? undefined : showVector(this.#vector.text)
  }

  judged(relations: readonly RelationName[]): void {
    this.relations = relations
    this.#judgedMs = performance.now()
    this.stages.policyMs = this.#judgedMs - this.#startMs
  }

  keyed(key: CacheKey, vector: TokenVector): void {
    this.#key = key
    this.#vector = vector
  }

  ran(run: WarehouseRows | undefined): void {
    if (run === undefined) return
    this.endpoint = run.endpoint
    this.stages.queueMs = run.queueMs
    this.stages.warehouseMs = run.warehouseMs
  }

  finish(
    cache: CacheOutcome,
    reason: BypassReason | undefined,
    ageMs: number | undefined,
  ): StatementReport {
    this.cache = cache
    this.reason = reason
    this.ageMs = ageMs
    const spentMs = performance.now() - this.#judgedMs
    this.stages.cacheMs = Math.max(0, spentMs - this.stages.queueMs - this.stages.warehouseMs)
    return this
  }
}
