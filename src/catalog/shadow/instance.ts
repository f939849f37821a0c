import { Worker } from "node:worker_threads"
import type { CatalogSnapshot } from "../../core/catalog.ts"
import { GatewayError, toGatewayError } from "../../core/errors.ts"
import type { ShadowQuestion, Visibility } from "../../core/shadow-catalogue.ts"
import { SqlState } from "../../core/sql-state.ts"
import { answerTooLarge, unavailable } from "./errors.ts"
import type { MirrorObject, ShadowReady, ShadowReply, ShadowTask } from "./messages.ts"
import { mirrorObjects } from "./mirror-objects.ts"
import type { ShadowStarter } from "./starter.ts"

/** Statements that may wait for one shadow. */
const waitersMax = 200
/** From the spawn of a worker to its first answer; 1.3 s was seen on an idle machine, 18 s on one with a load of 14. */
const startMsMax = 60_000
/** A statement that nobody waits for any more may take this long before its worker is ended. */
const abandonedMsMax = 1_000
/** Beyond any statement's own limit: what holds the only thread of a visibility must end. */
const taskMsMax = 30_000

type TaskBody<Kind extends ShadowTask["kind"]> = Omit<Extract<ShadowTask, { kind: Kind }>, "id">

/**
 * One visibility's shadow: a worker that is started by its first statement. Statements take turns. A worker that hangs or
 * dies takes the statement it was running with it, never another one's answer; the next statement starts a fresh one.
 */
export class ShadowInstance {
  readonly #starter: ShadowStarter
  readonly #onSkipped: (reasons: readonly string[]) => void
  #worker: Promise<Worker> | undefined
  #live: Worker | undefined
  /** What the worker holds, by id. */
  #held: ReadonlyMap<string, MirrorObject> = new Map()
  #heldVersion: string | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #waiters = 0
  #lastTaskId = 0
  #isClosed = false

  constructor(starter: ShadowStarter, onSkipped: (reasons: readonly string[]) => void) {
    this.#starter = starter
    this.#onSkipped = onSkipped
  }

  get isIdle(): boolean {
    return this.#waiters === 0
  }

