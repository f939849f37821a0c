import { deepEqual, equal, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Ajv2020 } from "ajv/dist/2020.js"
import { pathTable } from "../../../src/control/allowed-methods.ts"
import { openapi } from "../../../src/control/openapi.ts"
import type { Reload } from "../../../src/control/options.ts"
import { relationName } from "../../../src/core/relation.ts"
import { Harness, tokens } from "./harness.ts"

type Operation = {
  readonly "x-scope"?: string
  readonly responses: Record<string, { content?: Record<string, { schema: { $ref?: string } }> }>
}
const paths: Record<string, Record<string, Operation>> = JSON.parse(JSON.stringify(openapi.paths))

const ajv = new Ajv2020({ strict: false, formats: { "date-time": true } })
ajv.addSchema({ ...openapi, $id: "sluice" })

function schemaOf(name: string) {
  const validate = ajv.getSchema(`sluice#/components/schemas/${name}`)
  if (validate === undefined) throw new Error(`no schema ${name}`)
  return validate
}

function complaints(name: string, value: unknown): readonly string[] {
  const validate = schemaOf(name)
  return validate(value) ? [] : (validate.errors ?? []).map((e) => `${e.instancePath} ${e.message}`)
}

describe("the OpenAPI document", () => {
  it("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(openapi)))
    deepEqual(errors ?? [], [])
    ok(valid)
  })

  it("is served to anybody, as it is", async () => {
    const { status, json } = await new Harness().call("GET", "/v1/openapi.json")
    equal(status, 200)
    deepEqual(json, JSON.parse(JSON.stringify(openapi)))
  })

  it("has exactly the paths and methods that are served", () => {
    const documented = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const served = pathTable.flatMap(({ path, methods }) => {
      const names = Object.keys(paths).filter((name) => path.test(name.replace("{id}", "inv_1")))
      ok(names.length > 0, `${path} is not documented`)
      return methods
        .filter((method) => method !== "HEAD")
        .flatMap((method) => names.map((name) => `${method} ${name}`))
    })
    deepEqual(documented.toSorted(), served.toSorted())
  })

  for (const [path, operations] of Object.entries(paths))
    for (const [method, operation] of Object.entries(operations))
      it(`names the scope of ${method} ${path}`, async () => {
        const scope = operation["x-scope"]
        const url = path.replace("{id}", "inv_1")
        const verb = method.toUpperCase() as "GET" | "POST"
        const anybody = await new Harness().call(verb, url)
        equal(anybody.status === 401, scope !== undefined)
        if (scope === undefined) return
        for (const [held, token] of Object.entries(tokens)) {
          const { status } = await new Harness().call(verb, url, { token })
          equal(status !== 403, held === scope || held === "admin", `${held} for ${scope}`)
        }
      })
})

describe("answers fit the document", () => {
  const requests: readonly unknown[] = [
    { items: [{ relation: "marts.daily" }] },
    { items: [{ relation: "marts.daily" }], mode: "soft", max_stale_seconds: 60 },
    { items: [{ tag: "finance" }, { schema: "marts" }, { glob: "marts.*" }], wait: "none" },
    {
      items: [{ relation: "marts.daily" }],
      mode: "hard",
      dry_run: true,
      timeout_seconds: 0.5,
      source: { kind: "airflow", job: "dag.task", run_id: "r1" },
      warehouse: "mart",
      warm: false,
    },
  ]
  for (const body of requests)
    it(`takes ${JSON.stringify(body)}, and the document does`, async () => {
      const harness = new Harness()
      deepEqual(complaints("InvalidationRequest", body), [])
      const { status, json } = await harness.invalidate(body)
      equal(status, 200)
      deepEqual(complaints("Invalidation", json), [])
    })

  const wrong: readonly unknown[] = [
    {},
    { items: [] },
    { items: [{}] },
    { items: [{ relation: "a.b", schema: "a" }] },
    { items: [{ relation: "" }] },
    { items: [{ relation: "a.b" }], wait: "all" },
    { items: [{ relation: "a.b" }], mode: "lazy" },
    { items: [{ relation: "a.b" }], mode: "soft", max_stale_seconds: 0 },
    { items: [{ relation: "a.b" }], warm: true },
    { items: [{ relation: "a.b" }], timeout_seconds: 61 },
    { items: [{ relation: "a.b" }], source: {}, unknown: 1 },
  ]
  for (const body of wrong)
    it(`refuses ${JSON.stringify(body)}, and the document does`, async () => {
      const { status, json } = await new Harness().invalidate(body)
      equal(status, 400)
      deepEqual(complaints("Problem", json), [])
      ok(complaints("InvalidationRequest", body).length > 0)
    })

  it("tells what became of a reload as documented", async () => {
    const harness = new Harness()
    const reloads: readonly [Reload, string][] = [
      [{ kind: "none" }, "Reload"],
      [{ kind: "changed", version: "0a", relations: 1 }, "Reload"],
      [{ kind: "failed", message: "m", problems: ["p.yaml:1:1: a: b", "more"] }, "Problem"],
    ]
    for (const [reload, schema] of reloads) {
      harness.reload = reload
      const { json } = await harness.call("POST", "/-/reload", { token: tokens.admin })
      deepEqual(complaints(schema, json), [])
    }
  })

  it("gives lists, status, health and problems as documented", async () => {
    const harness = new Harness()
    await harness.invalidate({ items: [{ relation: "marts.daily" }] })
    harness.invalidator.freshness.push({
      relation: relationName("marts", "daily"),
      invalidatedAt: "2026-08-20T10:00:00.000Z",
      id: "inv_1",
      source: { kind: "dbt", job: undefined, runId: "7" },
      entriesThen: 3,
      entriesNow: 0,
    })
    const cases: readonly (readonly [string, string, number])[] = [
      ["/v1/invalidations", "Invalidations", 200],
      ["/v1/invalidations/inv_1", "Invalidation", 200],
      ["/v1/invalidations/none", "Problem", 404],
      ["/v1/relations", "Relations", 200],
      ["/v1/relations?limit=0", "Problem", 400],
      ["/v1/status", "Status", 200],
      ["/livez", "Health", 200],
      ["/startupz", "Health", 200],
      ["/readyz?verbose", "Readiness", 200],
    ]
    for (const [url, schema, expected] of cases) {
      const { status, json } = await harness.call("GET", url, { token: tokens.admin })
      equal(status, expected, url)
      deepEqual(complaints(schema, json), [], url)
    }
  })
})
