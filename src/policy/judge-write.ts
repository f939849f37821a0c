import type { RelationName } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { FunctionRef } from "../core/statement.ts"
import { isForbiddenFunction, isOwnSessionFunction } from "./forbidden-functions.ts"
import { isPublicCatalogue, isWithheld, notGranted, refused, type Verdict } from "./judge.ts"
import type { EffectivePolicy } from "./policy.ts"

/** A statement of a session that may write, as sql/ and the catalogue see it. */
export type WriteFindings = {
  /** Command tag, for the messages. */
  readonly command: string
  readonly kind: "data" | "definition" | "session" | "code" | "server"
  /** Everything it names, resolved; names that nothing has yet stand under the schema they would be made in. */
  readonly relations: readonly RelationName[]
  /** With everything that views, partitions and inheritance add. */
  readonly expanded: readonly RelationName[]
  readonly functions: readonly FunctionRef[]
}

/**
 * The decision for a statement that is not a read, when the policy lets its user write. Who may read and write everything
 * is held back only from the server itself; who may not is held to statements that show in their text what they touch.
 */
export function judgeWrite(findings: WriteFindings, policy: EffectivePolicy): Verdict {
  const { command, kind } = findings
  if (!policy.mayWrite)
    return refused(
      SqlState.ReadOnlySqlTransaction,
      "write_on_read_route",
      `cannot execute ${command} in a read-only transaction`,
    )
  if (kind === "server")
    return refused(
      SqlState.InsufficientPrivilege,
      "write_not_allowed",
      `permission denied: ${command} does not pass this gateway`,
      "It reaches beyond the data. Connect to the warehouse directly for it.",
    )
  const forbidden = findings.functions.find(
    ({ name }) => isForbiddenFunction(name) && !isOwnSessionFunction(name),
  )
  if (forbidden !== undefined)
    return refused(
      SqlState.InsufficientPrivilege,
      "function_not_allowed",
      `permission denied for function ${forbidden.name}`,
      "The gateway refuses functions that read data or reach systems past the relations a statement names.",
    )
  const withheld = findings.relations.find((name) => isWithheld(name, policy))
  if (withheld !== undefined) return notGranted(withheld)
  if (policy.allow.matchesEverything && policy.deny.isEmpty) return { kind: "allowed", policy }
  if (kind === "code")
    return refused(
      SqlState.InsufficientPrivilege,
      "write_not_allowed",
      `permission denied: ${command} needs a role that may read and write everything`,
      "What it does is not in its text, so that the rules of this role cannot be held against it.",
    )
  // A view does not launder a denied table: everything it shows is checked against the denials, too.
  const denied =
    findings.expanded.find((name) => policy.deny.matches(name)) ??
    findings.relations.find((name) => !(policy.allow.matches(name) || isPublicCatalogue(name)))
  return denied === undefined ? { kind: "allowed", policy } : notGranted(denied)
}
