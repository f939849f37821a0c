import { type Counter, collectDefaultMetrics, Registry } from "@prometheus-io/client"
import type { ErrorReason } from "../core/errors.ts"
import type { StatementEnd, StatementReport } from "../core/observation.ts"
import {
  errorReasons,
  invalidationSources,
  redisCommands,
  redisResults,
  secondsBuckets,
} from "./dimensions.ts"
import { CounterFamily, type Family, HistogramFamily, ValueIndex } from "./families.ts"
import { type Sample, SourceFamily, type SourceName, sourceTable } from "./sources.ts"
import { StatementMetrics } from "./statement-metrics.ts"

const prefix = "sluice_"

export type MetricsOptions = {
  readonly version: string
  /** Configured warehouses: the bound of the label `warehouse`. */
  readonly warehouses: readonly string[]
  /** Also Node's own figures (CPU, memory, event loop lag, GC); one instance a process. */
  readonly collectsProcess: boolean
}

export type ConnectionOutcome = "accepted" | "login_failed" | "refused"

/** One finished call of the invalidation API or of a hook. */
export type InvalidationEvent = {
  /** `source.kind` as the caller wrote it; bounded here. */
  readonly source: string
  readonly mode: "hard" | "soft"
  readonly status: "applied" | "pending" | "dry_run" | "failed"
  readonly matchedItems: number
  readonly unmatchedItems: number
  readonly durationMs: number
}

const connectionOutcomes: readonly ConnectionOutcome[] = ["accepted", "login_failed", "refused"]
const invalidationModes = ["hard"]
const invalidationStatuses = ["applied", "pending", "dry_run", "failed"]

/** Of the package's own metrics these have names that `promtool check metrics` objects to; nothing here needs them. */
const misnamed = [
  "nodejs_active_handles_total",
  "nodejs_active_requests_total",
  "nodejs_active_resources_total",
  "nodejs_eventloop_utilization_histogram",
  "nodejs_eventloop_utilization_summary",
]

