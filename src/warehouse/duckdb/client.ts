import { stat } from "node:fs/promises"
import { setTimeout as delay } from "node:timers/promises"
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api"
import { GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"
import { isLockConflict, openFailure, warehouseBusy } from "./error-map.ts"
import { prepareConnection } from "./session-macros.ts"

export type DuckdbOptions = {
  /** Database file, or `:memory:` for an empty one (always owned, and writable since nothing else could fill it). */
  readonly path: string
  /** owned: kept open for good. burst: closed when idle and from time to time, so that other processes can write. */
  readonly mode: "owned" | "burst"
  /** DuckDB's worker threads; 0 = one per core. */
  readonly threads: number
  /** DuckDB's memory limit; 0 = its own default, 80 % of the machine. */
  readonly memoryBytesMax: number
  readonly idleCloseMs: number
  readonly burstMsMax: number
  readonly burstGapMs: number
  /** A statement waits so long for another process's lock, and never beyond its own time-out. */
  readonly lockWaitMsMax: number
  /** Milliseconds of a monotonic clock. */
  readonly now?: () => number
}

/** A waiting opener looks again this often: a nightly job's gaps between two transactions are not much longer. */
const lockPollMs = 25

/** Replacement of the file by rename is looked for at most this often between invalidations. */
const identityCheckMs = 100

/** What tells one state of the file from another without reading it. */
type FileIdentity = {
  readonly device: bigint
  readonly inode: bigint
  readonly sizeBytes: bigint
  readonly modifiedNs: bigint
}

/**
 * One opened instance and the statements on it. While it is open this process holds a shared lock on the inode, so no other
 * process writes to it, and what it shows is current for as long as the path leads to that inode.
 */
export class OpenedInstance {
  readonly #instance: DuckDBInstance
  readonly #connections = new Set<DuckDBConnection>()
  readonly identity: FileIdentity | undefined
  readonly openedAtMs: number
  identityCheckedAtMs: number
  /** The last invalidation after which the path was seen to lead to this very file. */
  checkedGeneration: number
  /** Statements and transactions on it. */
  uses = 0
  /** No new statement starts on it; it closes when `uses` is 0. */
  isRetired = false
  isClosed = false

  constructor(
    instance: DuckDBInstance,
    identity: FileIdentity | undefined,
    openedAtMs: number,
    generation: number,
  ) {
    this.#instance = instance
    this.identity = identity
    this.openedAtMs = openedAtMs
    this.identityCheckedAtMs = openedAtMs
    this.checkedGeneration = generation
  }

  async connect(): Promise<DuckDBConnection> {
    const connection = await this.#instance.connect()
    this.#connections.add(connection)
    await prepareConnection(connection)
    return connection
  }

  disconnect(connection: DuckDBConnection): void {
    if (this.#connections.delete(connection)) connection.disconnectSync()
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    for (const connection of this.#connections) connection.disconnectSync()
    this.#connections.clear()
    this.#instance.closeSync()
  }
}

/** A statement's or transaction's hold on an instance. Releasing twice is harmless. */
export class InstanceUse {
  readonly instance: OpenedInstance
  readonly #onRelease: (instance: OpenedInstance) => void
  #isReleased = false

  constructor(instance: OpenedInstance, onRelease: (instance: OpenedInstance) => void) {
    this.instance = instance
    this.#onRelease = onRelease
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#onRelease(this.instance)
  }
}

/**
 * The database file and when it is open.
 *
 *   closed ──statement──▶ open ──idle for idleCloseMs──▶ closed
 *                          └──open for burstMsMax──▶ draining ──last statement ends──▶ closed for burstGapMs
 *
 * Locks are POSIX record locks: they belong to the process, and closing any descriptor of the file drops them all. So one
 * inode is never open twice here: an instance of the same inode is closed before the next is opened, and only a file that
 * was replaced by rename (another inode) is opened beside the one whose statements still run.
 */
export class DuckdbFile {
  readonly #options: DuckdbOptions
  readonly #now: () => number
  #current: OpenedInstance | undefined
  readonly #retired = new Set<OpenedInstance>()
  #opening: Promise<void> | undefined
  /** Counts invalidations. */
  #generation = 0
  #gapEndsAtMs = 0
  #idleTimer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: DuckdbOptions) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get #isMemory(): boolean {
    return this.#options.path === ":memory:"
  }

  get isOpen(): boolean {
    return this.#current !== undefined || this.#retired.size > 0
  }

  /**
   * A hold on an instance that shows the file as it is now or later. Waits for locks up to `lockWaitMsMax` and
   * `waitMsMax` (0 = only the first). Rejects with 08006, 55P03, or the signal's reason.
   */
  async acquire(signal: AbortSignal, waitMsMax = 0): Promise<InstanceUse> {
    const startedAtMs = this.#now()
    const { lockWaitMsMax } = this.#options
    const waitLimitMs = waitMsMax === 0 ? lockWaitMsMax : Math.min(lockWaitMsMax, waitMsMax)
    for (;;) {
      signal.throwIfAborted()
      if (this.#isClosed) throw closedError()
      const blocked = await this.#step()
      if (blocked === undefined && this.#current !== undefined && !this.#current.isRetired) {
        return this.#use(this.#current)
      }
      const waitedMs = this.#now() - startedAtMs
      if (blocked !== undefined && waitedMs >= waitLimitMs) throw warehouseBusy(waitedMs, blocked)
      if (blocked !== undefined) await pause(signal)
    }
  }

  /**
   * Statements that start later see the file as it is at this call or later. A file that other processes write in place
   * cannot have changed while it is open here, so only its identity is looked at again.
   */
  invalidate(): void {
    this.#generation++
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#idleTimer)
    await this.#opening?.catch(() => undefined)
    this.#current?.close()
    for (const instance of this.#retired) instance.close()
    this.#current = undefined
    this.#retired.clear()
  }

  /** One step towards an open current instance; what stands in the way, or undefined to look again. */
  async #step(): Promise<unknown> {
    const current = this.#current
    if (current !== undefined) {
      if (this.#isBurstOver(current)) this.#retire(current)
      else {
        await this.#checkIdentity(current)
        return undefined
      }
    }
    if (this.#now() < this.#gapEndsAtMs) return "closed for a moment so that others can write"
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined
    })
    try {
      await this.#opening
      return undefined
    } catch (cause) {
      if (isLockConflict(cause) || cause === stillDraining) return cause
      throw cause instanceof GatewayError ? cause : openFailure(cause)
    }
  }

  #isBurstOver(current: OpenedInstance): boolean {
    const { mode, burstMsMax } = this.#options
    return mode === "burst" && this.#now() - current.openedAtMs >= burstMsMax
  }

  async #checkIdentity(current: OpenedInstance): Promise<void> {
    if (current.identity === undefined) return
    const nowMs = this.#now()
    const generation = this.#generation
    const isDoubted = current.checkedGeneration < generation
    if (!isDoubted && nowMs - current.identityCheckedAtMs < identityCheckMs) return
    const found = await identityOf(this.#options.path).catch(() => undefined)
    // A file that has gone for a moment is being replaced: what is open stays true until the new one is there.
    if (found === undefined) return
    if (isSame(found, current.identity)) {
      current.identityCheckedAtMs = nowMs
      current.checkedGeneration = generation
      return
    }
    if (this.#current === current) this.#retire(current)
  }

  async #open(): Promise<void> {
    const { path } = this.#options
    const generation = this.#generation
    let identity: FileIdentity | undefined
    if (!this.#isMemory) {
      identity = await identityOf(path)
      for (const instance of this.#retired) {
        const retired = instance.identity
        if (retired?.inode === identity.inode && retired.device === identity.device) {
          throw stillDraining
        }
      }
    }
    const instance = await DuckDBInstance.create(path, instanceConfig(this.#options))
    const opened = new OpenedInstance(instance, identity, this.#now(), generation)
    if (this.#isClosed) opened.close()
    else this.#current = opened
  }

  #use(instance: OpenedInstance): InstanceUse {
    clearTimeout(this.#idleTimer)
    instance.uses++
    return new InstanceUse(instance, (used) => {
      used.uses--
      if (used.uses > 0) return
      if (used.isRetired) this.#closeRetired(used)
      else this.#closeWhenIdle(used)
    })
  }

  #closeWhenIdle(instance: OpenedInstance): void {
    if (this.#options.mode === "owned" || this.#isMemory || this.#isClosed) return
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => {
      if (instance.uses === 0 && this.#current === instance) {
        this.#current = undefined
        instance.close()
      }
    }, this.#options.idleCloseMs)
    this.#idleTimer.unref()
  }

  #retire(instance: OpenedInstance): void {
    instance.isRetired = true
    this.#current = undefined
    this.#retired.add(instance)
    if (instance.uses === 0) this.#closeRetired(instance)
  }

  #closeRetired(instance: OpenedInstance): void {
    this.#retired.delete(instance)
    instance.close()
    if (this.#isBurstOver(instance)) this.#gapEndsAtMs = this.#now() + this.#options.burstGapMs
  }
}

const stillDraining = new Error("statements on the file's former opening still run")

function closedError(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    message: "the warehouse is being closed",
    safeToRetry: true,
  })
}

async function pause(signal: AbortSignal): Promise<void> {
  await delay(lockPollMs, undefined, { signal }).catch(() => undefined)
  signal.throwIfAborted()
}

async function identityOf(path: string): Promise<FileIdentity> {
  try {
    const found = await stat(path, { bigint: true })
    return {
      device: found.dev,
      inode: found.ino,
      sizeBytes: found.size,
      modifiedNs: found.mtimeNs,
    }
  } catch (cause) {
    throw openFailure(cause)
  }
}

function isSame(left: FileIdentity, right: FileIdentity): boolean {
  return (
    left.inode === right.inode &&
    left.device === right.device &&
    left.modifiedNs === right.modifiedNs &&
    left.sizeBytes === right.sizeBytes
  )
}

/**
 * Settings of every instance. First PostgreSQL's semantics, then what keeps SQL inside the file. `lock_configuration` ends
 * the list: from then on only the session's time zone can be set.
 */
function instanceConfig(options: DuckdbOptions): Record<string, string> {
  const config: Record<string, string> = {
    integer_division: "true",
    default_null_order: "nulls_last_on_asc_first_on_desc",
    preserve_insertion_order: "true",
    enable_external_access: "false",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
    allow_unsigned_extensions: "false",
    allow_persistent_secrets: "false",
  }
  if (options.threads > 0) config["threads"] = String(options.threads)
  if (options.memoryBytesMax > 0) config["memory_limit"] = `${options.memoryBytesMax}B`
  if (options.path !== ":memory:") config["access_mode"] = "READ_ONLY"
  config["allowed_configs"] = "['TimeZone']"
  config["lock_configuration"] = "true"
  return config
}
