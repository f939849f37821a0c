import type { RedisSettings } from "../../core/redis.ts"
import type { RelationName } from "../../core/relation.ts"
import { pastTokensMax, type SoftLink, type Token } from "../soft-window.ts"
import { closeRedis, openRedis, type RedisClient, redialRedis, whenReady } from "./connection.ts"
import { type ControlScripts, controlScripts } from "./control-scripts.ts"

/** A token with the soft changes that led to it, newest first; undefined after a hard one. */
export type LedgerToken = Omit<Token, "past"> & { readonly links?: readonly SoftLink[] }

/** A place in the sequence of changes. Positions of different registries cannot be compared. */
export type Position = { readonly registry: string; readonly seq: number }

export type Heartbeat = Position & {
  readonly epoch: string
  /** What all relations of the epoch must wait for. */
  readonly epochFence: string | undefined
  /** Some instance has known this registry for a lease. */
  readonly isSettled: boolean
  /** The longest of all instances of the registry. */
  readonly leaseMs: number
  readonly news:
    | { readonly kind: "same" }
    | {
        readonly kind: "news" | "all"
        /** Instances that raised them; empty for all. */
        readonly origins: readonly string[]
        readonly tokens: readonly (readonly [RelationName, LedgerToken])[]
      }
}

export type Raised = Position & {
  readonly epoch: string
  /** The longest of all instances of the registry. */
  readonly leaseMs: number
  readonly isOverflow: boolean
}

export type InstanceState = {
  readonly instance: string
  /** The change up to which it has applied all; -1: none yet. */
  readonly seq: number
  /** As it stands in Redis, to be compared. */
  readonly text: string
}

/** undefined: what is in Redis is not to be trusted, or is another registry's. */
export type Status =
  | {
      readonly registry: string
      readonly isSettled: boolean
      readonly instances: readonly InstanceState[]
    }
  | undefined

export type LedgerCommand = keyof ControlScripts

export type LedgerEvents = {
  /** Something has changed, perhaps. Only a hint: it may come late, twice or never. */
  readonly hint?: () => void
  readonly commandEnded?: (command: LedgerCommand, durationMs: number, isOk: boolean) => void
  readonly connectionError?: (error: Error) => void
}

export type LedgerLimits = {
  /** Relations that may hold a token of their own; one more starts a new epoch. */
  readonly tokensMax: number
  /** Changes that an instance may miss before it must read everything again. */
  readonly logEntriesMax: number
  /** Names in one change; a larger one is read again as a whole. */
  readonly logNamesMax: number
  /** Instances in the registry; one more starts everything anew. */
  readonly instancesMax: number
}

export const ledgerLimits: LedgerLimits = {
  tokensMax: 100_000,
  logEntriesMax: 1_000,
  logNamesMax: 1_000,
  instancesMax: 1_000,
}

export type LedgerParts = {
  readonly limits?: LedgerLimits
  /** Others than the real ones are for tests, which must catch what they do wrong. */
  readonly scripts?: ControlScripts
}

type Argument = string | number

/**
 * The control keys in Redis, each operation one script. It knows the keys and the wire, and nothing of leases: what an answer
 * allows is decided in redis-token-store.ts. Operations reject when Redis cannot be asked, when it does not answer within a
 * lease, or when fewer than `replicasMin` replicas have the write; then it is not known whether they took place.
 */
export class Ledger {
  readonly #settings: RedisSettings
  readonly #limits: LedgerLimits
  readonly #scripts: ControlScripts
  readonly #events: LedgerEvents
  readonly #keys: readonly string[]
  /** Where hints are published; any message makes instances look for news. */
  readonly channel: string
  readonly #control: RedisClient
  /** A connection of its own, because WAIT holds up what comes after it. */
  readonly #raises: RedisClient
  readonly #hints: RedisClient

