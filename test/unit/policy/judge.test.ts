import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import type { RelationName } from "../../../src/core/relation.ts"
import type { ReadTraits, Statement, StatementClass } from "../../../src/core/statement.ts"
import { judge } from "../../../src/policy/judge.ts"
import { Policy } from "../../../src/policy/policy.ts"
import type { RolePolicy } from "../../../src/policy/rules.ts"

const noTraits: ReadTraits = {
  relations: [],
  functions: [],
  operators: [],
  usesCurrentDate: false,
  usesCurrentTime: false,
  usesTimeLiteral: false,
  usesSessionFact: false,
  usesSystemColumn: false,
  usesTableSample: false,
  parameterCount: 0,
  parameterGap: 0,
  usesParameterZero: false,
  types: [],
  attributes: [],
}

function statement(statementClass: StatementClass, command = "SELECT"): Statement {
  return { text: "", offset: 0, class: statementClass, command, ast: {}, canonical: "" }
}

const read = (traits: Partial<ReadTraits> = {}): Statement =>
  statement({ kind: "read", traits: { ...noTraits, ...traits } })

function role(allow: readonly string[], deny: readonly string[] = []): RolePolicy {
  return {
    name: "r",
    relations: { allow, deny },
    rowLimit: undefined,
    onExceed: "cut",
    statementTimeoutMs: 0,
    mayCache: true,
    mayWrite: false,
  }
}

function verdict(
  rules: RolePolicy,
  names: readonly string[],
  options: { expanded?: readonly string[]; unknown?: readonly string[] } = {},
): string {
  const named = names as readonly RelationName[]
  const expanded = [...named, ...((options.expanded ?? []) as readonly RelationName[])]
  const unknown = (options.unknown ?? []).map((name) => ({
    catalog: undefined,
    schema: undefined,
    name,
  }))
  const judged = judge(read(), { named, expanded, unknown }, new Policy([rules]).effective(["r"]))
  return judged.kind === "allowed" ? "allowed" : `${judged.sqlState} ${judged.message}`
}

describe("relation rules", () => {
  it("denies what nothing allows", () => {
    equal(verdict(role([]), ["sales.orders"]), "42501 permission denied for table orders")
  })

  it("allows everything by a star", () => equal(verdict(role(["*"]), ["sales.orders"]), "allowed"))

  it("allows a schema", () => equal(verdict(role(["sales.*"]), ["sales.orders"]), "allowed"))

  it("does not take a schema pattern for a longer schema name", () => {
    equal(
      verdict(role(["sales.*"]), ["sales_secret.orders"]),
      "42501 permission denied for table orders",
    )
  })

  it("does not take a dot inside a quoted schema for the end of a schema", () => {
    equal(
      verdict(role(["sales.*"]), ['"sales.x".orders']),
      "42501 permission denied for table orders",
    )
  })

  it("lets deny win over allow", () => {
    equal(
      verdict(role(["*"], ["secret.*"]), ["secret.salaries"]),
      "42501 permission denied for table salaries",
    )
  })

  it("denies a view that shows a denied table", () => {
    equal(
      verdict(role(["*"], ["secret.*"]), ["marts.pay"], { expanded: ["secret.salaries"] }),
      "42501 permission denied for table salaries",
    )
  })

  it("allows a granted view over a table that is not granted itself", () => {
    equal(verdict(role(["marts.*"]), ["marts.pay"], { expanded: ["hr.people"] }), "allowed")
  })

  it("says that a relation it cannot find does not exist, to whom is not allowed everything", () => {
    equal(
      verdict(role(["sales.*"]), [], { unknown: ["ghost"] }),
      '42P01 relation "ghost" does not exist',
    )
    equal(verdict(role(["*"]), [], { unknown: ["ghost"] }), "allowed")
  })

  it("lets everybody introspect, but not read statistics of values or other people's statements", () => {
    equal(verdict(role([]), ["pg_catalog.pg_class"]), "allowed")
    for (const name of ["pg_stats", "pg_statistic", "pg_stat_activity", "pg_authid"])
      equal(
        verdict(role(["sales.*"]), [`pg_catalog.${name}`]),
        `42501 permission denied for table ${name}`,
      )
  })

  it("grants nothing to a role that is not configured", () => {
    const judged = judge(
      read(),
      { named: ["sales.orders" as RelationName], expanded: [], unknown: [] },
      new Policy([role(["*"])]).effective(["another"]),
    )
    equal(judged.kind, "refused")
  })
})

describe("statement kinds", () => {
  const everything = new Policy([role(["*"])]).effective(["r"])
  const nothing = { named: [], expanded: [], unknown: [] }

  it("refuses writes in PostgreSQL's words", () => {
    const judged = judge(statement({ kind: "write" }, "INSERT"), nothing, everything)
    equal(
      judged.kind === "refused" && `${judged.sqlState} ${judged.message}`,
      "25006 cannot execute INSERT in a read-only transaction",
    )
  })

  it("judges a cursor by its query", () => {
    const judged = judge(
      statement({
        kind: "cursor",
        name: "c",
        isHeld: false,
        isScroll: false,
        isNoScroll: false,
        isBinary: false,
        query: read({ functions: [{ schema: undefined, name: "dblink", argumentCount: 2 }] }),
      }),
      nothing,
      everything,
    )
    equal(judged.kind, "refused")
  })

  for (const name of [
    "query_to_xml",
    "PG_READ_FILE",
    "pg_ls_dir",
    "read_csv",
    "set_config",
    "pg_stat_get_activity",
    "lo_get",
  ])
    it(`refuses the function ${name} to everybody`, () => {
      const judged = judge(
        read({ functions: [{ schema: "pg_catalog", name, argumentCount: 1 }] }),
        nothing,
        everything,
      )
      equal(judged.kind === "refused" && judged.reason, "function_not_allowed")
    })

  for (const name of ["lower", "count", "pg_get_viewdef", "to_char"])
    it(`allows the function ${name}`, () => {
      const judged = judge(
        read({ functions: [{ schema: undefined, name, argumentCount: 1 }] }),
        nothing,
        everything,
      )
      equal(judged.kind, "allowed")
    })
})

describe("scopes", () => {
  it("are equal for two roles with equal limits, so that they share entries", () => {
    const policy = new Policy([role(["*"]), { ...role(["sales.*"]), name: "s" }])
    equal(policy.effective(["r"]).scope, policy.effective(["s"]).scope)
  })

  it("differ when a limit that changes rows differs", () => {
    const policy = new Policy([role(["*"]), { ...role(["*"]), name: "s", rowLimit: 10 }])
    equal(policy.effective(["r"]).scope === policy.effective(["s"]).scope, false)
  })
})
