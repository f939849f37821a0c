import type { Configuration } from "../config/configuration.ts"
import { loadConfiguration } from "../config/load.ts"
import { nearestName } from "../config/nearest-name.ts"
import { pathText } from "../config/problems.ts"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { lintCatalogue } from "../policy/lint/catalogue.ts"
import { lintConstants } from "../policy/lint/constants.ts"
import type { Finding, KnownUser, Level, LintSubject } from "../policy/lint/finding.ts"
import { lintReaders } from "../policy/lint/readers.ts"
import { loadParser } from "../sql/parser.ts"
import type { BuiltWarehouse } from "./build-warehouse.ts"
import { type LoadedPolicies, loadPolicies, rolePolicies } from "./policies.ts"
import { lintEngine } from "./policy-lint-engine.ts"
import { Progress } from "./progress.ts"
import { shownPath } from "./shown-path.ts"
import type { Terminal } from "./terminal.ts"
import { Workbench } from "./workbench.ts"

export type PolicyLintOptions = {
  readonly config: string
  /** Asks no warehouse: only roles, claims and constants are checked. */
  readonly offline: boolean
  /** The least level that makes the exit code 1. */
  readonly failOn: Level
  readonly json: boolean
}

type LocatedFinding = Finding & { readonly line: number; readonly column: number }

/**
 * `sluice policy lint`: what a file of policies says that can hardly be meant, with its place. Gives the exit code: 0 when nothing
 * of level `failOn` or worse was found. Throws as the readers of the configuration and the policies do, and when a warehouse
 * cannot be reached.
 */
export async function policyLintCommand(
  options: PolicyLintOptions,
  terminal: Terminal,
): Promise<number> {
  const configuration = loadConfiguration(options.config, process.env)
  await loadParser()
  const loaded = loadPolicies(configuration)
  if (loaded === undefined)
    throw new GatewayError({
      sqlState: SqlState.InvalidParameterValue,
      reason: "invalid_configuration",
      message: "the configuration has no policies",
      hint: "Name a file with policiesFile, or write them under policies.",
    })
  const subject = subjectOf(configuration, loaded)
  const findings = [...lintReaders(subject), ...lintConstants(subject)]
  if (!options.offline) findings.push(...(await lintWarehouses(configuration, subject, terminal)))
  const located = findings.map((finding) => placed(finding, loaded)).toSorted(inFileOrder)
  terminal.output.write(
    options.json ? asJson(located, loaded) : asText(located, loaded, subject.keys.length),
  )
  return located.some(({ level }) => rank[level] >= rank[options.failOn]) ? 1 : 0
}

const rank: Readonly<Record<Level, number>> = { info: 0, warning: 1, error: 2 }

function subjectOf(configuration: Configuration, { file, policies }: LoadedPolicies): LintSubject {
  return {
    policies,
    keys: Object.keys(file.policies.relations),
    roles: rolePolicies(configuration),
    users: knownUsers(configuration),
    hasUnknownUsers: configuration.identity !== undefined,
    nearest: nearestName,
  }
}

/** Users of the configuration, and those whom a trusted account may name with roles of their own. */
function knownUsers({ users }: Configuration): readonly KnownUser[] {
  return Object.entries(users).flatMap(([name, { roles, claims, userRoles }]) => [
    { name, roles, claims },
    ...Object.entries(userRoles ?? {}).map(([own, ownRoles]) => ({
      name: own,
      roles: ownRoles,
      claims,
    })),
  ])
}

async function lintWarehouses(
  configuration: Configuration,
  subject: LintSubject,
  terminal: Terminal,
): Promise<readonly Finding[]> {
  const workbench = await Workbench.open(configuration)
  try {
    const { warehouses } = workbench.built
    const progress = new Progress(terminal, "relations", subject.keys.length)
    const perWarehouse: (readonly Finding[])[] = []
    for (const warehouse of warehouses)
      perWarehouse.push(await lintWarehouse(workbench, warehouse, subject, progress))
    progress.end()
    return united(perWarehouse, warehouses)
  } finally {
    await workbench.close()
  }
}

