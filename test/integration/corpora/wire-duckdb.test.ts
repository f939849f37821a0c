import { deepEqual, equal, ok } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { before, describe, it } from "node:test"
import { unreachable } from "../../../src/core/errors.ts"
import { keepFile, keepSection } from "./markers.ts"
import { type WireStatement, wireCorpus } from "./wire-corpus.ts"
import { askDuckdb, type DuckdbAnswer } from "./wire-duckdb.ts"
import { cancelledStatement } from "./wire-sessions.ts"

const recordedFile = new URL("../../corpora/wire_duckdb_answers.json", import.meta.url)
const document = new URL("../../../docs/compatibility-duckdb.md", import.meta.url)
const corpus = wireCorpus()

function recorded(): Readonly<Record<string, DuckdbAnswer>> {
  return JSON.parse(readFileSync(recordedFile, "utf8")) as Record<string, DuckdbAnswer>
}

/** The reasons that somebody wrote by hand stay with answers that are still of their kind. */
function withReason(id: string, answer: DuckdbAnswer): DuckdbAnswer {
  const old = recorded()[id]
  return "why" in answer && old !== undefined && "why" in old ? { ...answer, why: old.why } : answer
}

function typesText(types: readonly string[]): string {
  return types.length === 0 ? "" : ` Types: ${types.join(", ")}.`
}

function answerText(answer: DuckdbAnswer): string {
  switch (answer.kind) {
    case "same":
      return "as PostgreSQL"
    case "moving":
      return "as PostgreSQL; the value moves by itself"
    case "other types":
      return `the same rows. ${typesText(answer.types).trim()}`
    case "other rows":
      return `other rows: ${answer.why}${typesText(answer.types)}`
    case "other columns":
      return `columns ${answer.columns}: ${answer.why}`
    case "refused":
      return `refused, ${answer.sqlState} ${answer.reason === "" ? "of DuckDB's" : `\`${answer.reason}\``}: ${answer.message}`
    case "senseless":
      return answer.what
    default:
      return unreachable(answer)
  }
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ")

function origin({ origin: text }: WireStatement): string {
  return cell(text.length > 90 ? `${text.slice(0, 87)}...` : text)
}

const summaries: readonly (readonly [title: string, kinds: readonly DuckdbAnswer["kind"][]])[] = [
  ["answered as PostgreSQL answers, columns, types and rows", ["same", "moving"]],
  ["the same rows; a column has another type", ["other types"]],
  ["answered otherwise, for the reason in the list", ["other rows", "other columns"]],
  ["refused with a reason", ["refused"]],
]

function documentText(answers: ReadonlyMap<string, DuckdbAnswer>): string {
  const counts = summaries.map(([title, kinds]) => {
    const count = [...answers.values()].filter(({ kind }) => kinds.includes(kind)).length
    return `| ${count} | ${title} |`
  })
  const list = [...answers].map(([id, answer]) => {
    const statement = corpus.get(id)
    return `| ${id} | ${statement === undefined ? "" : origin(statement)} | ${cell(answerText(answer))} |`
  })
  return [
    "| statements | what |",
    "| ---: | --- |",
    ...counts,
    "",
    "| | sent by | answer |",
    "| --- | --- | --- |",
    ...list,
  ].join("\n")
}

describe("statements of BI clients, on DuckDB beside PostgreSQL with the same rows", () => {
  let answers: ReadonlyMap<string, DuckdbAnswer> = new Map()
  before(async () => {
    const found = await askDuckdb()
    answers = new Map(
      [...found]
        .toSorted(([one], [other]) => one.localeCompare(other))
        .map(([id, answer]) => [id, withReason(id, answer)]),
    )
  })

  it("are all asked, but for the one that is cancelled", () => {
    deepEqual(
      [...corpus.keys()].filter((id) => !answers.has(id)),
      [cancelledStatement],
    )
  })

  it("are answered, or refused with an error that names its reason", () => {
    const bad = [...answers].filter(([, { kind }]) => kind === "senseless")
    deepEqual(bad, [])
    for (const [id, answer] of answers)
      if (answer.kind === "refused") {
        ok(answer.message.length > 0, id)
        ok(answer.reason !== "" || /^(0A|42)/.test(answer.sqlState), id)
      }
  })

  it("give other rows or columns only for a reason that somebody wrote down", () => {
    const unexplained = [...answers].filter(([, answer]) => "why" in answer && answer.why === "")
    deepEqual(
      unexplained.map(([id]) => id),
      [],
    )
  })

  it("give what is recorded, and the list in the documentation is the same", () => {
    keepFile(recordedFile, `${JSON.stringify(Object.fromEntries(answers), undefined, 1)}\n`)
    keepSection(document, "wire-corpus", documentText(answers))
    equal(Object.keys(recorded()).length, answers.size)
  })
})
