import { hash } from "node:crypto"
import type { CatalogInterest } from "../core/catalog.ts"
import type { ClaimLookup } from "./claim-lookup.ts"
import type { ClaimType } from "./claim-types.ts"
import type { PolicyExpression } from "./expression.ts"
import type { GuestClause } from "./guest-clause.ts"
import { type GuestFilters, type GuestRules, readGuestRules } from "./guest-rules.ts"
import type { FullName } from "./relation-parts.ts"

/** A predicate that a reader's rows must meet. */
export type RowFilter = {
  readonly name: string
  readonly filter: PolicyExpression
  /** Undefined: all roles. */
  readonly roles: readonly string[] | undefined
  readonly kind: "permissive" | "restrictive"
}

export type ColumnMask = {
  readonly column: string
  readonly mask: PolicyExpression
  readonly exceptRoles: readonly string[]
}

export type DeniedColumns = {
  readonly columns: readonly string[]
  readonly exceptRoles: readonly string[]
}

/** Each reading of the relation must restrict this column by literals. */
export type RequiredFilter = {
  readonly schema: string
  readonly relation: string
  readonly column: string
  /** `range`: from and to, or an equality, which is the narrowest range; `equality`: nothing less. */
  readonly kind: "range" | "equality"
  /** Which ends a range must have. */
  readonly ends: "both" | "min" | "max"
  /** A condition that would do, for the hint. */
  readonly example: string | undefined
}

/** The same as the file has it, with the roles that are free of it. */
export type RequiredColumn = Pick<RequiredFilter, "column" | "kind" | "ends"> & {
  readonly exceptRoles: readonly string[]
  readonly example?: string | undefined
}

/** What holds for one relation. */
export type RelationPolicy = {
  readonly schema: string
  readonly relation: string
  readonly rowFilters: readonly RowFilter[]
  readonly unfilteredRoles: readonly string[]
  readonly masks: readonly ColumnMask[]
  readonly deniedColumns: readonly DeniedColumns[]
  readonly requiredFilter?: RequiredColumn | undefined
  /** OFFSET 0 behind the filter: PostgreSQL then evaluates nothing of the client's on a row that is filtered out. */
  readonly isFenced: boolean
}

/** What of a relation's policy holds for one set of roles. */
export type ReaderRule = {
  readonly policy: RelationPolicy
  /** `none`: all rows. `closed`: filters exist and none lets these roles read. */
  readonly rows:
    | { readonly kind: "none" }
    | { readonly kind: "closed" }
    | {
        readonly kind: "filtered"
        readonly permissive: readonly RowFilter[]
        readonly restrictive: readonly RowFilter[]
      }
  readonly masks: readonly ColumnMask[]
  readonly deniedColumns: ReadonlySet<string>
  /** Rules of the reader's own token. */
  readonly guest: readonly GuestClause[]
}

/** All policies as one set of roles meets them: only relations of which they see less than everything. */
export type ReaderRules = {
  readonly rules: readonly ReaderRule[]
  /** Names of all claims that the rules' expressions use. */
  readonly claims: readonly string[]
  /** Row rules that the reader's own token brings. */
  readonly guest?: GuestRules | undefined
  readonly policies: RelationPolicies
}

/** Row and column policies of one file. Immutable: a reload makes a new one. */
export class RelationPolicies {
  readonly relations: readonly RelationPolicy[]
  readonly claims: ReadonlyMap<string, ClaimType>
  /** Functions of users, as `schema.name`, that whoever wrote the policies vouches for. */
  readonly functions: ReadonlySet<string>
  readonly version: string
  readonly guestFilters: GuestFilters
  readonly lookup: ClaimLookup | undefined
  readonly #guestRules = new WeakMap<object, GuestRules | "none">()

  constructor(parts: {
    readonly relations: readonly RelationPolicy[]
    readonly claims: ReadonlyMap<string, ClaimType>
    readonly functions: ReadonlySet<string>
    readonly guestFilters: GuestFilters
    readonly lookup: ClaimLookup | undefined
    /** Digest of the file's text. */
    readonly version: string
  }) {
    this.relations = parts.relations
    this.claims = parts.claims
    this.functions = parts.functions
    this.version = parts.version
    this.guestFilters = parts.guestFilters
    this.lookup = parts.lookup
  }

