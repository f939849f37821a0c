import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"
import type { Emitted } from "../core/statement.ts"
import { parseTrees } from "../sql/parser.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import {
  type Condition,
  constraintConditions,
  constraintOids,
  dependencyConditions,
  describedConditions,
  firstUserOid,
  functionConditions,
  statisticsConditions,
  triggerConditions,
  typeConditions,
} from "./catalogue-conditions.ts"
import { type CatalogueSight, toastSchemaOid } from "./catalogue-sight.ts"

/**
 * Which relations of PostgreSQL's own schemas a restricted reader may read, and what of them (PostgreSQL manual, chapters 52
 * "System Catalogs", 53 "System Views" and 37 "The Information Schema"). An allow-list: what is not on it is refused, so that
 * a relation of a later version is closed until somebody has looked at it.
 */

type Rule = {
  /** What holds of a visible row, all of it; undefined is TRUE. */
  readonly where?: (sight: CatalogueSight) => readonly Condition[]
  /** Columns that show something else, as SQL; undefined leaves the column as it is. */
  readonly masks?: (sight: CatalogueSight) => Readonly<Record<string, string | undefined>>
}

/** Rows that belong to a relation by its oid. */
function of(...columns: readonly string[]): Rule {
  return { where: (sight) => columns.map((column) => sight.visible(column)) }
}

/** Views over relations by name; with `column`, over their columns. */
function named(schema: string, name: string, column?: string): Rule {
  return {
    where: (sight) => [
      sight.names(schema, name),
      column === undefined ? undefined : sight.column(schema, name, column),
    ],
  }
}

/** Shows nothing of relations. */
const plain: Rule = {}

/** What a table's own filters are, neither the server's policies nor ours may tell. */
const nothing: Rule = { where: () => ["FALSE"] }

/** Names of constraints that are visible, for views that name nothing else. */
function ofConstraint(schema: string, name: string): Rule {
  return {
    where: (sight) => {
      const oids = constraintOids(sight)
      if (oids === undefined) return []
      return [
        `(${schema}, ${name}) IN (SELECT s.nspname, o.conname FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_namespace s ON s.oid = o.connamespace WHERE o.oid IN (${oids}))`,
      ]
    },
  }
}

/** Statistics of what has a policy, and of its indexes and TOAST tables, read as never gathered. */
function classMasks(sight: CatalogueSight): Readonly<Record<string, string | undefined>> {
  const governed = sight.governedOids()
  if (governed === undefined) return {}
  const isCounted = `relnamespace = ${toastSchemaOid} OR oid IN (${governed})`
  const zero = (column: string): string => `CASE WHEN ${isCounted} THEN 0 ELSE ${column} END`
  return {
    reltuples: `CASE WHEN ${isCounted} THEN '-1'::pg_catalog.float4 ELSE reltuples END`,
    relpages: zero("relpages"),
    relallvisible: zero("relallvisible"),
    relallfrozen: zero("relallfrozen"),
  }
}

/** A view's text names what it reads: it is shown to those who see all of that. */
function definitionMask(
  column: string,
  schema: string,
  view: string,
): (sight: CatalogueSight) => Readonly<Record<string, string | undefined>> {
  return (sight) => {
    const untold = sight.untoldDefinitions()
    if (untold === undefined) return {}
    return {
      [column]: `CASE WHEN (${schema}, ${view}) IN (SELECT s.nspname, v.relname FROM pg_catalog.pg_class v JOIN pg_catalog.pg_namespace s ON s.oid = v.relnamespace WHERE v.oid IN (${untold})) THEN NULL ELSE ${column} END`,
    }
  }
}

const hideUserCode =
  (...columns: readonly string[]) =>
  () =>
    Object.fromEntries(
      columns.map((column) => [column, `CASE WHEN oid < ${firstUserOid} THEN ${column} END`]),
    )

function plainOnes(schema: string, names: string): Record<string, Rule> {
  return Object.fromEntries(
    names
      .trim()
      .split(/\s+/)
      .map((name) => [`${schema}.${name}`, plain]),
  )
}

