import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { InvariantViolation } from "../../../src/core/errors.ts"
import type { RowStream, StatementDescription } from "../../../src/core/result.ts"
import type {
  ServerFacts,
  Warehouse,
  WarehouseConnection,
} from "../../../src/warehouse/warehouse.ts"

/** A connection whose state the test sets; it runs nothing. */
export class ScriptedConnection implements WarehouseConnection {
  readonly number: number
  state: "clean" | "busy" | "dirty" = "clean"
  isClosed = false
  settleCount = 0
  #onSettled: ((state: "clean" | "dirty") => void) | undefined

  constructor(number: number) {
    this.number = number
  }

  settle(): Promise<"clean" | "dirty"> {
    this.settleCount += 1
    return new Promise((resolve) => {
      this.#onSettled = resolve
    })
  }

  finishSettle(state: "clean" | "dirty"): void {
    this.state = state
    this.#onSettled?.(state)
  }

  close(): void {
    this.isClosed = true
  }

  run(): Promise<RowStream> {
    throw new InvariantViolation("a scripted connection runs nothing")
  }

  describe(): Promise<StatementDescription> {
    throw new InvariantViolation("a scripted connection describes nothing")
  }

  beginTransaction(): Promise<void> {
    return Promise.resolve()
  }

  savepoint(): never {
    throw new InvariantViolation("a scripted connection runs nothing")
  }

  endTransaction(): Promise<void> {
    return Promise.resolve()
  }

  position(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  checkSetting(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
}

type Attempt = {
  readonly signal: AbortSignal
  readonly accept: () => ScriptedConnection
  readonly refuse: (error: Error) => void
}

/** Connects when the test says so; with `isOpen` at once. */
export class ScriptedWarehouse implements Warehouse {
  readonly engine = "postgres"
  readonly attempts: Attempt[] = []
  readonly connections: ScriptedConnection[] = []
  isOpen = true

  get serverFacts(): ServerFacts {
    throw new InvariantViolation("a scripted warehouse has no facts")
  }

  connect(signal: AbortSignal): Promise<WarehouseConnection> {
    return new Promise((resolve, reject) => {
      const accept = (): ScriptedConnection => {
        const connection = new ScriptedConnection(this.connections.length)
        this.connections.push(connection)
        resolve(connection)
        return connection
      }
      signal.addEventListener("abort", () => reject(signal.reason as Error))
      if (this.isOpen) accept()
      else this.attempts.push({ signal, accept, refuse: reject })
    })
  }

  readCatalog(): Promise<CatalogSnapshot> {
    throw new InvariantViolation("a scripted warehouse has no catalogue")
  }

  adapt(): undefined {
    return undefined
  }

  onInvalidated(): void {}

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Lets everything that is already resolved run to its end. */
export async function settleMicrotasks(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
}
