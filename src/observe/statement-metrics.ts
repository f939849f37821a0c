import type { ErrorReason } from "../core/errors.ts"
import type { StatementEnd, StatementReport } from "../core/observation.ts"
import {
  ageBuckets,
  bypassReasons,
  cacheOutcomes,
  cancellerByReason,
  cancellers,
  errorReasons,
  rowBuckets,
  secondsBuckets,
  sqlStateClasses,
  statementClasses,
  statementOutcomes,
} from "./dimensions.ts"
import {
  CounterFamily,
  type Family,
  HistogramFamily,
  type SeriesValue,
  ValueIndex,
} from "./families.ts"
import type { Sample } from "./sources.ts"

const stages = ["parse", "policy", "cache", "queue", "warehouse", "encode"]
const hitL1 = cacheOutcomes.indexOf("hit_l1")
const bypass = cacheOutcomes.indexOf("bypass")
const coalesced = cacheOutcomes.indexOf("coalesced")

const warehouseReasons: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  "warehouse_error",
  "warehouse_unreachable",
  "warehouse_busy",
  "warehouse_protocol",
])

/** Counters that follow from others and are only added up when asked for. */
class DerivedFamily implements Family {
  readonly name: string
  readonly help: string
  readonly type = "counter"
  readonly #read: () => readonly SeriesValue[]

  constructor(name: string, help: string, read: () => readonly SeriesValue[]) {
    this.name = name
    this.help = help
    this.#read = read
  }

  series(): readonly SeriesValue[] {
    return this.#read()
  }
}

/**
 * What one finished statement adds to. `finished` is on the hot path: array arithmetic on slots that are known beforehand,
 * 0.09 us a statement, where the metrics package takes 0.25 us for one labelled inc() and 0.4 us for one observe().
 */
export class StatementMetrics {
  readonly families: readonly Family[]
  readonly #warehouse: ValueIndex
  readonly #statement = new ValueIndex(statementClasses)
  readonly #cache = new ValueIndex(cacheOutcomes)
  readonly #outcome = new ValueIndex(statementOutcomes)
  readonly #bypassReason = new ValueIndex(bypassReasons)
  readonly #errorReason = new ValueIndex(errorReasons)
  readonly #sqlStateClass = new ValueIndex(sqlStateClasses)
  readonly #queries: CounterFamily
  readonly #durations: HistogramFamily
  readonly #stages: HistogramFamily
  readonly #rows: HistogramFamily
  readonly #ages: HistogramFamily
  readonly #bytes: CounterFamily
  readonly #uncacheable: CounterFamily
  readonly #rejections: CounterFamily
  readonly #cancellations: CounterFamily
  readonly #warehouseErrors: CounterFamily

