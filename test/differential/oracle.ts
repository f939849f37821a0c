import type { Exchange, Flow } from "../support/query-generator-messages.ts"
import { encodeExchange, textsOf } from "../support/query-generator-messages.ts"
import { RawSession, type SessionOptions } from "../support/query-generator-session.ts"
import { answersDiffer, firstRow, isDeferredError, summaryOf } from "./compare.ts"
import { type KnownDifference, knownDifference } from "./known-differences.ts"

export type Divergence = {
  readonly flow: Flow
  /** Index of the exchange that first differed. */
  readonly at: number
  readonly exchange: Exchange
  /** First asking of the gateway (usually a miss) or second (usually a hit). */
  readonly asking: "first" | "second"
  readonly difference: string
}

export type Tally = {
  /** Exchanges with a result or an error whose two origin answers agreed, so that the gateway's answers were judged. */
  conclusive: number
  /** The same for exchanges that only change the session (SET, BEGIN, CLOSE): judged, but they prove little. */
  commands: number
  /** Exchanges that the origin itself answered in two ways. */
  inconclusive: number
  /** Exchanges whose error came later in the same batch (see isDeferredError). */
  deferred: number
  /** Exchanges that fall under a known difference. */
  known: Map<KnownDifference, number>
  /** `cache` column of SHOW sluice.last after the second asking, by outcome and reason; sampled. */
  outcomes: Map<string, number>
  /** What conclusive origin answers were: `rows`, `no rows`, or the SQLSTATE of their error. Says whether the questions are any good. */
  answers: Map<string, number>
  divergences: Divergence[]
}

export function newTally(): Tally {
  return {
    conclusive: 0,
    commands: 0,
    inconclusive: 0,
    deferred: 0,
    known: new Map(),
    outcomes: new Map(),
    answers: new Map(),
    divergences: [],
  }
}

export type Sides = {
  readonly origin: SessionOptions
  readonly gateway: SessionOptions
  /** Whether the gateway side knows SHOW sluice.last. */
  readonly hasReports: boolean
}

function count<K>(map: Map<K, number>, key: K): void {
  map.set(key, (map.get(key) ?? 0) + 1)
}

const showLast = encodeExchange([{ kind: "query", sql: "SHOW sluice.last" }])
/** What one lane says where the gateway gave no answer. */
const noAnswer = Buffer.from("Z\0\0\0\x05I")

/**
 * Two sessions on each side. A flow is put to the origin, twice to the gateway, and again to the origin, each time on a
 * session of its own: what the second gateway session finds in the cache was put there by another session.
 */
export class Lane {
  readonly #sides: Sides
  readonly #sessions = new Map<string, RawSession>()

  constructor(sides: Sides) {
    this.#sides = sides
  }

  async #session(name: string): Promise<RawSession> {
    const open = this.#sessions.get(name)
    if (open?.isOpen === true) return open
    const side = name.startsWith("origin") ? this.#sides.origin : this.#sides.gateway
    const session = await RawSession.open(side)
    this.#sessions.set(name, session)
    return session
  }

  async #ask(name: string, exchanges: readonly Buffer[]): Promise<Buffer[]> {
    return (await this.#session(name)).run(exchanges)
  }

  /** Asks the gateway; a session that ends instead of answering is a divergence, not an error of the oracle. */
  async #askGateway(
    name: string,
    exchanges: readonly Buffer[],
  ): Promise<{ readonly answers: readonly Buffer[]; readonly failure: string | undefined }> {
    try {
      return { answers: await this.#ask(name, exchanges), failure: undefined }
    } catch (error) {
      return { answers: [], failure: error instanceof Error ? error.message : String(error) }
    }
  }

  async run(flow: Flow, tally: Tally, isReported: boolean): Promise<void> {
    const exchanges = flow.exchanges.map(encodeExchange)
    const withReports =
      isReported && this.#sides.hasReports
        ? exchanges.flatMap((exchange) => [exchange, showLast])
        : exchanges
    const before = await this.#ask("origin 1", exchanges)
    const first = await this.#askGateway("gateway 1", exchanges)
    const second = await this.#askGateway("gateway 2", withReports)
    const after = await this.#ask("origin 2", exchanges)

    const stride = withReports === exchanges ? 1 : 2
    const secondAnswers = second.answers.filter((_, index) => index % stride === 0)
    if (stride === 2)
      for (const [index, answer] of secondAnswers.entries())
        this.#report(answer, second.answers[2 * index + 1], tally)

    for (const [at, exchange] of flow.exchanges.entries()) {
      const expected = before[at] ?? noAnswer
      if (answersDiffer(expected, after[at] ?? noAnswer) !== undefined) {
        tally.inconclusive += 1
        continue
      }
      const judged = [
        ["first", first.failure, first.answers[at]],
        ["second", second.failure, secondAnswers[at]],
      ] as const
      const verdict = this.#judge({ flow, at, exchange, expected, judged, tally })
      // Nobody knows which state a diverged session is in: the next flow starts with new ones.
      if (verdict === "diverged") this.close()
      if (verdict !== "equal") return
    }
  }

  /**
   * `deferred` ends the flow as well: a statement that the origin refused at Parse exists under its name on the gateway, and
   * what follows in the flow differs for that reason. So does what follows a known difference that leaves the two sessions
   * in different states.
   */
  #judge(item: {
    readonly flow: Flow
    readonly at: number
    readonly exchange: Exchange
    readonly expected: Buffer
    readonly judged: readonly (readonly [
      asking: "first" | "second",
      failure: string | undefined,
      answer: Buffer | undefined,
    ])[]
    readonly tally: Tally
  }): "equal" | "deferred" | "diverged" {
    const { flow, at, exchange, expected, judged, tally } = item
    for (const [asking, failure, answer] of judged) {
      const difference =
        failure === undefined
          ? answersDiffer(expected, answer ?? noAnswer)
          : `the session ended: ${failure}`
      if (difference === undefined) continue
      const known = knownDifference(textsOf(exchange), difference)
      if (known !== undefined) {
        count(tally.known, known)
        return known.endsFlow === true ? "deferred" : "equal"
      }
      if (answer !== undefined && isDeferredError(expected, answer)) {
        tally.deferred += 1
        return "deferred"
      }
      tally.divergences.push({ flow, at, exchange, asking, difference })
      return "diverged"
    }
    const summary = summaryOf(expected)
    if (summary === "command") tally.commands += 1
    else tally.conclusive += 1
    count(tally.answers, summary)
    return "equal"
  }

  /** Reports stand for the last statement that asked for data: after anything else they would be counted again. */
  #report(answer: Buffer, report: Buffer | undefined, tally: Tally): void {
    const summary = summaryOf(answer)
    if (report === undefined || (summary !== "rows" && summary !== "empty result")) return
    const row = firstRow(report)
    const cache = row?.get("cache")
    if (cache === undefined || cache === null) return
    const reason = row?.get("reason") ?? ""
    count(tally.outcomes, reason === "" ? cache : `${cache} ${reason}`)
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close()
    this.#sessions.clear()
  }
}
