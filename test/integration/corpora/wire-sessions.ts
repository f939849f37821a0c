/**
 * The wire corpus as conversations: which statements one connection sends, and in which order (read from the corpus's
 * origins: one origin names all flows in which a statement was seen). A step is one statement, or several that a driver
 * pipelines before one Sync.
 */
export type Step = string | readonly string[]

export type WireSession = {
  readonly title: string
  readonly as: "reader" | "writer"
  readonly steps: readonly Step[]
}

/** `W015` to `W034`, both included. */
function range(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => id(from + index))
}

function id(number: number): string {
  return `W${String(number).padStart(3, "0")}`
}

const [begin, rollback, commit] = ["W001", "W003", "W047"]

/** What psycopg2 and SQLAlchemy 1.4 ask on every new connection: 3 + 6 statements of the 17 turns of one chart. */
const preamble: readonly string[] = [
  begin,
  "W002",
  rollback,
  begin,
  "W004",
  "W005",
  "W006",
  "W007",
  rollback,
]

function superset(
  title: string,
  steps: readonly Step[],
  end: string = rollback,
  as: WireSession["as"] = "reader",
): WireSession {
  return { title, as, steps: [...preamble, begin, ...steps, end] }
}

const searchPath = "W009"

const recorded: readonly WireSession[] = [
  superset("connection test", ["W008"]),
  superset("chart with a prequery", [searchPath, "W010"]),
  superset("SQL Lab", [searchPath, "W011", "W012"]),
  superset("SQL Lab cancel", ["W013"]),
  superset("an error, then the end", ["W014"]),
  superset("inspector, SQLAlchemy 1.4", range(15, 34)),
  superset("autoload, SQLAlchemy 1.4", ["W021", ...range(22, 32), ...range(35, 43)]),
  superset("values of a column", ["W044"]),
  superset("cost estimate", [searchPath, "W045"]),
  superset("create table as", ["W046"], commit, "writer"),
  { title: "autocommit", as: "reader", steps: [...preamble, "W048"] },
  superset("streamed results", ["W049", "W050", "W051", "W052"]),
  superset("upload, one INSERT", ["W053", "W054", "W055"], commit, "writer"),
  superset("upload by COPY", ["W053", "W060"], commit, "writer"),
  superset("several statements in one Query", ["W056"]),
  superset("named cursor", ["W057", "W058", "W059"]),
  superset("date style and settings", ["W061", "W062"]),
  superset("settings that do not exist", ["W063"]),
  superset("inspector, SQLAlchemy 2.0", range(64, 81)),
  superset("autoload, SQLAlchemy 2.0", [...range(70, 79), ...range(82, 89)]),
  superset("insertmanyvalues, SQLAlchemy 2.0", ["W090", "W091", "W092"], commit, "writer"),
]

const cursorSteps = range(155, 158)
const written = ["W147", "W148"]
const generated: readonly WireSession[] = [
  ...range(93, 162)
    .filter((name) => !cursorSteps.includes(name) && !written.includes(name))
    .map((name) => superset(name, ["W152", name])),
  superset("streaming export", cursorSteps),
  ...written.map((name) => superset(name, [name], commit, "writer")),
]

const drivers: readonly WireSession[] = [
  { title: "psycopg 3", as: "reader", steps: ["W163", "W048", ...range(164, 170)] },
  { title: "asyncpg", as: "reader", steps: range(171, 176) },
  {
    title: "pgjdbc in Metabase's manner",
    as: "reader",
    steps: ["W177", "W178", ["W179", "W180"], "W181"],
  },
  { title: "pgjdbc DatabaseMetaData", as: "reader", steps: range(182, 194) },
  { title: "pgjdbc in simple mode", as: "reader", steps: range(196, 198) },
  { title: "Npgsql", as: "reader", steps: ["W199", "W200", "W207"] },
  { title: "psqlODBC", as: "reader", steps: ["W203", "W201", "W202"] },
  { title: "Tableau's temporary table", as: "writer", steps: ["W204"] },
  { title: "Grafana", as: "reader", steps: ["W205", "W206"] },
]

export const wireSessions: readonly WireSession[] = [...recorded, ...generated, ...drivers]

/** Compared in a test of its own, because a second connection takes part. */
export const cancelledStatement = "W195"