  constructor(prefix: string, warehouses: readonly string[]) {
    const head = (name: string, help: string) => ({ name: prefix + name, help })
    const warehouse = { label: "warehouse", values: [...warehouses, "other"] }
    const cache = { label: "cache", values: cacheOutcomes }
    const outcome = { label: "outcome", values: statementOutcomes }
    const statement = { label: "statement", values: statementClasses }
    this.#warehouse = new ValueIndex(warehouse.values)
    this.#queries = new CounterFamily(
      head("queries_total", "Finished statements."),
      [warehouse, statement, outcome, cache],
      false,
    )
    this.#durations = new HistogramFamily(
      head("query_duration_seconds", "Time from a statement's last byte in to its last byte out."),
      [warehouse, cache, outcome],
      secondsBuckets,
    )
    this.#stages = new HistogramFamily(
      head("query_stage_duration_seconds", "Time in one stage, for statements that reached it."),
      [{ label: "stage", values: stages }],
      secondsBuckets,
    )
    this.#rows = new HistogramFamily(
      head("query_rows_returned", "Rows of one finished statement."),
      [],
      rowBuckets,
    )
    this.#ages = new HistogramFamily(
      head("cache_entry_age_seconds", "Age of served entries, from the start of their query."),
      [],
      ageBuckets,
    )
    this.#bytes = new CounterFamily(
      head("query_bytes_sent_total", "Result bytes sent to clients."),
      [],
      true,
    )
    this.#uncacheable = new CounterFamily(
      head("uncacheable_total", "Statements that went past the cache, by reason."),
      [{ label: "reason", values: bypassReasons }],
      true,
    )
    this.#rejections = new CounterFamily(
      head("query_rejections_total", "Statements that the gateway itself refused, by reason."),
      [{ label: "reason", values: errorReasons }],
      false,
    )
    this.#cancellations = new CounterFamily(
      head("query_cancellations_total", "Statements ended early, by whom."),
      [{ label: "by", values: cancellers }],
      true,
    )
    this.#warehouseErrors = new CounterFamily(
      head("warehouse_errors_total", "Errors that warehouses raised, by class of SQLSTATE."),
      [{ label: "sqlstate_class", values: sqlStateClasses }],
      false,
    )
    this.families = [
      this.#queries,
      this.#durations,
      this.#stages,
      this.#rows,
      this.#bytes,
      this.#ages,
      this.#uncacheable,
      this.#rejections,
      this.#cancellations,
      this.#warehouseErrors,
      new DerivedFamily(
        `${prefix}cache_coalesced_total`,
        "Statements answered by another one's run.",
        () => [{ suffix: "", labels: {}, value: this.#countOf(coalesced) }],
      ),
    ]
  }

  finished(report: StatementReport, end: StatementEnd): void {
    const warehouse = this.#warehouse.of(report.warehouse)
    const cache = this.#cache.of(report.cache)
    const outcome = this.#outcome.of(end.outcome)
    const statement = this.#statement.of(report.statement)
    const perWarehouse = warehouse * statementClasses.length + statement
    this.#queries.add(
      (perWarehouse * statementOutcomes.length + outcome) * cacheOutcomes.length + cache,
      1,
    )
    this.#durations.observe(
      (warehouse * cacheOutcomes.length + cache) * statementOutcomes.length + outcome,
      end.durationMs,
    )
    const { stages: times } = report
    // A stage that took no time at all was not reached.
    if (times.parseMs > 0) this.#stages.observe(0, times.parseMs)
    if (times.policyMs > 0) this.#stages.observe(1, times.policyMs)
    if (times.cacheMs > 0) this.#stages.observe(2, times.cacheMs)
    if (times.queueMs > 0) this.#stages.observe(3, times.queueMs)
    if (times.warehouseMs > 0) this.#stages.observe(4, times.warehouseMs)
    if (times.encodeMs > 0) this.#stages.observe(5, times.encodeMs)
    this.#rows.observe(0, end.rowCount)
    this.#bytes.add(0, end.byteCount)
    if (report.ageMs !== undefined) this.#ages.observe(0, report.ageMs)
    if (report.reason !== undefined) this.#uncacheable.add(this.#bypassReason.of(report.reason), 1)
    if (end.errorReason !== undefined) this.#failed(end.errorReason, end.sqlState)
  }

  #failed(reason: NonNullable<StatementEnd["errorReason"]>, sqlState: string | undefined): void {
    const canceller = cancellerByReason.get(reason)
    if (canceller !== undefined) this.#cancellations.add(canceller, 1)
    else if (warehouseReasons.has(reason))
      this.#warehouseErrors.add(this.#sqlStateClass.of(sqlState?.slice(0, 2) ?? ""), 1)
    else this.#rejections.add(this.#errorReason.of(reason), 1)
  }

  /** Finished statements with one cache outcome. The cache is the last, fastest-turning dimension of the counter. */
  #countOf(cache: number): number {
    let count = 0
    for (let at = cache; at < this.#queries.counts.length; at += cacheOutcomes.length)
      count += this.#queries.counts[at] ?? 0
    return count
  }

  /** Every statement that was not bypassed asked the memory tier exactly once; other tiers count for themselves. */
  cacheRequests(): readonly Sample[] {
    const hits = this.#countOf(hitL1)
    let misses = 0
    for (const cache of cacheOutcomes.keys())
      if (cache !== hitL1 && cache !== bypass) misses += this.#countOf(cache)
    return [
      { labels: ["l1", "hit"], value: hits },
      { labels: ["l1", "miss"], value: misses },
    ]
  }
}