  constructor(settings: RedisSettings, events: LedgerEvents = {}, parts: LedgerParts = {}) {
    this.#settings = settings
    this.#events = events
    this.#limits = parts.limits ?? ledgerLimits
    this.#scripts = parts.scripts ?? controlScripts
    const tag = `{${settings.keyPrefix}}`
    this.#keys = ["control", "tokens", "log", "instances"].map((name) => `${tag}:${name}`)
    this.channel = `${tag}:news`
    // An answer that takes longer than a lease is of no use; one that takes a little less is, with many tokens to read.
    const commandTimeoutMs = settings.leaseMs
    const error = (thrown: Error): void => this.#events.connectionError?.(thrown)
    const hint = (): void => this.#events.hint?.()
    this.#control = openRedis(settings, {
      name: "sluice-control",
      commandTimeoutMs,
      events: { error, ready: hint },
    })
    this.#raises = openRedis(settings, {
      name: "sluice-raise",
      commandTimeoutMs,
      events: { error },
    })
    this.#hints = openRedis(settings, {
      name: "sluice-news",
      commandTimeoutMs: settings.connectTimeoutMs,
      events: { error, ready: () => this.#subscribe() },
    })
    this.#hints.on("message", hint)
  }

  /** Says what this instance has applied, and asks what it has not. */
  async heartbeat(heartbeat: {
    readonly instance: string
    readonly fresh: string
    readonly known: Position | undefined
    readonly beat: number
    readonly knowsForALease: boolean
  }): Promise<Heartbeat> {
    const { instance, fresh, known, beat, knowsForALease } = heartbeat
    const reply = await this.#run("heartbeat", this.#control, [
      instance,
      fresh,
      known?.registry ?? "",
      known?.seq ?? -1,
      beat,
      knowsForALease ? "1" : "0",
      this.#limits.instancesMax,
      this.#settings.leaseMs,
    ])
    return readHeartbeat(reply)
  }

  /** New tokens for the relations; with `isNewEpoch` everything is cold. */
  async raise(change: {
    readonly instance: string
    readonly fresh: string
    readonly unique: string
    readonly fence: string | undefined
    /** undefined: hard. */
    readonly maxStaleMs?: number | undefined
    readonly isNewEpoch: boolean
    readonly relations: readonly RelationName[]
  }): Promise<Raised> {
    const { instance, fresh, unique, fence, maxStaleMs, isNewEpoch, relations } = change
    const { tokensMax, logEntriesMax, logNamesMax } = this.#limits
    // Nothing is sent without a connection, so that this wait repeats nothing.
    await whenReady(this.#raises, this.#settings.commandTimeoutMs)
    const reply = await this.#run("raise", this.#raises, [
      instance,
      fresh,
      unique,
      fence ?? "",
      tokensMax,
      logEntriesMax,
      logNamesMax,
      this.channel,
      isNewEpoch ? "1" : "0",
      maxStaleMs === undefined ? "" : Math.floor(maxStaleMs),
      pastTokensMax,
      ...relations,
    ])
    const [registry, epoch, seq, leaseMs, isOverflow] = listOf(reply)
    return {
      registry: String(registry),
      epoch: String(epoch),
      seq: Number(seq),
      leaseMs: Number(leaseMs),
      isOverflow: isOverflow === 1,
    }
  }

  async status(): Promise<Status> {
    const reply = await this.#run("status", this.#control, [])
    const [registry, settled, flat] = listOf(reply)
    if (registry === "") return undefined
    const instances: InstanceState[] = []
    const fields = listOf(flat).map(String)
    for (let index = 0; index < fields.length; index += 2) {
      const text = fields[index + 1] ?? ""
      const seq = Number(text.split(":")[0])
      instances.push({ instance: fields[index] ?? "", seq, text })
    }
    return { registry: String(registry), isSettled: settled === "1", instances }
  }

  /** Takes instances out of the registry, unless they have been heard of since. */
  async forget(registry: string, silent: readonly Omit<InstanceState, "seq">[]): Promise<void> {
    const pairs = silent.flatMap(({ instance, text }) => [instance, text])
    await this.#run("forget", this.#control, [registry, ...pairs])
  }

  /** In place of "only the primary may answer", in which a registry begins. */
  async settleFence(registry: string, position: string | undefined): Promise<void> {
    await this.#run("fence", this.#control, [registry, position ?? ""])
  }

  /** Waits for the first connection, so that a start is not taken for a failure. */
  async started(): Promise<void> {
    await whenReady(this.#control, this.#settings.connectTimeoutMs)
  }

  /** Resolves when all connections are there, or rejects after `connectTimeoutMs`. For those who ask only once. */
  async ready(): Promise<void> {
    const { connectTimeoutMs } = this.#settings
    const clients = [this.#control, this.#raises, this.#hints]
    await Promise.all(clients.map((client) => whenReady(client, connectTimeoutMs)))
    if (clients.some(({ status }) => status !== "ready")) throw new Error("no connection")
    await this.#hints.subscribe(this.channel)
  }

  /** For a server that took a command and did not answer: after a failover it may be somewhere else. */
  redial(): void {
    redialRedis(this.#control)
    redialRedis(this.#raises)
    redialRedis(this.#hints)
  }

  close(): void {
    for (const client of [this.#control, this.#raises, this.#hints]) closeRedis(client)
  }

  #subscribe(): void {
    this.#hints.subscribe(this.channel).then(
      () => this.#events.hint?.(),
      (thrown: Error) => this.#events.connectionError?.(thrown),
    )
  }

  async #run(
    command: LedgerCommand,
    client: RedisClient,
    values: readonly Argument[],
  ): Promise<unknown> {
    const startMs = performance.now()
    const isWrite = command === "heartbeat" || command === "raise"
    let isOk = false
    try {
      const evaluate = ["eval", this.#scripts[command], this.#keys.length, ...this.#keys, ...values]
      const reply =
        isWrite && this.#settings.replicasMin > 0
          ? await this.#replicated(client, evaluate)
          : await client.call("EVAL", ...evaluate.slice(1))
      isOk = true
      return reply
    } finally {
      this.#events.commandEnded?.(command, performance.now() - startMs, isOk)
    }
  }

  /** The script and WAIT on one connection, because WAIT counts the writes of its own connection. */
  async #replicated(client: RedisClient, evaluate: readonly Argument[]): Promise<unknown> {
    const { replicasMin, leaseMs } = this.#settings
    const waitMs = Math.floor(leaseMs / 2)
    const results = await client.pipeline([[...evaluate], ["wait", replicasMin, waitMs]]).exec()
    const [first, second] = results ?? []
    if (first === undefined || second === undefined) throw new Error("the pipeline gave no result")
    if (first[0] !== null) throw first[0]
    if (second[0] !== null) throw second[0]
    const replicas = Number(second[1])
    if (replicas < replicasMin)
      throw new Error(`${replicas} of ${replicasMin} replicas had the write within ${waitMs} ms`)
    return first[1]
  }
}

function listOf(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error("Redis gave no list")
  return value
}

/** "token", "token|fence" or "token|fence|links"; links are "token=ms", newest first, with commas between. */
function tokenOf(value: string): LedgerToken {
  const [text = "", fence = "", links = ""] = value.split("|")
  const token = { text, fence: fence === "" ? undefined : fence }
  return links === "" ? token : { ...token, links: links.split(",").map(linkOf) }
}

function linkOf(link: string): SoftLink {
  const at = link.lastIndexOf("=")
  const maxStaleMs = Number(link.slice(at + 1))
  if (at === -1 || !Number.isSafeInteger(maxStaleMs)) throw new Error("Redis gave a broken token")
  return { text: link.slice(0, at), maxStaleMs }
}

function tokensOf(flat: readonly unknown[]): (readonly [RelationName, LedgerToken])[] {
  const tokens: (readonly [RelationName, LedgerToken])[] = []
  for (let index = 0; index + 1 < flat.length; index += 2)
    tokens.push([String(flat[index]) as RelationName, tokenOf(String(flat[index + 1]))])
  return tokens
}

function readHeartbeat(reply: unknown): Heartbeat {
  const [registry, epoch, seq, fence, settled, leaseMs, kind, origins, flat] = listOf(reply)
  const head = {
    registry: String(registry),
    epoch: String(epoch),
    seq: Number(seq),
    epochFence: fence === "" ? undefined : String(fence),
    isSettled: settled === "1",
    leaseMs: Number(leaseMs),
  }
  if (kind === "same") return { ...head, news: { kind: "same" } }
  if (kind !== "news" && kind !== "all") throw new Error("Redis gave an unknown answer")
  return {
    ...head,
    news: { kind, origins: listOf(origins).map(String), tokens: tokensOf(listOf(flat)) },
  }
}