const rules: Readonly<Record<string, Rule>> = {
  ...plainOnes(
    "pg_catalog",
    `pg_aggregate pg_am pg_amop pg_amproc pg_auth_members pg_cast pg_collation pg_conversion pg_database
     pg_default_acl pg_enum pg_event_trigger pg_extension pg_foreign_data_wrapper pg_language pg_opclass
     pg_operator pg_opfamily pg_parameter_acl pg_publication pg_publication_namespace pg_range
     pg_shdescription pg_tablespace pg_transform pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser
     pg_ts_template pg_available_extension_versions pg_available_extensions pg_group pg_roles pg_settings
     pg_timezone_abbrevs pg_timezone_names pg_user pg_wait_events pg_stat_activity`,
  ),
  ...plainOnes(
    "information_schema",
    `sql_features sql_implementation_info sql_parts sql_sizing administrable_role_authorizations
     applicable_roles character_sets collation_character_set_applicability collations domains enabled_roles
     information_schema_catalog_name transforms`,
  ),
  "pg_catalog.pg_class": { where: (sight) => [sight.visible("oid")], masks: classMasks },
  "pg_catalog.pg_attribute": {
    where: (sight) => [sight.visible("attrelid"), sight.attribute("attrelid", "attnum")],
  },
  "pg_catalog.pg_attrdef": {
    where: (sight) => [sight.visible("adrelid"), sight.attribute("adrelid", "adnum")],
  },
  "pg_catalog.pg_constraint": { where: constraintConditions },
  "pg_catalog.pg_depend": { where: dependencyConditions },
  "pg_catalog.pg_description": { where: describedConditions },
  "pg_catalog.pg_foreign_table": of("ftrelid"),
  "pg_catalog.pg_index": of("indexrelid"),
  "pg_catalog.pg_inherits": of("inhrelid", "inhparent"),
  "pg_catalog.pg_namespace": { where: (sight) => [sight.namespace("nspname")] },
  "pg_catalog.pg_partitioned_table": {
    where: (sight) => [sight.visible("partrelid"), sight.wholeOid("partrelid")],
  },
  "pg_catalog.pg_policy": nothing,
  "pg_catalog.pg_policies": nothing,
  "pg_catalog.pg_proc": {
    where: functionConditions,
    masks: hideUserCode("prosrc", "prosqlbody", "proargdefaults"),
  },
  "pg_catalog.pg_publication_rel": {
    where: (sight) => [sight.visible("prrelid"), sight.wholeOid("prrelid")],
  },
  "pg_catalog.pg_rewrite": {
    where: (sight) => [sight.visible("ev_class")],
    masks: () => ({
      ev_qual: "NULL::pg_catalog.pg_node_tree",
      ev_action: "NULL::pg_catalog.pg_node_tree",
    }),
  },
  "pg_catalog.pg_sequence": of("seqrelid"),
  "pg_catalog.pg_shdepend": {
    where: (sight) => [
      sight.visible("objid") &&
        `(classid <> 'pg_catalog.pg_class'::pg_catalog.regclass OR ${sight.visible("objid")})`,
    ],
  },
  "pg_catalog.pg_statistic_ext": { where: statisticsConditions },
  "pg_catalog.pg_subscription_rel": of("srrelid"),
  "pg_catalog.pg_trigger": { where: triggerConditions },
  "pg_catalog.pg_type": { where: typeConditions },
  "pg_catalog.pg_indexes": {
    where: (sight) => [
      sight.names("schemaname", "tablename"),
      sight.hasDenied
        ? `(schemaname, indexname) IN (SELECT s.nspname, o.relname FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace s ON s.oid = o.relnamespace WHERE o.oid IN (${sight.relationOids()}))`
        : undefined,
    ],
  },
  "pg_catalog.pg_matviews": {
    ...named("schemaname", "matviewname"),
    masks: definitionMask("definition", "schemaname", "matviewname"),
  },
  "pg_catalog.pg_sequences": named("schemaname", "sequencename"),
  "pg_catalog.pg_tables": named("schemaname", "tablename"),
  "pg_catalog.pg_views": {
    ...named("schemaname", "viewname"),
    masks: definitionMask("definition", "schemaname", "viewname"),
  },
  "information_schema.check_constraints": ofConstraint("constraint_schema", "constraint_name"),
  "information_schema.column_column_usage": {
    where: (sight) => [
      sight.names("table_schema", "table_name"),
      sight.column("table_schema", "table_name", "column_name"),
      sight.column("table_schema", "table_name", "dependent_column"),
    ],
  },
  "information_schema.column_domain_usage": named("table_schema", "table_name", "column_name"),
  "information_schema.column_privileges": named("table_schema", "table_name", "column_name"),
  "information_schema.column_udt_usage": named("table_schema", "table_name", "column_name"),
  "information_schema.columns": {
    ...named("table_schema", "table_name", "column_name"),
    masks: (sight) => {
      const isWhole = sight.whole("table_schema", "table_name")
      if (isWhole === undefined) return {}
      return { generation_expression: `CASE WHEN ${isWhole} THEN generation_expression END` }
    },
  },
  "information_schema.constraint_column_usage": {
    where: (sight) => [
      sight.names("table_schema", "table_name"),
      sight.column("table_schema", "table_name", "column_name"),
      ...(ofConstraint("constraint_schema", "constraint_name").where?.(sight) ?? []),
    ],
  },
  "information_schema.constraint_table_usage": {
    where: (sight) => [
      sight.names("table_schema", "table_name"),
      ...(ofConstraint("constraint_schema", "constraint_name").where?.(sight) ?? []),
    ],
  },
  "information_schema.element_types": {
    where: (sight) => [
      sight.names("object_schema", "object_name") &&
        `(object_type <> 'TABLE' OR ${sight.names("object_schema", "object_name")})`,
      sight.whole("object_schema", "object_name"),
    ],
  },
  "information_schema.key_column_usage": {
    where: (sight) => [
      sight.names("table_schema", "table_name"),
      sight.column("table_schema", "table_name", "column_name"),
      ...(ofConstraint("constraint_schema", "constraint_name").where?.(sight) ?? []),
    ],
  },
  "information_schema.referential_constraints": ofConstraint(
    "constraint_schema",
    "constraint_name",
  ),
  "information_schema.role_column_grants": named("table_schema", "table_name", "column_name"),
  "information_schema.role_table_grants": named("table_schema", "table_name"),
  "information_schema.routines": {
    where: (sight) => [sight.namespace("routine_schema")],
    masks: () => ({ routine_definition: "NULL::information_schema.character_data" }),
  },
  "information_schema.schemata": { where: (sight) => [sight.namespace("schema_name")] },
  "information_schema.sequences": named("sequence_schema", "sequence_name"),
  "information_schema.table_constraints": {
    where: (sight) => [
      sight.names("table_schema", "table_name"),
      ...(ofConstraint("constraint_schema", "constraint_name").where?.(sight) ?? []),
    ],
  },
  "information_schema.table_privileges": named("table_schema", "table_name"),
  "information_schema.tables": named("table_schema", "table_name"),
  "information_schema.user_defined_types": named(
    "user_defined_type_schema",
    "user_defined_type_name",
  ),
  "information_schema.view_column_usage": {
    where: (sight) => [
      sight.names("view_schema", "view_name"),
      sight.names("table_schema", "table_name"),
      sight.column("table_schema", "table_name", "column_name"),
    ],
  },
  "information_schema.view_table_usage": {
    where: (sight) => [
      sight.names("view_schema", "view_name"),
      sight.names("table_schema", "table_name"),
    ],
  },
  "information_schema.views": {
    ...named("table_schema", "table_name"),
    masks: definitionMask("view_definition", "table_schema", "table_name"),
  },
}

