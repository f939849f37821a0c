import { deepEqual, match, ok } from "node:assert/strict"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { it } from "node:test"
import { parseConfiguration } from "../../../src/config/load.ts"

const read = (path: string): string => readFileSync(path, "utf8")

const documents = [
  ...globSync("*.md"),
  ...globSync("{docs,src,test,bench,config}/**/*.md", {
    exclude: (path) => path.endsWith("node_modules"),
  }),
]

/** Members of an exported union of string literals, from the source itself: a type has no values at run time. */
function membersOf(path: string, union: string): readonly string[] {
  const source = read(path).replaceAll(/\/\/.*$/gm, "")
  const [, body = ""] = new RegExp(`export type ${union} =([^=]*?)\\n\\n`).exec(source) ?? []
  return [...body.matchAll(/\|\s*"([a-z0-9_]+)"/g)].map(([, name = ""]) => name)
}

/** Names that stand first in a row of a table of one section. */
function rowsOf(text: string, headings: readonly string[]): ReadonlySet<string> {
  const sections = text
    .split(/^## /m)
    .filter((section) => headings.some((h) => section.startsWith(h)))
  return new Set(
    sections.flatMap((section) =>
      [...section.matchAll(/^\| `([a-z0-9_]+)` *\|/gm)].map(([, name = ""]) => name),
    ),
  )
}

const unions = [
  { path: "src/core/errors.ts", union: "ErrorReason", heading: "Errors" },
  { path: "src/core/observation.ts", union: "BypassReason", heading: "Why a statement bypassed" },
  { path: "src/core/observation.ts", union: "FillSkipReason", heading: "Why a result was not" },
]

for (const { path, union, heading } of unions)
  it(`docs/ERRORS.md explains every ${union} and no other`, () => {
    const members = membersOf(path, union)
    ok(members.length >= 5, `${union} was not found in ${path}`)
    deepEqual([...rowsOf(read("docs/ERRORS.md"), [heading])].toSorted(), members.toSorted())
  })

it("docs/ERRORS.md lists every setting that a session may change", () => {
  const source = read("src/session/setting-table.ts")
  const table = source.slice(source.indexOf("const rules"), source.indexOf("const byName"))
  const called = [...table.matchAll(/(?:rule|boolean|duration|fixed)\("([\w.]+)"/g)]
  const listed = [...table.matchAll(/\[((?:"[a-z_]+",? ?)+)\]\.map\(/g)].flatMap(
    ([, names = ""]) => [...names.matchAll(/"([a-z_]+)"/g)],
  )
  const settings = [...called, ...listed].map(([, name = ""]) => name)
  ok(settings.length >= 20, "the setting table is not read as it is written")
  const section = read("docs/ERRORS.md")
    .split(/^## /m)
    .find((text) => text.startsWith("Settings a"))
  const missing = settings.filter((name) => section?.includes(`\`${name}\``) !== true)
  deepEqual(missing, [])
})

/** Headings as the anchors that code hosting sites make of them. */
function anchorsOf(path: string): ReadonlySet<string> {
  const headings = [...read(path).matchAll(/^#{1,6} (.+)$/gm)].map(([, heading = ""]) => heading)
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  )
}

function brokenLinks(path: string): readonly string[] {
  const text = read(path)
    .replaceAll(/```[\s\S]*?```/g, "")
    .replaceAll(/`[^`\n]*`/g, "")
  const targets = [...text.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = ""]) => target)
  return targets.filter((target) => {
    if (/^[a-z]+:/.test(target)) return false
    const [file = "", anchor] = target.split("#")
    const found = file === "" ? path : join(dirname(path), file)
    if (!existsSync(found)) return true
    return anchor !== undefined && found.endsWith(".md") && !anchorsOf(found).has(anchor)
  })
}

it("every relative link in a document leads somewhere", () => {
  ok(documents.length > 20)
  const broken = documents.flatMap((path) => brokenLinks(path).map((link) => `${path}: ${link}`))
  deepEqual(broken, [])
})

it("the README begins with the two commands, and every npm script it or another document names exists", () => {
  const readme = read("README.md")
  match(readme, /^npm ci && npm start$/m)
  match(readme, /^npm ci && npm test$/m)
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> }
  const named = documents.flatMap((path) => [
    ...[...read(path).matchAll(/\bnpm run ([a-z][a-z:-]*[a-z])/g)].map(([, name = ""]) => name),
    ...[...read(path).matchAll(/\bnpm (start|test)\b/g)].map(([, name = ""]) => name),
  ])
  deepEqual([...new Set(named)].filter((name) => !(name in scripts)).toSorted(), [])
})

it("the README's configuration file is accepted as it stands", () => {
  const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(read("README.md")) ?? []
  const key = Buffer.alloc(32).toString("base64")
  const salt = Buffer.alloc(16).toString("base64")
  const configuration = parseConfiguration(yaml, {
    fileName: "sluice.yaml",
    environment: {
      WAREHOUSE_URI: "postgres://reader:secret@db.example.com:5432/mart?sslmode=verify-full",
      SUPERSET_VERIFIER: `SCRAM-SHA-256$4096:${salt}$${key}:${key}`,
      AIRFLOW_TOKEN_SHA256: "0".repeat(64),
    },
  })
  deepEqual(Object.keys(configuration.warehouses), ["mart"])
  deepEqual(configuration.users["superset"]?.roles, ["analyst"])
})