/** All metrics of the process. Recording never throws and never waits; `render` is the only slow part. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #statements: StatementMetrics
  readonly #sources: ReadonlyMap<string, SourceFamily>
  readonly #connections: CounterFamily
  readonly #loginFailures: CounterFamily
  readonly #errorReason = new ValueIndex(errorReasons)
  readonly #poolWaits: HistogramFamily
  readonly #redisTimes: HistogramFamily
  readonly #redisCommand = new ValueIndex(redisCommands)
  readonly #warehouse: ValueIndex
  readonly #invalidations: CounterFamily
  readonly #invalidationItems: CounterFamily
  readonly #invalidationTimes: HistogramFamily
  readonly #invalidationSource = new ValueIndex(invalidationSources)
  readonly #lastInvalidationMs = new Float64Array(invalidationSources.length)

  constructor(options: MetricsOptions) {
    const head = (name: string, help: string) => ({ name: prefix + name, help })
    const warehouse = { label: "warehouse", values: [...options.warehouses, "other"] }
    this.#warehouse = new ValueIndex(warehouse.values)
    this.#statements = new StatementMetrics(prefix, options.warehouses)
    this.#connections = new CounterFamily(
      head("client_connections_total", "Client connections by how their login ended."),
      [{ label: "outcome", values: connectionOutcomes }],
      true,
    )
    this.#loginFailures = new CounterFamily(
      head("auth_failures_total", "Logins that failed, by reason."),
      [{ label: "reason", values: errorReasons }],
      false,
    )
    this.#redisTimes = new HistogramFamily(
      head("redis_command_duration_seconds", "Time of commands to Redis, by command and result."),
      [
        { label: "command", values: redisCommands },
        { label: "result", values: redisResults },
      ],
      secondsBuckets,
    )
    this.#poolWaits = new HistogramFamily(
      head("pool_wait_seconds", "Time that statements waited for a warehouse connection."),
      [warehouse],
      secondsBuckets,
    )
    this.#invalidations = new CounterFamily(
      head("invalidations_total", "Invalidations by source, mode and status."),
      [
        { label: "source", values: invalidationSources },
        { label: "mode", values: invalidationModes },
        { label: "status", values: invalidationStatuses },
      ],
      false,
    )
    this.#invalidationItems = new CounterFamily(
      head("invalidation_items_total", "Items of invalidations, by whether they named something."),
      [{ label: "result", values: ["matched", "unmatched"] }],
      true,
    )
    this.#invalidationTimes = new HistogramFamily(
      head("invalidation_apply_duration_seconds", "Time from the call to its answer."),
      [],
      secondsBuckets,
    )
    const scrapeErrors = new CounterFamily(
      head("scrape_source_errors_total", "Figures that could not be read at a scrape."),
      [],
      true,
    )
    this.#sources = new Map(
      Object.entries(sourceTable).map(([name, table]) => [
        name,
        new SourceFamily(prefix + name, table, () => scrapeErrors.add(0, 1)),
      ]),
    )
    this.source("cache_requests_total", () => this.#statements.cacheRequests())
    this.#register([
      ...this.#ownFacts(options.version),
      ...this.#statements.families,
      this.#connections,
      this.#loginFailures,
      this.#poolWaits,
      this.#redisTimes,
      this.#invalidations,
      this.#invalidationItems,
      this.#invalidationTimes,
      ...this.#sources.values(),
      scrapeErrors,
    ])
    if (options.collectsProcess) this.#collectProcess()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Hot path: once for every finished statement. */
  statementFinished(report: StatementReport, end: StatementEnd): void {
    this.#statements.finished(report, end)
  }

  connectionEnded(outcome: ConnectionOutcome): void {
    this.#connections.add(connectionOutcomes.indexOf(outcome), 1)
  }

  loginFailed(reason: ErrorReason): void {
    this.#loginFailures.add(this.#errorReason.of(reason), 1)
  }

  redisCommandEnded(command: string, durationMs: number, isOk: boolean): void {
    const index = this.#redisCommand.of(command) * redisResults.length + (isOk ? 0 : 1)
    this.#redisTimes.observe(index, durationMs)
  }

  poolWaited(warehouse: string, waitMs: number): void {
    this.#poolWaits.observe(this.#warehouse.of(warehouse), waitMs)
  }

  invalidationFinished(event: InvalidationEvent): void {
    const source = this.#invalidationSource.of(event.source)
    const status = invalidationStatuses.indexOf(event.status)
    this.#invalidations.add(source * invalidationStatuses.length + status, 1)
    this.#invalidationItems.add(0, event.matchedItems)
    this.#invalidationItems.add(1, event.unmatchedItems)
    this.#invalidationTimes.observe(0, event.durationMs)
    if (event.status === "applied") this.#lastInvalidationMs[source] = Date.now()
  }

  /**
   * Registers where a figure is read at every scrape. `read` must be quick, and give values for the labels of
   * {@link sourceTable} in their order; one that throws is left out and counted.
   */
  source(name: SourceName, read: () => readonly Sample[]): void {
    this.#sources.get(name)?.register(read)
  }

  /** Prometheus text exposition format 0.0.4. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }

  #collectProcess(): void {
    collectDefaultMetrics({ register: this.#registry })
    for (const name of misnamed) this.#registry.removeSingleMetric(name)
  }

  #ownFacts(version: string): Family[] {
    const built: Family = {
      name: `${prefix}build_info`,
      help: "1, with the version that runs.",
      type: "gauge",
      series: () => [{ suffix: "", labels: { version, node: process.versions.node }, value: 1 }],
    }
    const lastInvalidation: Family = {
      name: `${prefix}invalidation_last_success_timestamp_seconds`,
      help: "Unix time of the last applied invalidation, by source.",
      type: "gauge",
      series: () =>
        [...this.#lastInvalidationMs.entries()]
          .filter(([, timeMs]) => timeMs > 0)
          .map(([index, timeMs]) => ({
            suffix: "",
            labels: { source: invalidationSources[index] ?? "other" },
            value: timeMs / 1000,
          })),
    }
    return [built, lastInvalidation]
  }

  #register(families: readonly Family[]): void {
    for (const family of families) this.#registry.registerMetric(asRegistered(family))
  }
}

/** The registry asks its metrics for a name and for get(); its types only know the package's own classes. */
function asRegistered(family: Family): Counter {
  const { name, help, type } = family
  const get = () => ({
    name,
    help,
    type,
    aggregator: "sum",
    values: family
      .series()
      .map(({ suffix, labels, value }) => ({ metricName: name + suffix, labels, value })),
  })
  return { name, get } as unknown as Counter
}
