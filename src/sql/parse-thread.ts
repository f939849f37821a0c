import { Worker } from "node:worker_threads"
import { GatewayError, toGatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { PackedStatement } from "./packed-statement.ts"
import { statementTooComplex } from "./parse-errors.ts"
import { unpackError, type WorkerReply } from "./worker-messages.ts"

/** Large texts that may wait for the thread; each holds up to `statementBytesMax`. */
const jobsMax = 32

/** A parse of one megabyte was seen to need 250 MB; beyond this the thread ends and the statement fails. */
const workerHeapMb = 1_024

type Job = {
  readonly text: string
  readonly resolve: (statements: readonly PackedStatement[]) => void
  readonly reject: (error: GatewayError) => void
}

function queueFull(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "queue_full",
    message: "too many large statements are waiting to be parsed",
    hint: "Try again, or send smaller statements.",
    safeToRetry: true,
  })
}

/**
 * One thread that parses texts too large for the event loop, one after the other. A text that takes longer than
 * `waitMsMax` ends the thread (nothing else stops WebAssembly) and fails with 54001; the next job starts a fresh one.
 * The thread is started at first use and never keeps the process alive.
 */
export class ParseThread {
  readonly #waitMsMax: number
  readonly #queue: Job[] = []
  #worker: Worker | undefined
  #running: Job | undefined
  #deadline: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(waitMsMax: number) {
    this.#waitMsMax = waitMsMax
  }

  parse(text: string): Promise<readonly PackedStatement[]> {
    if (this.#isClosed || this.#queue.length >= jobsMax) return Promise.reject(queueFull())
    return new Promise((resolve, reject) => {
      this.#queue.push({ text, resolve, reject })
      this.#next()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const waiting = this.#queue.splice(0)
    const worker = this.#stop()
    for (const job of waiting) job.reject(queueFull())
    await worker?.terminate()
  }

  #next(): void {
    if (this.#running !== undefined) return
    const job = this.#queue.shift()
    if (job === undefined) return
    this.#running = job
    this.#worker ??= this.#start()
    // While a client waits the process must not end for want of other work.
    this.#worker.ref()
    this.#deadline = setTimeout(() => this.#abandon(statementTooComplex()), this.#waitMsMax)
    this.#worker.postMessage(job.text, [])
  }

  #start(): Worker {
    // tsc rewrites import specifiers but not this path: the file beside us has our own extension.
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js"
    const worker = new Worker(new URL(`./parse-worker.${extension}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: workerHeapMb },
    })
    worker.on("message", (reply: WorkerReply) => this.#settle(worker, reply))
    worker.on("error", (thrown: unknown) => {
      if (worker === this.#worker) this.#abandon(this.#failure(thrown))
    })
    return worker
  }

  #failure(thrown: unknown): GatewayError {
    const isMemory = (thrown as { readonly code?: unknown }).code === "ERR_WORKER_OUT_OF_MEMORY"
    return isMemory ? statementTooComplex(thrown) : toGatewayError(thrown)
  }

  #settle(worker: Worker, reply: WorkerReply): void {
    if (worker !== this.#worker) return
    const job = this.#finish()
    worker.unref()
    if (reply.kind === "parsed") job?.resolve(reply.statements)
    else job?.reject(unpackError(reply.error))
    this.#next()
  }

  /** Ends the thread and the job that it was at. */
  #abandon(reason: GatewayError): void {
    const job = this.#running
    const worker = this.#stop()
    job?.reject(reason)
    worker?.terminate().catch(() => undefined)
    this.#next()
  }

  #stop(): Worker | undefined {
    const worker = this.#worker
    this.#worker = undefined
    const job = this.#finish()
    if (this.#isClosed) job?.reject(queueFull())
    return worker
  }

  #finish(): Job | undefined {
    clearTimeout(this.#deadline)
    const job = this.#running
    this.#running = undefined
    return job
  }
}
