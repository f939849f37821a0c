import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { PostgresOptions } from "../../test/support/postgres-server.ts"
import type { Target } from "./target.ts"
import { startWarehouse, type Warehouse } from "./warehouse.ts"

const installScript = fileURLToPath(new URL("../../scripts/install-debian.sh", import.meta.url))
const gatewayProgram = fileURLToPath(new URL("../../bin/sluice.cjs", import.meta.url))

/** False in a checkout whose gateway is not built into a program: peers can be measured all the same. */
export const hasGateway = existsSync(gatewayProgram)

/** Everything one bench started, ended in reverse order when the scope ends. */
export class Stack implements AsyncDisposable {
  readonly warehouse: Warehouse
  readonly #targets: Target[] = []
  readonly #names: readonly string[] | undefined

  constructor(warehouse: Warehouse, names: readonly string[] | undefined) {
    this.warehouse = warehouse
    this.#names = names
  }

  static async start(
    packages: readonly string[],
    names: readonly string[] | undefined,
    warehouse: PostgresOptions = {},
  ): Promise<Stack> {
    if (packages.length > 0) execFileSync(installScript, [...packages], { stdio: "inherit" })
    return new Stack(await startWarehouse(warehouse), names)
  }

  /** Whether the command line asks for this target; `pgbouncer session` goes with `pgbouncer`. */
  wants(name: string): boolean {
    return this.#names === undefined || this.#names.includes(name.split(" ")[0] ?? name)
  }

  /** Starts a target unless the command line leaves it out. */
  async add(name: string, start: () => Promise<Target>): Promise<Target | undefined> {
    if (!this.wants(name)) return undefined
    const target = await start()
    this.#targets.push(target)
    return target
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const target of this.#targets.toReversed()) await target.stop()
    await this.warehouse.target.stop()
  }
}
