import type { CatalogueSight } from "./catalogue-sight.ts"

/** What holds of the visible rows of system catalogues that several rules need, as SQL; undefined is TRUE. */
export type Condition = string | undefined

/** Objects that came with the server have smaller oids (transam.h, FirstNormalObjectId). */
export const firstUserOid = 16_384

export const constraintConditions = (sight: CatalogueSight): readonly Condition[] => [
  sight.visible("conrelid") && `(conrelid = 0 OR ${sight.visible("conrelid")})`,
  sight.visible("confrelid") && `(confrelid = 0 OR ${sight.visible("confrelid")})`,
  sight.noneDenied("conrelid", "conkey"),
  sight.noneDenied("confrelid", "confkey"),
]

export const triggerConditions = (sight: CatalogueSight): readonly Condition[] => [
  sight.visible("tgrelid"),
  sight.wholeOid("tgrelid"),
]

export const statisticsConditions = (sight: CatalogueSight): readonly Condition[] => [
  sight.visible("stxrelid"),
  sight.wholeOid("stxrelid"),
]

export const typeConditions = (sight: CatalogueSight): readonly Condition[] => {
  const isVisible = sight.visible("typrelid")
  if (isVisible === undefined) return []
  return [
    `(typrelid = 0 OR ${isVisible})`,
    `(typelem = 0 OR typelem NOT IN (SELECT h.oid FROM pg_catalog.pg_type h WHERE h.typrelid <> 0 AND NOT ${sight.visible("h.typrelid")}))`,
  ]
}

/** A user's function whose arguments or results are rows of a hidden relation is hidden with it. */
export const functionConditions = (sight: CatalogueSight): readonly Condition[] => {
  const isVisible = sight.visible("h.typrelid")
  if (isVisible === undefined) return []
  const schemas = sight.namespace("f.nspname")
  const isPlaced =
    schemas === undefined
      ? "TRUE"
      : `pronamespace IN (SELECT f.oid FROM pg_catalog.pg_namespace f WHERE ${schemas})`
  const hiddenRows = `SELECT h.oid FROM pg_catalog.pg_type h WHERE h.typrelid <> 0 AND NOT ${isVisible}`
  return [
    `(oid < ${firstUserOid} OR (${isPlaced} AND NOT EXISTS (SELECT FROM pg_catalog.unnest(prorettype || proargtypes::oid[] || COALESCE(proallargtypes, '{}'::oid[])) AS a(used) JOIN pg_catalog.pg_type h ON h.oid = a.used WHERE h.oid IN (${hiddenRows}) OR h.typelem IN (${hiddenRows}))))`,
  ]
}

export const constraintOids = (sight: CatalogueSight): string | undefined => {
  const conditions = constraintConditions(sight).flatMap((each) => each ?? [])
  if (conditions.length === 0) return undefined
  return `SELECT oid FROM pg_catalog.pg_constraint WHERE ${conditions.join(" AND ")}`
}

/** Comments, dependencies and labels name objects of any kind by the oid of their catalogue. */
export const describedConditions = (sight: CatalogueSight): readonly Condition[] => {
  const isVisible = sight.visible("objoid")
  const kinds: readonly (readonly [catalogue: string, condition: Condition])[] = [
    ["pg_class", both(isVisible, sight.attribute("objoid", "objsubid"))],
    ["pg_constraint", within("objoid", constraintOids(sight))],
    ["pg_trigger", oidsOf("objoid", "pg_trigger", triggerConditions(sight))],
    ["pg_rewrite", oidsOf("objoid", "pg_rewrite", [sight.visible("ev_class")])],
    ["pg_type", oidsOf("objoid", "pg_type", typeConditions(sight))],
    ["pg_proc", oidsOf("objoid", "pg_proc", functionConditions(sight))],
    ["pg_namespace", oidsOf("objoid", "pg_namespace", [sight.namespace("nspname")])],
    ["pg_statistic_ext", oidsOf("objoid", "pg_statistic_ext", statisticsConditions(sight))],
    ["pg_policy", "FALSE"],
  ]
  return kinds.map(([catalogue, condition]) =>
    condition === undefined
      ? undefined
      : `(classoid <> 'pg_catalog.${catalogue}'::pg_catalog.regclass OR ${condition})`,
  )
}

export const dependencyConditions = (sight: CatalogueSight): readonly Condition[] =>
  (
    [
      ["classid", "objid", "objsubid"],
      ["refclassid", "refobjid", "refobjsubid"],
    ] as const
  ).map(([catalogue, object, column]) => {
    const shown = both(sight.visible(object), sight.attribute(object, column))
    return shown === undefined
      ? undefined
      : `(${catalogue} <> 'pg_catalog.pg_class'::pg_catalog.regclass OR ${shown})`
  })

function both(left: Condition, right: Condition): Condition {
  if (left === undefined) return right
  return right === undefined ? left : `(${left} AND ${right})`
}

function within(oid: string, oids: string | undefined): Condition {
  return oids === undefined ? undefined : `${oid} IN (${oids})`
}

function oidsOf(oid: string, catalogue: string, conditions: readonly Condition[]): Condition {
  const all = conditions.flatMap((each) => each ?? [])
  if (all.length === 0) return undefined
  return `${oid} IN (SELECT oid FROM pg_catalog.${catalogue} WHERE ${all.join(" AND ")})`
}
