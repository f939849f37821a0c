import { InvariantViolation } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream, StatementDescription } from "../core/result.ts"
import type { ShadowQuestion } from "../core/shadow-catalogue.ts"
import type { Emitted } from "../core/statement.ts"
import { emitUnchanged } from "../sql/emit.ts"
import { inClientsTerms } from "./client-errors.ts"
import { Deadline } from "./deadline.ts"
import type { Place } from "./place.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"
import { deadlineOf, emittedOf, limited } from "./run.ts"

type CataloguePlace = Extract<Place, { kind: "catalogue" }>

/** The answer is whole before it is handed on, so that the deadline ends with it. */
export async function runOnCatalogue(
  question: Question,
  plan: Plan,
  place: CataloguePlace,
  rooms: Rooms,
): Promise<{ readonly rows: RowStream; readonly remarks: Remark[] }> {
  const emitted = emittedOf(plan)
  const rows = await asked(question, plan, { place, rooms, emitted }, (shadowQuestion) =>
    shadowOf(rooms).run(shadowQuestion),
  )
  const cut = limited(rows, plan)
  return { rows: cut.rows, remarks: cut.remarks }
}

export async function describeOnCatalogue(
  question: Question,
  plan: Plan,
  place: CataloguePlace,
  rooms: Rooms,
): Promise<StatementDescription> {
  const emitted = emitUnchanged(plan.asked.statement)
  return asked(question, plan, { place, rooms, emitted }, (shadowQuestion) =>
    shadowOf(rooms).describe(shadowQuestion),
  )
}

function shadowOf({ shadow }: Rooms): NonNullable<Rooms["shadow"]> {
  if (shadow !== undefined) return shadow
  throw new InvariantViolation("a statement was sent to a catalogue that is not there")
}

async function asked<Value>(
  question: Question,
  plan: Plan,
  parts: { readonly place: CataloguePlace; readonly rooms: Rooms; readonly emitted: Emitted },
  ask: (shadowQuestion: ShadowQuestion) => Promise<Value>,
): Promise<Value> {
  const { place, rooms, emitted } = parts
  const deadline = new Deadline(deadlineOf(question, plan), question.abort.signal)
  try {
    const snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow(deadline.signal))
    return await ask({
      text: emitted.text,
      parameters: question.parameters,
      resultFormats: question.resultFormats,
      settings: question.settings,
      snapshot,
      visibility: place.visibility,
      user: question.identity.user,
      database: question.database,
      signal: deadline.signal,
    })
  } catch (thrown) {
    throw inClientsTerms(thrown, emitted, question, plan)
  } finally {
    deadline[Symbol.dispose]()
  }
}