const isUnknown = ({ code }: Finding): boolean => code === "relation_unknown"
const place = ({ path }: Finding): string => JSON.stringify(path)

async function lintWarehouse(
  workbench: Workbench,
  { rooms, warehouse }: BuiltWarehouse,
  subject: LintSubject,
  progress: Progress,
): Promise<readonly Finding[]> {
  const known = await rooms.catalog.refreshNow()
  const schemas = new Set(subject.policies.relations.map(({ schema }) => schema))
  const beside = [...known.relations.values()].filter(({ schema }) => schemas.has(schema))
  const { signal } = new AbortController()
  const { lease } = await rooms.router.lease({ signal })
  let snapshot = known
  {
    using held = lease
    const interest = [...subject.policies.interest, ...beside]
    snapshot = await warehouse.readCatalog(held.connection, signal, interest)
  }
  const settings = workbench.settings(rooms)
  const onDone = (done: number): void => progress.done(done)
  const named = lintCatalogue(subject, snapshot)
  const told = new Set(named.map(place))
  const engine = await lintEngine({ subject, snapshot, rooms, settings, onDone })
  // A name that is not there is told once, in our words.
  return [...named, ...engine.filter((one) => one.level !== "error" || !told.has(place(one)))]
}

/** Of several warehouses each has relations of its own: only what none of them has is unknown. */
function united(
  perWarehouse: readonly (readonly Finding[])[],
  warehouses: readonly BuiltWarehouse[],
): readonly Finding[] {
  const [first = [], ...others] = perWarehouse
  const nowhere = first.filter(
    (finding) =>
      isUnknown(finding) &&
      others.every((list) =>
        list.some((other) => isUnknown(other) && place(other) === place(finding)),
      ),
  )
  const rest = perWarehouse.flatMap((list, index) => {
    const name = warehouses[index]?.rooms.warehouse ?? ""
    const prefix = warehouses.length === 1 ? "" : `${name}: `
    return list
      .filter((finding) => !isUnknown(finding))
      .map((finding) => ({ ...finding, message: `${prefix}${finding.message}` }))
  })
  return [...nowhere, ...rest]
}

function placed(finding: Finding, { file }: LoadedPolicies): LocatedFinding {
  const at = file.positionOf([...file.section, ...finding.path])
  return { ...finding, line: at?.line ?? 1, column: at?.column ?? 1 }
}

function inFileOrder(a: LocatedFinding, b: LocatedFinding): number {
  return a.line - b.line || a.column - b.column || rank[b.level] - rank[a.level]
}

function count(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length
}

function asJson(findings: readonly LocatedFinding[], { file }: LoadedPolicies): string {
  const shown = findings.map(({ level, code, path, line, column, message }) => ({
    level,
    code,
    file: shownPath(file.path),
    line,
    column,
    path: pathText([...file.section, ...path]),
    message,
  }))
  const totals = {
    errors: count(findings, "error"),
    warnings: count(findings, "warning"),
    infos: count(findings, "info"),
  }
  return `${JSON.stringify({ ...totals, findings: shown }, null, 2)}\n`
}

function asText(
  findings: readonly LocatedFinding[],
  { file }: LoadedPolicies,
  relations: number,
): string {
  const lines = findings.map(({ level, code, path, line, column, message }) => {
    const where = `${shownPath(file.path)}:${line}:${column}`
    return `${where}: ${level} ${code}: ${pathText([...file.section, ...path])}: ${message}\n`
  })
  const number = (level: Level, word: string): string => {
    const found = count(findings, level)
    return `${found} ${word}${found === 1 ? "" : "s"}`
  }
  const totals = [number("error", "error"), number("warning", "warning"), number("info", "remark")]
  const subject = relations === 1 ? "1 relation" : `${relations} relations`
  return `${lines.join("")}policies for ${subject}: ${totals.join(", ")}\n`
}
