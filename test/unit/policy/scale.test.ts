import { equal, ok } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { CatalogRelation, CatalogSnapshot } from "../../../src/core/catalog.ts"
import { type RelationName, relationName } from "../../../src/core/relation.ts"
import { compilePolicies, type PoliciesInput } from "../../../src/policy/compile.ts"
import { rulesByRelation, unmatchedIn } from "../../../src/policy/rules-by-relation.ts"
import { loadParser } from "../../../src/sql/parser.ts"

/** Counts what is asked of it: time would depend on the machine. */
class CountingMap extends Map<RelationName, CatalogRelation> {
  asked = 0

  override get(name: RelationName): CatalogRelation | undefined {
    this.asked += 1
    return super.get(name)
  }

  override has(name: RelationName): boolean {
    this.asked += 1
    return super.has(name)
  }

  override values(): MapIterator<CatalogRelation> {
    this.asked += this.size
    return super.values()
  }
}

function snapshotOf(size: number): { relations: CountingMap; snapshot: CatalogSnapshot } {
  const relations = new CountingMap()
  for (let index = 0; index < size; index += 1) {
    const name = relationName("s", `t${index}`)
    const columns = ["id", "org_id", "email"]
    relations.set(name, {
      name,
      schema: "s",
      relation: `t${index}`,
      kind: "table",
      dependsOn: [],
      volatileDefinition: false,
      columns,
    })
  }
  const snapshot = {
    relations,
    functions: new Map(),
    implicitSchemas: ["pg_catalog"],
    foldsCase: false,
    userOperators: new Set<string>(),
    version: String(size),
  }
  return { relations, snapshot }
}

/** The relations' own list of masks counts how often it is walked. */
function inputOf(policies: number): PoliciesInput {
  const relation = {
    rowFilters: [{ name: "own", filter: "org_id = :org_id", kind: "permissive" as const }],
    unfilteredRoles: ["boss"],
    masks: [{ column: "email", mask: "'x'", exceptRoles: ["boss"] }],
    deniedColumns: [],
    fence: true,
  }
  const names = Array.from({ length: policies }, (_, index) => [`s.t${index}`, relation] as const)
  return {
    claims: { org_id: { type: "int8" } },
    functions: [],
    relations: Object.fromEntries(names),
  }
}

const work = (policies: number, relations: number) => {
  const { policies: compiled, problems } = compilePolicies(inputOf(policies), ["boss", "analyst"])
  equal(problems.length, 0)
  const counted = snapshotOf(relations)
  equal(unmatchedIn(compiled, counted.snapshot).relations.length, 0)
  const matching = counted.relations.asked
  const rules = compiled.rulesFor(["analyst"])
  ok(rules !== undefined)
  equal(rulesByRelation(rules, counted.snapshot).size, policies)
  const first = counted.relations.asked - matching
  rulesByRelation(rules, counted.snapshot)
  return { matching, first, again: counted.relations.asked - matching - first }
}

describe("1,000 policies over 10,000 relations", () => {
  before(loadParser)

  it("are compared with a catalogue by look-ups for the policies alone", () => {
    const few = work(100, 10_000)
    const many = work(1_000, 10_000)
    equal(many.matching, few.matching * 10)
    equal(many.first, few.first * 10)
    equal(work(100, 1_000).matching, few.matching)
  })

  it("cost a reader's second statement no look-up at all", () =>
    equal(work(1_000, 10_000).again, 0))

  it("tell a catalogue once of each relation that it must know the columns of", () => {
    const { policies } = compilePolicies(inputOf(1_000), ["boss"])
    equal(policies.interest.length, 1_000)
  })
})
