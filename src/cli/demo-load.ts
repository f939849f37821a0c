import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { demoRelation, materialiseDailyRevenue } from "./demo-mart.ts"
import type { Terminal } from "./terminal.ts"

export type DemoLoadOptions = { readonly dataDir: string; readonly controlPort: number }

/**
 * `sluice demo-load`: what a nightly job does to the demo's mart, from a process of its own. The gateway goes on answering
 * from its cache until it is told, which the printed command does. Gives the exit code.
 */
export async function demoLoadCommand(
  options: DemoLoadOptions,
  terminal: Terminal,
): Promise<number> {
  const folder = resolve(options.dataDir)
  const file = join(folder, "demo.duckdb")
  if (!existsSync(file))
    throw new GatewayError({
      sqlState: SqlState.ObjectNotInPrerequisiteState,
      reason: "not_found",
      message: `there is no demo mart in ${folder}`,
      hint: "Start the demo first: npm start.",
    })
  await materialiseDailyRevenue(file)
  const { token } = JSON.parse(readFileSync(join(folder, "demo-credentials.json"), "utf8")) as {
    readonly token: string
  }
  terminal.output.write(`${demoRelation} was rebuilt with new sales of its last day.
Answers stay as they were until the gateway is told:

  curl -sS -X POST http://127.0.0.1:${options.controlPort}/v1/invalidations \\
    -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\
    -d '{"items":[{"relation":"${demoRelation}"}]}'
`)
  return 0
}
