import type { FunctionRef, ReadTraits } from "../core/statement.ts"

/**
 * Functions of PostgreSQL that tell of an object by its oid or name (manual, 9.27.2 to 9.27.7), and what a restricted reader
 * may do with them. `guard`: the argument becomes NULL where what it names is not visible, which all of them answer with
 * NULL. Whatever has such a name and stands nowhere here is refused.
 */

/** Catalogue of what an argument's oid means. */
export type GuardedKind =
  | "relation"
  | "constraint"
  | "trigger"
  | "rule"
  | "statistics"
  | "type"
  | "namespace"
  | "function"

/** What must hold beyond being visible. */
export type GuardDepth =
  /** Nothing more. */
  | "shown"
  /** No rule holds for the relation: its size counts rows that a rule hides. */
  | "ungoverned"
  /** No column of it is denied. */
  | "whole"
  /** Its definition names nothing hidden. */
  | "definition"
  /** The column in the argument `extra` is not denied. */
  | "column"
  /** The expression in the argument `extra` names no column, or no column of the relation is denied. */
  | "expression"
  /** It came with the server. */
  | "system"

export type Guard = {
  readonly kind: GuardedKind
  readonly depth: GuardDepth
  /** Position of the guarded argument; from the end when it is negative. */
  readonly at: number
  /** Position of the argument that `depth` looks at. */
  readonly extra?: number
  /** The function takes a name and no oid. */
  readonly byName?: true
}

function guards(names: string, guard: Guard): readonly (readonly [string, Guard])[] {
  return words(names).map((name) => [name, guard] as const)
}

const guarded: ReadonlyMap<string, Guard> = new Map([
  ...guards(
    `pg_relation_is_publishable pg_relation_is_updatable pg_table_is_visible row_security_active
     pg_get_replica_identity_index pg_index_has_property pg_get_indexdef`,
    { kind: "relation", depth: "shown", at: 0 },
  ),
  ...guards(
    `pg_relation_size pg_table_size pg_total_relation_size pg_indexes_size pg_relation_filenode
     pg_relation_filepath`,
    { kind: "relation", depth: "ungoverned", at: 0 },
  ),
  ...guards("pg_get_partkeydef pg_get_partition_constraintdef", {
    kind: "relation",
    depth: "whole",
    at: 0,
  }),
  ...guards("pg_get_viewdef", { kind: "relation", depth: "definition", at: 0 }),
  ...guards("pg_get_serial_sequence", {
    kind: "relation",
    depth: "column",
    at: 0,
    extra: 1,
    byName: true,
  }),
  ...guards("col_description pg_column_is_updatable", {
    kind: "relation",
    depth: "column",
    at: 0,
    extra: 1,
  }),
  ...guards("pg_index_column_has_property", { kind: "relation", depth: "shown", at: 0 }),
  ...guards("pg_get_expr", { kind: "relation", depth: "expression", at: 1, extra: 0 }),
  ...guards("has_table_privilege has_any_column_privilege has_sequence_privilege", {
    kind: "relation",
    depth: "shown",
    at: -2,
  }),
  ...guards("has_column_privilege", { kind: "relation", depth: "column", at: -3, extra: -2 }),
  ...guards("pg_get_constraintdef", { kind: "constraint", depth: "shown", at: 0 }),
  ...guards("pg_get_triggerdef", { kind: "trigger", depth: "shown", at: 0 }),
  ...guards("pg_get_ruledef", { kind: "rule", depth: "definition", at: 0 }),
  ...guards(
    "pg_get_statisticsobjdef pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_statistics_obj_is_visible",
    { kind: "statistics", depth: "shown", at: 0 },
  ),
  ...guards("format_type pg_type_is_visible", { kind: "type", depth: "shown", at: 0 }),
  ...guards("has_type_privilege", { kind: "type", depth: "shown", at: -2 }),
  ...guards("has_schema_privilege", { kind: "namespace", depth: "shown", at: -2 }),
  ...guards(
    "pg_get_function_arguments pg_get_function_identity_arguments pg_get_function_result pg_function_is_visible",
    { kind: "function", depth: "shown", at: 0 },
  ),
  ...guards("pg_get_functiondef pg_get_function_sqlbody pg_get_function_arg_default", {
    kind: "function",
    depth: "system",
    at: 0,
  }),
  ...guards("has_function_privilege", { kind: "function", depth: "shown", at: -2 }),
])

/** obj_description's second argument, and what its first then means. */
export const describedKinds: ReadonlyMap<string, GuardedKind | "open"> = new Map([
  ["pg_class", "relation"],
  ["pg_constraint", "constraint"],
  ["pg_trigger", "trigger"],
  ["pg_rewrite", "rule"],
  ["pg_statistic_ext", "statistics"],
  ["pg_type", "type"],
  ["pg_namespace", "namespace"],
  ["pg_proc", "function"],
  ["pg_database", "open"],
  ["pg_tablespace", "open"],
  ["pg_extension", "open"],
  ["pg_language", "open"],
  ["pg_collation", "open"],
  ["pg_operator", "open"],
  ["pg_am", "open"],
])

/** Casts to these look names up, and show the name of any oid. */
export const registryKinds: ReadonlyMap<string, GuardedKind> = new Map([
  ["regclass", "relation"],
  ["regtype", "type"],
  ["regnamespace", "namespace"],
  ["regproc", "function"],
  ["regprocedure", "function"],
])

