import { setTimeout as sleep } from "node:timers/promises"

const answerMsMax = 60_000

export type Memory = {
  readonly heapUsed: number
  readonly external: number
  readonly arrayBuffers: number
  readonly rss: number
}

/** Asks a Node process that was started with `--inspect` what it holds, after its garbage was collected. */
export class Inspector implements Disposable {
  readonly #socket: WebSocket
  #id = 0

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  static async open(port: number): Promise<Inspector> {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`)
    const [target] = (await response.json()) as { webSocketDebuggerUrl: string }[]
    if (target === undefined) throw new Error("the process has nothing to inspect")
    const socket = new WebSocket(target.webSocketDebuggerUrl)
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve)
      socket.addEventListener("error", reject)
    })
    return new Inspector(socket)
  }

  async #call(method: string, params: object = {}): Promise<unknown> {
    this.#id += 1
    const id = this.#id
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const timer = setTimeout(() => reject(new Error(`${method} had no answer`)), answerMsMax)
    const onMessage = (event: MessageEvent): void => {
      const message = JSON.parse(String(event.data)) as { id?: number; result?: unknown }
      if (message.id === id) resolve(message.result)
    }
    this.#socket.addEventListener("message", onMessage)
    this.#socket.send(JSON.stringify({ id, method, params }))
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#socket.removeEventListener("message", onMessage)
    }
  }

  async memory(): Promise<Memory> {
    // Twice, because finalisers of the first round free more, with time for the kernel's own bookkeeping.
    for (let round = 0; round < 2; round += 1) {
      await this.#call("HeapProfiler.collectGarbage")
      await sleep(500)
    }
    const answer = (await this.#call("Runtime.evaluate", {
      expression: "process.memoryUsage()",
      returnByValue: true,
    })) as { result: { value: Memory } }
    return answer.result.value
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}
