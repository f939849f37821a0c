import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { parseConfiguration } from "../config/load.ts"
import { makeVerifier } from "../wire/scram.ts"
import { buildDemoMart, demoQueries, demoRelation } from "./demo-mart.ts"
import { demoPolicyQuery, demoTenantId, keepDemoPolicies } from "./demo-policies.ts"
import { writeReadyFile } from "./ready-file.ts"
import type { StartGateway } from "./running-gateway.ts"
import { shownPath } from "./shown-path.ts"
import type { Terminal } from "./terminal.ts"
import { makeToken } from "./token.ts"
import { untilSignal } from "./until-signal.ts"

export type DemoOptions = {
  readonly port: number
  readonly controlPort: number
  readonly dataDir: string
  readonly reset: boolean
  readonly readyFile?: string
}

const user = "demo"
/** Sees one tenant's rows, and e-mail addresses masked. */
const tenantUser = "ann"
const database = "demo"
const policiesName = "demo-policies.yaml"

/**
 * `sluice demo`: the gateway over an embedded DuckDB with a generated retail mart. Data and credentials are made at the
 * first start and kept in `--data-dir`, so that a saved connection keeps working; `--reset` makes both anew. Gives the exit
 * code.
 */
export async function demoCommand(
  options: DemoOptions,
  start: StartGateway,
  terminal: Terminal,
): Promise<number> {
  const folder = resolve(options.dataDir)
  const file = join(folder, "demo.duckdb")
  if (options.reset)
    for (const name of ["demo.duckdb", "demo.duckdb.wal", "demo-credentials.json", policiesName])
      rmSync(join(folder, name), { force: true })
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(file)) await build(file, terminal)
  keepDemoPolicies(join(folder, policiesName))
  const credentials = loadCredentials(join(folder, "demo-credentials.json"))
  const configuration = parseConfiguration(await demoConfiguration(options, file, credentials), {
    environment: {},
    fileName: join(folder, "demo.yaml"),
  })
  const gateway = await start(configuration)
  const address = `${credentials.password}@127.0.0.1:${gateway.postgresPort}/${database}`
  const postgres = `postgresql://${user}:${address}`
  const tenant = `postgresql://${tenantUser}:${address}`
  const control = `http://127.0.0.1:${gateway.controlPort}`
  terminal.output.write(
    welcome({
      postgres,
      tenant,
      policies: shownPath(join(folder, policiesName)),
      control,
      token: credentials.token,
    }),
  )
  if (options.readyFile !== undefined)
    writeReadyFile(options.readyFile, {
      postgres,
      control,
      token: credentials.token,
      pid: process.pid,
      queries: demoQueries,
      relation: demoRelation,
    })
  // Whoever tries the demo types \d soon; a server waits for the first need instead, and saves the memory.
  void gateway.warmCatalogues()
  await untilSignal()
  terminal.output.write("\nstopping\n")
  await gateway.close()
  return 0
}

async function build(file: string, terminal: Terminal): Promise<void> {
  const startedMs = performance.now()
  const isTerminal = "isTTY" in terminal.messages && terminal.messages.isTTY === true
  await buildDemoMart(file, (progress) => {
    terminal.messages.write(
      isTerminal
        ? `\r\u001b[Kmaking the demo mart: ${progress}`
        : `making the demo mart: ${progress}\n`,
    )
  })
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  terminal.messages.write(
    `${isTerminal ? "\r\u001b[K" : ""}demo mart ready after ${seconds} s: ${file}\n`,
  )
}

type Credentials = { readonly password: string; readonly token: string; readonly sha256: string }

/** No default credentials: each data folder has its own, readable by its owner only. */
function loadCredentials(path: string): Credentials {
  if (existsSync(path)) return JSON.parse(readFileSync(path, "utf8")) as Credentials
  const credentials = { password: randomBytes(18).toString("base64url"), ...makeToken() }
  writeFileSync(path, `${JSON.stringify(credentials, null, 2)}\n`, { mode: 0o600 })
  return credentials
}

async function demoConfiguration(
  options: DemoOptions,
  file: string,
  credentials: Credentials,
): Promise<string> {
  const verifier = await makeVerifier(credentials.password)
  return JSON.stringify({
    listen: { host: "127.0.0.1", port: options.port },
    control: {
      host: "127.0.0.1",
      port: options.controlPort,
      tokens: [
        { name: "demo", sha256: credentials.sha256, scopes: ["invalidate", "read", "metrics"] },
      ],
    },
    warehouses: { [database]: { engine: "duckdb", path: file, mode: "burst" } },
    policiesFile: policiesName,
    roles: {
      analyst: { relations: { allow: ["*"] } },
      tenant: { relations: { allow: ["retail.*", "marts.*"] } },
    },
    users: {
      [user]: { verifier, roles: ["analyst"] },
      [tenantUser]: { verifier, roles: ["tenant"], claims: { tenant_id: demoTenantId } },
    },
    log: { level: "warn", format: "pretty" },
  })
}

function welcome(running: {
  readonly postgres: string
  readonly tenant: string
  readonly policies: string
  readonly control: string
  readonly token: string
}): string {
  const queries = demoQueries.map(
    (query, index) => `  ${index + 1}. ${query.replaceAll("\n", "\n     ")}`,
  )
  return `
Sluice is running.

  PostgreSQL URI   ${running.postgres}
  control          ${running.control}
  token            ${running.token}

Connect with psql or any PostgreSQL client, for example:

  psql "${running.postgres}"

Try these. Ask each one twice, and SHOW sluice.last after each: first a miss, then a hit.

${queries.join("\n\n")}

  SHOW sluice.last;

To see it: change the data from another terminal with

  npx sluice demo-load

and ask query 1 again: still a hit, with the old figures. After a load, the orchestrator tells the gateway, and the next
answer is fresh:

  curl -sS -X POST ${running.control}/v1/invalidations \\
    -H 'Authorization: Bearer ${running.token}' -H 'Content-Type: application/json' \\
    -d '{"items":[{"relation":"${demoRelation}"}]}'

Row-level security: ${tenantUser} sees one tenant's rows, with e-mail addresses masked. Ask as both users, and change the rules in
${running.policies} while this runs:

  psql "${running.tenant}" -c "${demoPolicyQuery}"

Ctrl-C ends it.
`
}