  /** The bytes that answer `messages`. */
  async ask(question: ShadowQuestion, messages: Buffer): Promise<Buffer> {
    const { signal } = question
    signal.throwIfAborted()
    if (this.#waiters >= waitersMax) throw queueFull()
    this.#waiters += 1
    const work = this.#turn.then(() => this.#perform(question, messages))
    this.#turn = work
      .catch(() => undefined)
      .finally(() => {
        this.#waiters -= 1
      })
    return raceAbort(work, signal)
  }

  /** Starts the worker before anybody asks; rejects when that fails. */
  async warm(): Promise<void> {
    await this.#started()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const worker = this.#worker
    this.#drop()
    await (await worker?.catch(() => undefined))?.terminate()
  }

  async #perform(question: ShadowQuestion, messages: Buffer): Promise<Buffer> {
    question.signal.throwIfAborted()
    const worker = await this.#started()
    await this.#sync(worker, question.snapshot, question.visibility)
    question.signal.throwIfAborted()
    const { settings, user, database, signal } = question
    const reply = await this.#send(
      worker,
      { kind: "ask", messages, user, database, settings: replayed(settings.values) },
      signal,
    )
    if (reply.kind === "oversized") throw answerTooLarge()
    return reply.kind === "answer" ? asBuffer(reply.bytes) : Buffer.alloc(0)
  }

  #started(): Promise<Worker> {
    if (this.#isClosed) throw closed()
    this.#worker ??= this.#spawn()
    return this.#worker
  }

  async #spawn(): Promise<Worker> {
    try {
      const worker = await this.#starter.start(async (start) => {
        // tsc rewrites import specifiers but not this path: the file beside us has our own extension.
        const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
        const spawned = new Worker(new URL(`./worker.${extension}`, import.meta.url), {
          workerData: start,
          name: "shadow-catalogue",
        })
        const { dump } = await firstMessage(spawned)
        return { worker: spawned, dump }
      })
      worker.unref()
      worker.on("error", () => this.#drop(worker))
      worker.on("exit", () => this.#drop(worker))
      this.#live = worker
      return worker
    } catch (thrown) {
      this.#drop()
      throw unavailable(thrown)
    }
  }

  /** Brings the worker to the snapshot: what stayed the same keeps its oid. */
  async #sync(worker: Worker, snapshot: CatalogSnapshot, visibility: Visibility): Promise<void> {
    if (this.#heldVersion === snapshot.version) return
    const objects = mirrorObjects(snapshot, visibility)
    const wanted = new Map(objects.map((object) => [object.id, object]))
    const isSame = (object: MirrorObject): boolean => {
      const other = this.#held.get(object.id)
      return other?.create === object.create && other.extras.join("\0") === object.extras.join("\0")
    }
    const drops = [...this.#held.values()]
      .filter(({ id }) => {
        const object = wanted.get(id)
        return object === undefined || !isSame(object)
      })
      .toReversed()
      .map(({ drop }) => drop)
    const creates = objects.filter((object) => !isSame(object))
    const reply = await this.#send(worker, {
      kind: "sync",
      drops,
      creates: creates.map(({ create, extras }) => ({ create, extras })),
    })
    this.#held = wanted
    this.#heldVersion = snapshot.version
    if (reply.kind === "synced" && reply.skipped.length > 0) this.#onSkipped(reply.skipped)
  }

  /** One task; ends the worker when it takes too long, or longer than a grace after its caller gave up. */
  #send(
    worker: Worker,
    body: TaskBody<"ask"> | TaskBody<"sync">,
    signal?: AbortSignal,
  ): Promise<ShadowReply> {
    this.#lastTaskId += 1
    const id = this.#lastTaskId
    return new Promise((resolve, reject) => {
      const kill = (): void => {
        this.#drop(worker)
        void worker.terminate()
      }
      const total = setTimeout(kill, taskMsMax)
      let grace: NodeJS.Timeout | undefined
      const onAbort = (): void => {
        grace = setTimeout(kill, abandonedMsMax)
      }
      const settle = (): void => {
        clearTimeout(total)
        clearTimeout(grace)
        signal?.removeEventListener("abort", onAbort)
        worker.off("message", onMessage)
        worker.off("exit", onExit)
      }
      const onMessage = (reply: ShadowReply): void => {
        if (reply.id !== id) return
        settle()
        if (reply.kind !== "failed") return resolve(reply)
        // What failed is our own SQL around the statement: the worker's state is in doubt.
        kill()
        reject(unavailable(new Error(reply.message)))
      }
      const onExit = (): void => {
        settle()
        reject(unavailable(new Error("the worker ended")))
      }
      signal?.addEventListener("abort", onAbort, { once: true })
      worker.on("message", onMessage)
      worker.once("exit", onExit)
      worker.postMessage({ ...body, id }, [])
    })
  }

  #drop(worker?: Worker): void {
    if (worker !== undefined && worker !== this.#live) return
    this.#worker = undefined
    this.#live = undefined
    this.#held = new Map()
    this.#heldVersion = undefined
  }
}

/** Settings that PostgreSQL's answer depends on; others of a session belong to the gateway. */
const replayedNames: ReadonlySet<string> = new Set([
  "application_name",
  "bytea_output",
  "datestyle",
  "extra_float_digits",
  "intervalstyle",
  "search_path",
  "timezone",
])

function replayed(
  values: ReadonlyMap<string, string>,
): readonly (readonly [name: string, value: string])[] {
  return [...values].filter(([name]) => replayedNames.has(name))
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function firstMessage(worker: Worker): Promise<ShadowReady> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer)
      worker.off("message", onMessage)
      worker.off("error", onError)
      worker.off("exit", onExit)
    }
    const onMessage = (ready: ShadowReady): void => {
      settle()
      resolve(ready)
    }
    const onError = (error: Error): void => {
      settle()
      reject(error)
    }
    const onExit = (): void => onError(new Error("the worker ended while it started"))
    const timer = setTimeout(() => {
      onError(new Error(`the worker was not ready within ${startMsMax} ms`))
      void worker.terminate()
    }, startMsMax)
    worker.on("message", onMessage)
    worker.on("error", onError)
    worker.on("exit", onExit)
  })
}

function raceAbort<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(toGatewayError(signal.reason))
    signal.addEventListener("abort", onAbort)
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })
}

function queueFull(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "queue_full",
    message: "too many statements are waiting for the catalogue",
    safeToRetry: true,
  })
}

function closed(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    message: "the gateway is shutting down",
    safeToRetry: true,
  })
}
