import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { isAnalyze, isTextFormat } from "../sql/explain-options.ts"
import { isTellingAttribute, withoutGuarded } from "./catalogue-calls.ts"
import { hiddenNamesMax } from "./catalogue-sight.ts"
import { checkPath, checkRead, functionRefused } from "./check-read.ts"
import type { Governed, GovernedRead } from "./governed-read.ts"
import { Governor } from "./governor.ts"
import { type Refusal, refused } from "./judge.ts"
import { PolicyRefusal } from "./policy-refusal.ts"

/**
 * The statement with every governed relation replaced by what its reader may see of it. What cannot be proven is refused;
 * there is no third way.
 */
export function govern(read: GovernedRead): Governed {
  const { traits, sight, statement } = read
  const forbidden = checkUse(read)
  if (forbidden !== undefined) return forbidden
  const governor = new Governor(read)
  const stopped = governor.addGuestRules()
  if (stopped !== undefined) return stopped
  const asksCatalogue = governor.asksCatalogue(traits)
  const touched = asksCatalogue || traits.relations.some((ref) => governor.touches(ref))
  if (!touched) return { kind: "untouched" }
  if (asksCatalogue && sight !== undefined && sight.hiddenCount > hiddenNamesMax)
    return tooManyHidden()
  const unexplained = statement.class.kind === "read" ? undefined : checkExplain(read)
  if (unexplained !== undefined) return unexplained
  try {
    const query = governor.clients(statement)
    if (query === undefined && !governor.mustChange(traits)) return { kind: "untouched" }
    if (traits.usesSystemColumn) return construct("a system column")
    if (query === undefined) return construct("this form of reading it")
    return { kind: "rewritten", query, applied: [...governor.applied].toSorted() }
  } catch (thrown) {
    if (thrown instanceof PolicyRefusal) return thrown.refusal
    if (!(thrown instanceof GatewayError) || thrown.severity === "FATAL") throw thrown
    return refused(SqlState.FeatureNotSupported, thrown.reason, thrown.message, thrown.hint)
  }
}

/** What the reader may not use, whichever relations the statement names. */
function checkUse({
  traits,
  rules,
  sight,
  scope,
  expanded,
  unknown,
}: GovernedRead): Refusal | undefined {
  const { snapshot, searchPath } = scope
  const asked = sight === undefined ? traits : withoutGuarded(traits)
  const found =
    rules === undefined
      ? checkPath({ snapshot, searchPath })
      : checkRead(
          asked,
          { expanded, unknown },
          { snapshot, searchPath, vouched: rules.policies.functions },
        )
  if (found !== undefined) return found
  const telling = sight === undefined ? undefined : traits.attributes.find(isTellingAttribute)
  return telling === undefined ? undefined : functionRefused(telling)
}

/** What an EXPLAIN tells comes from all rows, hidden ones too; with ANALYZE it counts them. */
function checkExplain({ statement, explain }: GovernedRead): Refusal | undefined {
  if (explain === "none")
    return construct(
      "EXPLAIN",
      "The planner's estimates would tell about rows that are hidden from you. A role may be given `explain: coarse`.",
    )
  if (isAnalyze(statement.ast))
    return construct("EXPLAIN ANALYZE", "It would count rows that are hidden from you.")
  if (explain === "coarse" && !isTextFormat(statement.ast))
    return construct("EXPLAIN in this format", "Your role sees one line of text.")
  return undefined
}

function tooManyHidden(): Refusal {
  return refused(
    SqlState.ProgramLimitExceeded,
    "statement_too_complex",
    `more than ${hiddenNamesMax} relations are hidden from you one by one`,
    "Ask the owner of the gateway's configuration to deny schemas in place of relations.",
  )
}

function construct(what: string, hint?: string): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "row_policy_refused",
    `${what} is not allowed on a relation with a row or column policy`,
    hint,
  )
}
