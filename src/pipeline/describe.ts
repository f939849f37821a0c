import type { StatementDescription } from "../core/result.ts"
import { emitUnchanged } from "../sql/emit.ts"
import { inClientsTerms } from "./client-errors.ts"
import { checkParameterTypes } from "./naming-parameters.ts"
import { needsNewCatalog, planFor } from "./plan.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import { refusal } from "./refusal.ts"
import type { Rooms } from "./rooms.ts"
import { adapt, routeOptions } from "./run.ts"
import { describeOnCatalogue } from "./run-on-catalogue.ts"
import { withClaims } from "./with-claims.ts"

/**
 * Parameter and column types of a statement without running it, for Describe. Judged like a run: who may not read a
 * relation does not learn its columns either.
 */
export function describe(
  question: Question,
  rooms: Rooms,
): StatementDescription | Promise<StatementDescription> {
  const snapshot = rooms.catalog.current()
  if (snapshot === undefined) return describeWithNewCatalog(question, rooms)
  const plan = planFor(question.statement, question, snapshot, rooms)
  if (needsNewCatalog(plan, rooms)) return describeWithNewCatalog(question, rooms)
  if (plan.verdict.kind === "refused") {
    const known = withClaims(question, plan, rooms)
    if (known instanceof Promise) return known.then((ready) => describe(ready, rooms))
    if (known !== undefined) return describe(known, rooms)
    throw refusal(plan.verdict)
  }
  checkParameterTypes(question.parameters.types, plan)
  const id = JSON.stringify([
    plan.place.kind === "catalogue" ? plan.place.visibility.digest : "",
    plan.asked.canonical,
    question.parameters.types,
    question.settings.bytesDigest,
    snapshot.version,
  ])
  const known = rooms.descriptions.get(id)
  if (known !== undefined) return known
  if (plan.place.kind !== "catalogue") return ask(question, plan, id, rooms)
  return describeOnCatalogue(question, plan, plan.place, rooms).then((description) => {
    rooms.descriptions.set(id, description)
    return description
  })
}

async function describeWithNewCatalog(
  question: Question,
  rooms: Rooms,
): Promise<StatementDescription> {
  await rooms.catalog.refreshNow()
  question.abort.throwIfAborted()
  return describe(question, rooms)
}

async function ask(
  question: Question,
  plan: Plan,
  id: string,
  rooms: Rooms,
): Promise<StatementDescription> {
  const { signal } = question.abort
  const emitted = emitUnchanged(plan.asked.statement)
  const { transaction } = question
  const leased =
    transaction?.isPinned === true
      ? await transaction.pin(rooms.router, routeOptions(plan, signal))
      : await rooms.router.lease(routeOptions(plan, signal))
  let sent = emitted
  try {
    sent = adapt(emitted, undefined, leased).statement
    const description = await leased.lease.connection.describe({
      statement: sent,
      parameters: { types: question.parameters.types, formats: [], values: [] },
      resultFormats: [],
      protocol: "extended",
      settings: question.settings,
      statementTimeoutMs: question.statementTimeoutMs,
      signal,
    })
    rooms.descriptions.set(id, description)
    return description
  } catch (thrown) {
    throw inClientsTerms(thrown, sent, question, plan)
  } finally {
    if (transaction?.owns(leased) !== true) leased.lease[Symbol.dispose]()
  }
}
