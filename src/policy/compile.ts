import { hash } from "node:crypto"
import { type ClaimLookup, readLookup } from "./claim-lookup.ts"
import { type ClaimType, readClaimType } from "./claim-types.ts"
import { ExpressionProblem, type PolicyExpression, readExpression } from "./expression.ts"
import type { GuestFilters } from "./guest-rules.ts"
import { readFullName } from "./relation-parts.ts"
import { RelationPolicies, type RelationPolicy } from "./relation-policy.ts"

/** Policies as a file says them, with defaults filled in. */
export type PoliciesInput = {
  readonly claims: Readonly<Record<string, { readonly type: string }>>
  readonly functions: readonly string[]
  readonly relations: Readonly<Record<string, RelationInput>>
  /** Default: rules in the claim `rls_rules`, by names of relations. */
  readonly guestFilters?: {
    readonly claim: string
    readonly datasets: Readonly<Record<string, string | readonly string[]>>
  }
  readonly claimsFrom?: ClaimsFromInput | undefined
}

type ClaimsFromInput = {
  readonly query: string
  readonly warehouse?: string | undefined
  readonly rows: "one" | "many"
  readonly ttlMs: number
  readonly timeoutMs: number
  readonly usersMax: number
}

type RelationInput = {
  readonly rowFilters: readonly {
    readonly name: string
    readonly filter: string
    readonly roles?: readonly string[] | undefined
    readonly kind: "permissive" | "restrictive"
  }[]
  readonly unfilteredRoles: readonly string[]
  readonly masks: readonly {
    readonly column: string
    readonly mask: string
    readonly exceptRoles: readonly string[]
  }[]
  readonly deniedColumns: readonly {
    readonly columns: readonly string[]
    readonly exceptRoles: readonly string[]
  }[]
  readonly requiredFilter?:
    | {
        readonly column: string
        readonly kind: "range" | "equality"
        readonly ends: "both" | "min" | "max"
        readonly exceptRoles: readonly string[]
        readonly example?: string | undefined
      }
    | undefined
  readonly fence: boolean
}

/** What is wrong with one value; `path` leads to it in the file. */
export type PolicyProblem = {
  readonly path: readonly (string | number)[]
  readonly message: string
}

export type Compiled = {
  readonly policies: RelationPolicies
  /** The policies are only good when there is none. */
  readonly problems: readonly PolicyProblem[]
}

/** Reads every expression and checks names against each other. Needs the parser to be loaded. */
export function compilePolicies(input: PoliciesInput, knownRoles: readonly string[]): Compiled {
  const compiler = new Compiler(input, knownRoles)
  const relations = Object.entries(input.relations).map(([name, relation]) =>
    compiler.relation(name, relation),
  )
  const policies = new RelationPolicies({
    relations,
    guestFilters: compiler.guestFilters(input.guestFilters ?? { claim: "rls_rules", datasets: {} }),
    lookup: input.claimsFrom === undefined ? undefined : compiler.lookup(input.claimsFrom),
    claims: compiler.claims,
    functions: new Set(input.functions),
    version: hash("sha256", JSON.stringify(input)),
  })
  return { policies, problems: compiler.problems }
}

class Compiler {
  readonly problems: PolicyProblem[] = []
  readonly claims = new Map<string, ClaimType>()
  readonly #knownRoles: ReadonlySet<string>

  constructor(input: PoliciesInput, knownRoles: readonly string[]) {
    this.#knownRoles = new Set(knownRoles)
    for (const [name, { type }] of Object.entries(input.claims)) {
      const claimType = readClaimType(type)
      if (claimType === undefined) this.#report(["claims", name, "type"], "is no type of a claim")
      else this.claims.set(name, claimType)
    }
  }

