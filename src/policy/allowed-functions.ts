import { findFunction, folded, partsOf } from "../catalog/relation-key.ts"
import { effectivePath } from "../catalog/resolve.ts"
import {
  grammarFunctions,
  stableSafeFunctions,
  timeFunctions,
} from "../catalog/stable-functions.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { FunctionRef } from "../core/statement.ts"
import { isForbiddenFunction } from "./forbidden-functions.ts"

/**
 * Functions of pg_catalog and information_schema that are not immutable and still read no rows of tables, no statistics and
 * no sizes: what drivers ask about the schema and the session, full-text search, random values. Immutable ones read nothing
 * by definition, and a system's own are taken at their word. Left out on purpose: pg_relation_size and its kin and
 * pg_stat_get_* (they count rows that a filter hides), currval and pg_sequence_last_value (the same), pg_sleep.
 */
const readersOfNothing = names(`
  acldefault aclexplode array_in array_out col_description current_catalog current_database
  current_role current_schema current_schemas current_setting current_user date_in enum_first
  enum_last enum_range format_type gen_random_uuid get_current_ts_config getdatabaseencoding
  has_any_column_privilege has_column_privilege has_database_privilege has_function_privilege
  has_language_privilege has_schema_privilege has_sequence_privilege has_table_privilege
  has_tablespace_privilege has_type_privilege jsonb_in json_in json_out json_populate_record
  json_populate_recordset json_to_record json_to_recordset json_to_tsvector jsonb_populate_record
  jsonb_populate_recordset jsonb_to_record jsonb_to_recordset jsonb_to_tsvector obj_description
  pg_backend_pid pg_char_to_encoding pg_client_encoding pg_collation_for pg_collation_is_visible
  pg_column_is_updatable pg_conversion_is_visible pg_encoding_to_char pg_function_is_visible
  pg_get_constraintdef pg_get_expr pg_get_function_arg_default pg_get_function_arguments
  pg_get_function_identity_arguments pg_get_function_result pg_get_functiondef pg_get_indexdef
  pg_get_keywords pg_get_partition_constraintdef pg_get_partkeydef pg_get_ruledef
  pg_get_serial_sequence pg_get_statisticsobjdef pg_get_statisticsobjdef_columns
  pg_get_triggerdef pg_get_userbyid pg_get_viewdef pg_has_role pg_index_column_has_property
  pg_index_has_property pg_indexam_has_property pg_is_other_temp_schema pg_my_temp_schema
  pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table
  pg_relation_is_publishable pg_relation_is_updatable pg_statistics_obj_is_visible
  pg_table_is_visible pg_tablespace_location pg_timezone_abbrevs pg_timezone_names
  pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
  pg_ts_template_is_visible pg_type_is_visible pg_typeof phraseto_tsquery plainto_tsquery random
  random_normal record_in record_out regclassin regcollationin regconfigin regdictionaryin
  regnamespacein regoperatorin regoperin regprocedurein regprocin regrolein regtypein
  regdatabasein row_security_active session_user shobj_description to_regclass to_regcollation
  to_regnamespace to_regoper to_regoperator to_regproc to_regprocedure to_regrole to_regtype
  to_tsquery to_tsvector ts_headline tsvector_to_array uuidv4 uuidv7 user version
  websearch_to_tsquery xml_in xml_out xmlagg xpath
`)

/** Of information_schema: what JDBC and ODBC drivers call to unfold arrays of the catalogue. */
const informationFunctions = names("_pg_expandarray _pg_truetypid _pg_truetypmod")

export type FunctionScope = {
  readonly snapshot: CatalogSnapshot
  readonly searchPath: readonly string[]
  /** Users' functions as `schema.name` that the policies name. */
  readonly vouched: ReadonlySet<string>
}

/**
 * The first call that may read what a policy hides: an allow-list, so that what is unknown counts. A call without a schema
 * may mean every function of that name on the path (PostgreSQL manual, 10.3), and all of them have to be good.
 */
export function unprovenCall(
  calls: readonly FunctionRef[],
  scope: FunctionScope,
): FunctionRef | undefined {
  const path = effectivePath(scope)
  return calls.find((call) => !isProven(call, path, scope))
}

function isProven(
  { schema, name }: FunctionRef,
  path: readonly string[],
  { snapshot, vouched }: FunctionScope,
): boolean {
  const called = folded(snapshot, name)
  if (isForbiddenFunction(called)) return false
  // DuckDB takes a macro of the file for a function of its own, and is not told of pg_catalog.
  if (snapshot.foldsCase && (schema === undefined || schema === "pg_catalog"))
    if (!areVouched(usersFunctions(snapshot).get(called) ?? [], vouched)) return false
  let isFound = false
  for (const place of schema === undefined ? path : [schema]) {
    const where = folded(snapshot, place)
    const volatility = findFunction(snapshot, where, called)
    if (volatility === undefined) continue
    isFound = true
    const isGood =
      where === "pg_catalog"
        ? volatility === "immutable" || isReaderOfNothing(called)
        : where === "information_schema"
          ? informationFunctions.has(called)
          : vouched.has(`${where}.${called}`)
    if (!isGood) return false
  }
  const mayBeGrammar = schema === undefined || schema === "pg_catalog"
  return isFound || (mayBeGrammar && (grammarFunctions.has(called) || isReaderOfNothing(called)))
}

function isReaderOfNothing(name: string): boolean {
  return readersOfNothing.has(name) || stableSafeFunctions.has(name) || timeFunctions.has(name)
}

function areVouched(functions: readonly string[], vouched: ReadonlySet<string>): boolean {
  return functions.every((full) => vouched.has(full))
}

const userFunctions = new WeakMap<CatalogSnapshot, ReadonlyMap<string, readonly string[]>>()

/** Full names of users' functions by their last part. */
function usersFunctions(snapshot: CatalogSnapshot): ReadonlyMap<string, readonly string[]> {
  const known = userFunctions.get(snapshot)
  if (known !== undefined) return known
  const found = new Map<string, readonly string[]>()
  for (const full of snapshot.functions.keys()) {
    const { schema, name } = partsOf(full)
    if (schema === "pg_catalog" || schema === "information_schema") continue
    const key = folded(snapshot, name)
    found.set(key, [...(found.get(key) ?? []), `${schema}.${name}`])
  }
  userFunctions.set(snapshot, found)
  return found
}

/**
 * The first name behind a dot that may call a function in place of naming a column (`t.f` is `f(t)` where t has no column f:
 * manual, 8.16.5).
 */
export function unprovenAttribute(
  attributes: readonly string[],
  { snapshot, vouched }: FunctionScope,
): string | undefined {
  const users = usersFunctions(snapshot)
  return attributes.find((attribute) => {
    const name = folded(snapshot, attribute)
    if (isForbiddenFunction(name)) return true
    if (!areVouched(users.get(name) ?? [], vouched)) return true
    const own = findFunction(snapshot, "pg_catalog", name)
    if (own === undefined || own === "immutable" || isReaderOfNothing(name)) return false
    // A column may well be called like a harmless function; these take one argument and tell of rows.
    return name.startsWith("pg_") || tellsOfRows.has(name)
  })
}

const tellsOfRows = names("currval lastval nextval setval")

function names(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