  /** Relations of which the catalogue must know the columns: those with a policy, and those that expressions read. */
  get interest(): CatalogInterest {
    const found = new Map<string, CatalogInterest[number]>()
    const add = (schema: string, relation: string): unknown =>
      found.set(JSON.stringify([schema, relation]), { schema, relation })
    for (const { schema, relation } of [...this.guestFilters.datasets.values()].flat())
      add(schema, relation)
    for (const { schema, relation, rowFilters, masks } of this.relations) {
      add(schema, relation)
      const expressions = [
        ...rowFilters.map(({ filter }) => filter),
        ...masks.map(({ mask }) => mask),
      ]
      for (const read of expressions.flatMap(({ relations }) => relations))
        add(read.schema ?? "", read.name)
    }
    return [...found.values()]
  }

  /** Undefined for roles that these policies hide nothing from. */
  rulesFor(roles: readonly string[]): ReaderRules | undefined {
    const rules = this.relations.flatMap((policy) => ruleOf(policy, new Set(roles)) ?? [])
    if (rules.length === 0) return undefined
    return { rules, claims: claimsOf(rules), policies: this }
  }

  /** What these roles must restrict wherever they read it. One of the excepted roles is enough to be free of it. */
  requiredFor(roles: readonly string[]): readonly RequiredFilter[] {
    return this.relations.flatMap(({ schema, relation, requiredFilter }) => {
      if (requiredFilter === undefined) return []
      const { exceptRoles, column, kind, ends, example } = requiredFilter
      if (exceptRoles.some((role) => roles.includes(role))) return []
      return [{ schema, relation, column, kind, ends, example }]
    })
  }

  /** The row rules among verified claims; undefined when there are none. */
  guestRules(claims: Readonly<Record<string, unknown>>): GuestRules | undefined {
    let rules = this.#guestRules.get(claims)
    if (rules === undefined) {
      const value = claimValue(claims, this.guestFilters.claim)
      rules = value === undefined ? "none" : readGuestRules(value, this.guestFilters)
      this.#guestRules.set(claims, rules)
    }
    return rules === "none" ? undefined : rules
  }

  /** Digest of the claims that these rules can use: identities with equal ones and equal roles get equal plans. */
  claimsDigest(claims: Readonly<Record<string, unknown>>, rules: ReaderRules): string {
    const values = [...rules.claims, this.guestFilters.claim].map(
      (name) => claimValue(claims, name) ?? null,
    )
    return hash("sha256", JSON.stringify(values))
  }
}

/** Of every rule, whichever relations a statement reads: a plan must not be shared by those whose claims differ in what it may use. */
function claimsOf(rules: readonly ReaderRule[]): readonly string[] {
  const expressions = rules.flatMap(({ rows, masks }) => [
    ...(rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []).map(
      ({ filter }) => filter,
    ),
    ...masks.map(({ mask }) => mask),
  ])
  return [...new Set(expressions.flatMap(({ claims }) => claims))].toSorted()
}

/** An attribute of the token's own; what every object inherits is none. */
export function claimValue(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

/** The rule of a relation that the file says nothing of. */
export function ruleFor(relation: FullName, known: ReaderRule | undefined): ReaderRule {
  if (known !== undefined) return known
  const { schema, relation: name } = relation
  return {
    policy: {
      schema,
      relation: name,
      rowFilters: [],
      unfilteredRoles: [],
      masks: [],
      deniedColumns: [],
      isFenced: true,
    },
    rows: { kind: "none" },
    masks: [],
    deniedColumns: new Set(),
    guest: [],
  }
}

function ruleOf(policy: RelationPolicy, roles: ReadonlySet<string>): ReaderRule | undefined {
  const hasOneOf = (names: readonly string[]): boolean => names.some((name) => roles.has(name))
  const rows = rowsOf(policy, hasOneOf)
  const masks = policy.masks.filter(({ exceptRoles }) => !hasOneOf(exceptRoles))
  const denied = policy.deniedColumns.filter(({ exceptRoles }) => !hasOneOf(exceptRoles))
  if (rows.kind === "none" && masks.length === 0 && denied.length === 0) return undefined
  const deniedColumns = new Set(denied.flatMap(({ columns }) => columns))
  return { policy, rows, masks, deniedColumns, guest: [] }
}

function rowsOf(
  { rowFilters, unfilteredRoles }: RelationPolicy,
  hasOneOf: (names: readonly string[]) => boolean,
): ReaderRule["rows"] {
  if (rowFilters.length === 0 || hasOneOf(unfilteredRoles)) return { kind: "none" }
  const mine = rowFilters.filter(({ roles }) => roles === undefined || hasOneOf(roles))
  const permissive = mine.filter(({ kind }) => kind === "permissive")
  const restrictive = mine.filter(({ kind }) => kind === "restrictive")
  // As under PostgreSQL's own policies: a restrictive one opens nothing.
  if (permissive.length === 0) return { kind: "closed" }
  return { kind: "filtered", permissive, restrictive }
}