  relation(name: string, input: RelationInput): RelationPolicy {
    const path = ["relations", name] as const
    // The file's schema has checked the form.
    const { schema, relation } = readFullName(name) ?? { schema: "", relation: "" }
    const rowFilters = input.rowFilters.map(({ filter, ...rest }, index) => {
      const where = [...path, "rowFilters", index]
      this.#roles([...where, "roles"], rest.roles ?? [])
      return { ...rest, roles: rest.roles, filter: this.#expression([...where, "filter"], filter) }
    })
    if (rowFilters.length > 0 && !rowFilters.some(({ kind }) => kind === "permissive"))
      this.#report([...path, "rowFilters"], "has no permissive filter, so that nobody sees a row")
    this.#roles([...path, "unfilteredRoles"], input.unfilteredRoles)
    const masks = input.masks.map(({ mask, ...rest }, index) => {
      const where = [...path, "masks", index]
      this.#roles([...where, "exceptRoles"], rest.exceptRoles)
      return { ...rest, mask: this.#expression([...where, "mask"], mask) }
    })
    const masked = new Set<string>()
    for (const [index, { column }] of masks.entries()) {
      if (masked.has(column))
        this.#report([...path, "masks", index, "column"], "has a mask already")
      masked.add(column)
    }
    for (const [index, { exceptRoles }] of input.deniedColumns.entries())
      this.#roles([...path, "deniedColumns", index, "exceptRoles"], exceptRoles)
    const { unfilteredRoles, deniedColumns, requiredFilter, fence } = input
    this.#roles([...path, "requiredFilter", "exceptRoles"], requiredFilter?.exceptRoles ?? [])
    if (requiredFilter?.kind === "equality" && requiredFilter.ends !== "both")
      this.#report([...path, "requiredFilter", "ends"], "is for kind: range")
    const columns = { masks, deniedColumns, isFenced: fence }
    return { schema, relation, rowFilters, unfilteredRoles, requiredFilter, ...columns }
  }

  guestFilters({ claim, datasets }: NonNullable<PoliciesInput["guestFilters"]>): GuestFilters {
    // Otherwise a filter could compare rows with the rules themselves.
    if (this.claims.has(claim))
      this.#report(["guestFilters", "claim"], "stands under claims as well")
    const read = Object.entries(datasets).map(([id, names]) => {
      const relations = [names].flat().flatMap((name) => readFullName(name) ?? [])
      return [id, relations] as const
    })
    return { claim, datasets: new Map(read) }
  }

  lookup({ query, warehouse, ...rest }: ClaimsFromInput): ClaimLookup | undefined {
    const path = ["claimsFrom", "query"]
    try {
      const read = readLookup(query)
      for (const name of read.columns) {
        const type = this.claims.get(name)
        if (type === undefined) this.#report(path, `gives "${name}", which stands not under claims`)
        else if (rest.rows === "many" && !type.isList)
          this.#report(path, `gives "${name}" in many rows, and its type is no list`)
      }
      return { ...read, ...rest, warehouse }
    } catch (thrown) {
      if (!(thrown instanceof ExpressionProblem)) throw thrown
      this.#report(path, thrown.message)
      return undefined
    }
  }

  #expression(path: PolicyProblem["path"], source: string): PolicyExpression {
    try {
      const expression = readExpression(source)
      for (const claim of expression.claims)
        if (!this.claims.has(claim))
          this.#report(path, `uses :${claim}, which stands not under claims`)
      return expression
    } catch (thrown) {
      if (!(thrown instanceof ExpressionProblem)) throw thrown
      this.#report(path, thrown.message)
      return unreadable
    }
  }

  #roles(path: PolicyProblem["path"], roles: readonly string[]): void {
    for (const [index, role] of roles.entries())
      if (!this.#knownRoles.has(role))
        this.#report([...path, index], "names no role of the configuration")
  }

  #report(path: PolicyProblem["path"], message: string): void {
    this.problems.push({ path, message })
  }
}

/** Stands where an expression could not be read; policies with a problem are never used. */
const unreadable: PolicyExpression = {
  source: "",
  claims: [],
  ast: {},
  places: [],
  relations: [],
  calls: [],
  operators: [],
}
