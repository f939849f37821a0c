import { deepEqual, equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { PolicyWatch } from "../../../src/cli/policy-watch.ts"
import type { CatalogRelation, CatalogSnapshot } from "../../../src/core/catalog.ts"
import { relationName } from "../../../src/core/relation.ts"
import { createLog } from "../../../src/observe/log.ts"
import { compilePolicies } from "../../../src/policy/compile.ts"
import type { RelationPolicies } from "../../../src/policy/relation-policy.ts"
import { loadParser } from "../../../src/sql/parser.ts"

function snapshotOf(names: readonly string[], columns: readonly string[] = ["a"]): CatalogSnapshot {
  const relations = names.map((relation): CatalogRelation => {
    const name = relationName("s", relation)
    return {
      name,
      schema: "s",
      relation,
      kind: "table",
      dependsOn: [],
      volatileDefinition: false,
      columns,
    }
  })
  return {
    relations: new Map(relations.map((relation) => [relation.name, relation])),
    functions: new Map(),
    implicitSchemas: [],
    foldsCase: false,
    userOperators: new Set(),
    version: names.join(),
  }
}

function policiesFor(names: readonly string[]): RelationPolicies {
  const relation = {
    rowFilters: [],
    unfilteredRoles: [],
    masks: [{ column: "a", mask: "NULL", exceptRoles: [] }],
    deniedColumns: [],
    fence: true,
  }
  const relations = Object.fromEntries(names.map((name) => [`s.${name}`, relation]))
  return compilePolicies({ claims: {}, functions: [], relations }, []).policies
}

function watching(warehouses: readonly string[]) {
  const lines: string[] = []
  const write = (line: string): void => void lines.push(line)
  const watch = new PolicyWatch(warehouses, createLog({ level: "info", format: "json", write }))
  const told = (): readonly string[] =>
    lines.splice(0).map((line) => {
      const { level, message, relations, columns } = JSON.parse(line)
      return `${level} ${message.slice(0, 24)} ${[relations ?? [], columns ?? []].flat().join()}`.trim()
    })
  return { watch, told }
}

describe("what policies name in vain", () => {
  before(loadParser)

  it("is told once, again when it changes, and when it is gone", () => {
    const { watch, told } = watching(["mart"])
    const policies = policiesFor(["t", "u"])
    watch.catalogRead("mart", snapshotOf(["t"]), policies)
    deepEqual(told(), ["warn policies name relations  s.u"])
    equal(watch.unmatchedRelations, 1)
    watch.catalogRead("mart", snapshotOf(["t"]), policies)
    deepEqual(told(), [])
    watch.catalogRead("mart", snapshotOf(["t", "u"]), policies)
    deepEqual(told(), ["info all relations and column"])
    equal(watch.unmatchedRelations, 0)
    watch.catalogRead("mart", snapshotOf(["u"]), policies)
    deepEqual(told(), ["warn policies name relations  s.t"])
  })

  it("is not told while all is there, nor without policies", () => {
    const { watch, told } = watching(["mart"])
    watch.catalogRead("mart", snapshotOf([]), undefined)
    watch.catalogRead("mart", snapshotOf(["t"]), policiesFor(["t"]))
    deepEqual(told(), [])
    equal(watch.unmatchedRelations, 0)
  })

  it("is what none of several warehouses has, and known when all were asked", () => {
    const { watch, told } = watching(["one", "two"])
    const policies = policiesFor(["t", "u", "v"])
    watch.catalogRead("one", snapshotOf(["t"]), policies)
    equal(watch.unmatchedRelations, 0)
    deepEqual(told(), [])
    watch.catalogRead("two", snapshotOf(["u"]), policies)
    deepEqual(told(), ["warn policies name relations  s.v"])
    equal(watch.unmatchedRelations, 1)
  })

  it("tells columns with their warehouse", () => {
    const { watch, told } = watching(["mart"])
    watch.catalogRead("mart", snapshotOf(["t"], ["b"]), policiesFor(["t"]))
    deepEqual(told(), ["warn policies name columns th mart: s.t.a"])
    equal(watch.unmatchedRelations, 0)
  })
})