/** The same as functions that answer NULL where nothing has the name. */
export const lookups: ReadonlyMap<string, string> = new Map(
  [...registryKinds.keys()].map((type) => [`to_${type}`, type] as const),
)

/** What has the look of a catalogue function, and of these the ones that tell of no relation. */
const catalogueName =
  /^(?:pg_|has_|to_reg|reg(?:class|type|namespace|proc|procedure|oper|operator|role|config|dictionary|collation|database)(?:in|out|recv|send)?$|obj_|col_|shobj_|format_type$|row_security_active$|currtid|brin_|gin_clean|satisfies_hash|_pg_|\w+_validator$|(?:currval|nextval|setval)$)/

const harmless: ReadonlySet<string> = new Set(
  words(`
  has_database_privilege has_foreign_data_wrapper_privilege has_language_privilege has_largeobject_privilege
  has_parameter_privilege has_server_privilege has_tablespace_privilege
  pg_available_extension_versions pg_available_extensions pg_backend_pid pg_char_to_encoding pg_client_encoding
  pg_collation_actual_version pg_collation_for pg_collation_is_visible pg_column_compression pg_column_size
  pg_conf_load_time pg_conversion_is_visible pg_current_snapshot pg_current_wal_flush_lsn
  pg_current_wal_insert_lsn pg_current_wal_lsn pg_current_xact_id pg_current_xact_id_if_assigned
  pg_database_collation_actual_version pg_database_size pg_encoding_to_char pg_extension_update_paths
  pg_get_keywords pg_get_userbyid pg_get_wait_events pg_has_role pg_indexam_has_property
  pg_indexam_progress_phasename pg_is_in_recovery pg_is_other_temp_schema pg_is_wal_replay_paused
  pg_jit_available pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp
  pg_my_temp_schema pg_numa_available pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible
  pg_options_to_table pg_postmaster_start_time pg_settings_get_flags pg_size_bytes pg_size_pretty pg_sleep
  pg_sleep_for pg_sleep_until pg_tablespace_location pg_tablespace_size pg_timezone_abbrevs
  pg_timezone_abbrevs_abbrevs pg_timezone_abbrevs_zone pg_timezone_names pg_trigger_depth
  pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible
  pg_wal_lsn_diff pg_walfile_name pg_xact_status shobj_description regoperin regoperatorin regrolein
  regconfigin regdictionaryin regcollationin regdatabasein to_regcollation to_regoper to_regoperator
  to_regrole _pg_expandarray _pg_truetypid _pg_truetypmod pg_show_all_settings
  pg_cancel_backend pg_terminate_backend pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock
  pg_advisory_unlock_all pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
  pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
  pg_try_advisory_xact_lock_shared pg_notify
`),
)

/** Which answer with a type or relation by name: what they give is text or an oid, so that no literal takes its type from it. */
const naming: ReadonlySet<string> = new Set(["pg_typeof"])

/** Their rows name relations. */
const special: ReadonlySet<string> = new Set(["obj_description", "pg_partition_ancestors"])

export type CallTreatment =
  | { readonly kind: "open" }
  | { readonly kind: "guard"; readonly guard: Guard }
  | { readonly kind: "lookup"; readonly type: string }
  | { readonly kind: "naming" }
  | { readonly kind: "description" }
  | { readonly kind: "ancestors" }
  | { readonly kind: "refused" }

const open: CallTreatment = { kind: "open" }
const refused: CallTreatment = { kind: "refused" }

/** What becomes of a call of a function of PostgreSQL's own with this name. */
export function callTreatment(name: string): CallTreatment {
  const guard = guarded.get(name)
  if (guard !== undefined) return { kind: "guard", guard }
  const type = lookups.get(name)
  if (type !== undefined) return { kind: "lookup", type }
  if (naming.has(name)) return { kind: "naming" }
  if (special.has(name))
    return name === "obj_description" ? { kind: "description" } : { kind: "ancestors" }
  return catalogueName.test(name) && !harmless.has(name) ? refused : open
}

/** True for a call that has to be looked at before a restricted reader's statement may go on. */
export function isTellingCall({ schema, name }: FunctionRef): boolean {
  if (schema !== undefined && !systemSchemas.has(schema)) return false
  return callTreatment(name).kind !== "open"
}

/** The same traits without the calls that are guarded where they stand: what they tell is no question of who may call them. */
export function withoutGuarded(traits: ReadTraits): ReadTraits {
  const functions = traits.functions.filter(({ schema, name }) => {
    if (schema !== undefined && schema !== "pg_catalog") return true
    const { kind } = callTreatment(name)
    return kind === "open" || kind === "refused"
  })
  return { ...traits, functions }
}

const systemSchemas: ReadonlySet<string> = new Set(["pg_catalog", "information_schema"])

/**
 * True when `x.name` could call a function that is not open (manual, 8.16.5); a column of that name is refused with it.
 * Functions of two arguments and more cannot be called so.
 */
export function isTellingAttribute(name: string): boolean {
  if (name === "format_type" || name === "pg_get_expr" || name === "col_description") return false
  if (registryKinds.has(name)) return true
  const { kind } = callTreatment(name)
  return kind !== "open" && !name.startsWith("has_")
}

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/)
}
