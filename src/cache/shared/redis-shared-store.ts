import { ReplyError } from "ioredis"
import type { RedisSettings } from "../../core/redis.ts"
import { closeRedis, openRedis, type RedisClient, type RedisEvents } from "../redis/connection.ts"
import { sharedScripts } from "./redis-scripts.ts"
import { type FlightClaim, type Found, type SharedStore, SharedStoreError } from "./shared-store.ts"

export type RedisSharedStoreOptions = {
  readonly settings: RedisSettings
  /** Behind the settings' prefix in all keys: what writes another format must not meet. */
  readonly namespace: string
  /** Longest wait of a look-up. A Redis that is slower than the warehouse is of no use. */
  readonly findTimeoutMs: number
  readonly events?: RedisEvents
}

/** Nobody waits for a value to be stored; this only ends what will never be. */
const putTimeoutMs = 2_000

/**
 * The shared tier in Redis. Values and small commands have a connection each, so that no look-up stands behind the megabytes
 * of a value on its way. Control keys (tokens, leases of instances) are on connections of their own, too.
 */
export class RedisSharedStore implements SharedStore {
  readonly #small: ScriptedClient
  readonly #large: RedisClient
  readonly #prefix: string

  constructor({ settings, namespace, findTimeoutMs, events }: RedisSharedStoreOptions) {
    this.#prefix = `${settings.keyPrefix}:d:${namespace}:`
    const small = openRedis(settings, {
      name: "sluice-data",
      commandTimeoutMs: findTimeoutMs,
      ...(events === undefined ? {} : { events }),
    })
    for (const [name, lua] of Object.entries(sharedScripts))
      small.defineCommand(scriptNames[name as keyof typeof sharedScripts], {
        numberOfKeys: 2,
        lua,
      })
    this.#small = small as unknown as ScriptedClient
    this.#large = openRedis(settings, { name: "sluice-fill", commandTimeoutMs: putTimeoutMs })
  }

  async find(name: string, { owner, leaseMs }: FlightClaim): Promise<Found> {
    const reply = await answered(
      this.#small.sluiceFindBuffer(this.#valueKey(name), this.#flightKey(name), owner, leaseMs),
    )
    if (reply === 1) return { kind: "leading" }
    if (reply === 2) return { kind: "alone" }
    if (!Array.isArray(reply)) return { kind: "busy" }
    const [value, ttlMs] = reply
    return { kind: "value", value, ttlMs }
  }

  async put(
    name: string,
    value: Buffer,
    { ttlMs, owner }: { readonly ttlMs: number; readonly owner: string },
  ): Promise<void> {
    await answered(this.#large.set(this.#valueKey(name), value, "PX", ttlMs))
    await this.leave(name, { owner, aloneMs: 0 })
  }

  async remove(name: string): Promise<void> {
    await answered(this.#small.del(this.#valueKey(name)))
  }

  async leave(
    name: string,
    { owner, aloneMs }: { readonly owner: string; readonly aloneMs: number },
  ): Promise<void> {
    await answered(
      this.#small.sluiceLeave(this.#valueKey(name), this.#flightKey(name), owner, aloneMs),
    )
  }

  async extend(name: string, { owner, leaseMs }: FlightClaim): Promise<boolean> {
    const reply = await answered(
      this.#small.sluiceExtend(this.#valueKey(name), this.#flightKey(name), owner, leaseMs),
    )
    return reply === 1
  }

  close(): void {
    closeRedis(this.#small)
    closeRedis(this.#large)
  }

  #valueKey(name: string): string {
    return `${this.#prefix}v:{${name}}`
  }

  #flightKey(name: string): string {
    return `${this.#prefix}f:{${name}}`
  }
}

const scriptNames = { find: "sluiceFind", leave: "sluiceLeave", extend: "sluiceExtend" } as const

type TwoKeys = [valueKey: string, flightKey: string]

/** What `defineCommand` adds. */
type ScriptedClient = RedisClient & {
  sluiceFindBuffer(
    ...args: [...TwoKeys, owner: string, leaseMs: number]
  ): Promise<number | [value: Buffer, ttlMs: number]>
  sluiceLeave(...args: [...TwoKeys, owner: string, aloneMs: number]): Promise<number>
  sluiceExtend(...args: [...TwoKeys, owner: string, leaseMs: number]): Promise<number>
}

async function answered<Reply>(reply: Promise<Reply>): Promise<Reply> {
  try {
    return await reply
  } catch (thrown) {
    if (thrown instanceof ReplyError) throw new SharedStoreError("refused", thrown)
    const isTimeout = thrown instanceof Error && thrown.message === "Command timed out"
    throw new SharedStoreError(isTimeout ? "timeout" : "unreachable", thrown)
  }
}
