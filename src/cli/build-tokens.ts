import { MemoryTokenStore } from "../cache/memory-token-store.ts"
import { RedisTokenStore, type TokenNews } from "../cache/redis/redis-token-store.ts"
import type { ResultCache } from "../cache/result-cache.ts"
import { type TokenStore, unprovableFence } from "../cache/token-store.ts"
import type { RedisSettings } from "../core/redis.ts"
import type { Log } from "../observe/log.ts"
import { fenceNow } from "../pipeline/fence.ts"
import type { InvalidationTarget } from "../pipeline/invalidate.ts"
import { catalogueRelation } from "../pipeline/plan.ts"

export type RedisCommandEnded = (command: string, durationMs: number, isOk: boolean) => void

export type BuiltTokens = {
  readonly store: TokenStore
  /** undefined: there is no Redis. */
  readonly isRedisUp: (() => boolean) | undefined
}

/** Errors of connecting come many times a second while Redis is away. */
const errorLogMs = 30_000

/** Tokens in Redis where it is configured, else in memory: then this instance is the only one. */
export function buildTokens(
  settings: RedisSettings | undefined,
  parts: {
    readonly log: Log
    readonly commandEnded: RedisCommandEnded
    readonly onNews: (news: TokenNews) => void
    readonly position: () => Promise<string | undefined>
  },
): BuiltTokens {
  if (settings === undefined) return { store: new MemoryTokenStore(), isRedisUp: undefined }
  const log = parts.log.child("redis")
  let quietUntilMs = Number.NEGATIVE_INFINITY
  const store = new RedisTokenStore({
    settings,
    onNews: parts.onNews,
    position: parts.position,
    events: {
      commandEnded: parts.commandEnded,
      connectionError: (error) => {
        if (performance.now() < quietUntilMs) return
        quietUntilMs = performance.now() + errorLogMs
        log.warn("no connection to Redis; trying again", { error })
      },
      connectionChanged: (isConnected) => {
        quietUntilMs = Number.NEGATIVE_INFINITY
        if (isConnected) log.info("Redis answers")
        else log.warn("Redis does not answer; the cache is used until the lease ends")
      },
    },
  })
  return { store, isRedisUp: () => store.isConnected }
}

/** The position of the one warehouse that has positions; those of several cannot be compared. */
export async function positionNow(
  targets: readonly InvalidationTarget[],
): Promise<string | undefined> {
  const [first, ...others] = targets.filter(({ rooms }) => rooms.engine === "postgres")
  if (first === undefined) return undefined
  return others.length > 0 ? unprovableFence : fenceNow(first.rooms)
}

/**
 * What an instance does with changes that Redis tells of, before it says that it has applied them. Entries are freed; and what
 * others have raised may stand for new tables and views, so that names are not resolved until they are read again.
 */
export function applyNews(
  news: TokenNews,
  cache: ResultCache,
  targets: readonly InvalidationTarget[],
): void {
  if (news.isNewEpoch) cache.memory.clear()
  else cache.memory.forget(news.relations?.filter((name) => !news.softened.includes(name)) ?? [])
  if (news.isOwn) return
  const changesNames = news.relations?.includes(catalogueRelation) ?? true
  for (const { rooms, onInvalidated } of targets) {
    onInvalidated()
    if (!changesNames) continue
    rooms.catalog.markStale()
    // Whoever asks meanwhile waits for this load; its failure is theirs to see.
    rooms.catalog.refreshNow().catch(() => undefined)
  }
}