/** Relations of which a column is masked: the catalogue's snapshot has to know all their columns. */
export const catalogueInterest: readonly { readonly schema: string; readonly relation: string }[] =
  Object.entries(rules).flatMap(([name, { masks }]) => {
    const [schema, relation] = name.split(".")
    return masks === undefined || schema === undefined || relation === undefined
      ? []
      : [{ schema, relation }]
  })

/** What holds of the visible rows of a relation on the list; none where all are. */
export function catalogueConditions(name: RelationName, sight: CatalogueSight): readonly string[] {
  return (rules[name]?.where?.(sight) ?? []).flatMap((each) => each ?? [])
}

/** `withheld`: nobody sees it without a grant by name. `open`: as it is. Otherwise what stands in its place. */
export type CatalogueView = Emitted | "open" | "withheld"

const views = new WeakMap<CatalogueSight, Map<RelationName, CatalogueView>>()

/** What one reader sees of a relation of pg_catalog or information_schema. */
export function catalogueView(
  name: RelationName,
  sight: CatalogueSight,
  snapshot: CatalogSnapshot,
): CatalogueView {
  let known = views.get(sight)
  if (known === undefined) {
    known = new Map()
    views.set(sight, known)
  }
  let view = known.get(name)
  if (view === undefined) {
    view = viewOf(name, sight, snapshot)
    known.set(name, view)
  }
  return view
}

function viewOf(
  name: RelationName,
  sight: CatalogueSight,
  snapshot: CatalogSnapshot,
): CatalogueView {
  const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
  if (rule === undefined) return "withheld"
  const conditions = catalogueConditions(name, sight)
  const masks = new Map(
    Object.entries(rule.masks?.(sight) ?? {}).flatMap(([column, mask]) =>
      mask === undefined ? [] : [[column, mask] as const],
    ),
  )
  if (conditions.length === 0 && masks.size === 0) return "open"
  const columns = masks.size === 0 ? undefined : snapshot.relations.get(name)?.columns
  // Without the list of columns nothing can be masked, and so nothing be shown.
  if (masks.size > 0 && columns === undefined) return "withheld"
  const targets =
    columns === undefined
      ? "*"
      : columns
          .map((column) => {
            const quoted = quoteIdentifier(column)
            const mask = masks.get(column)
            return mask === undefined ? quoted : `${mask} AS ${quoted}`
          })
          .join(", ")
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`
  // OFFSET 0 keeps a reader's own conditions off hidden rows: their errors would tell of them.
  const text = `SELECT ${targets} FROM ${name}${where} OFFSET 0`
  const [ast] = parseTrees(text)
  return ast === undefined ? "withheld" : { text, ast, keepsPositions: false }
}
