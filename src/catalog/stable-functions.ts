/**
 * What is known about functions by name, beyond their volatility. PostgreSQL's "stable" only promises one answer within one
 * statement (manual, 36.7); a cache needs one answer for as long as data and settings stay.
 */

/**
 * STABLE functions of pg_catalog whose answer depends on nothing but their arguments and settings that are in every cache
 * key (TimeZone, DateStyle, IntervalStyle, extra_float_digits, bytea_output, search_path) or that no session can change
 * (lc_numeric, lc_time). Chosen from the 540 stable names of PostgreSQL 18, which all stand with their class in
 * test/unit/catalog/postgres-18-stable-functions.txt.
 *
 * Left out although often used: to_tsvector and its kin (default_text_search_config, dictionaries), everything that reads
 * the catalogue or sizes (pg_*, obj_description, format_type, enum_range, to_reg*), *_to_xml (runs SQL), money
 * (lc_monetary), timetz (today's offset), json_populate_record and json_to_record (their input may spell 'now').
 */
export const stableSafeFunctions = names(`
  age anytextcat array_to_json array_to_string concat concat_ws convert convert_from convert_to
  date date_add date_bin date_cmp_timestamptz date_eq_timestamptz date_ge_timestamptz
  date_gt_timestamptz date_le_timestamptz date_lt_timestamptz date_ne_timestamptz date_part
  date_subtract date_trunc extract format generate_series in_range interval_pl_timestamptz
  json_agg json_agg_strict json_build_array json_build_object json_object_agg
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg
  jsonb_agg_strict jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict
  jsonb_object_agg_unique jsonb_object_agg_unique_strict jsonb_path_exists_tz
  jsonb_path_match_tz jsonb_path_query_array_tz jsonb_path_query_first_tz jsonb_path_query_tz
  length make_timestamptz overlaps quote_literal quote_nullable row_to_json string_agg
  textanycat time timestamp timestamp_cmp_timestamptz timestamp_eq_timestamptz
  timestamp_ge_timestamptz timestamp_gt_timestamptz timestamp_le_timestamptz
  timestamp_lt_timestamptz timestamp_ne_timestamptz timestamptz timestamptz_cmp_date
  timestamptz_cmp_timestamp timestamptz_eq_date timestamptz_eq_timestamp timestamptz_ge_date
  timestamptz_ge_timestamp timestamptz_gt_date timestamptz_gt_timestamp timestamptz_le_date
  timestamptz_le_timestamp timestamptz_lt_date timestamptz_lt_timestamp timestamptz_mi_interval
  timestamptz_ne_date timestamptz_ne_timestamp timestamptz_pl_interval timezone to_char to_date
  to_json to_jsonb to_number to_timestamp
`)

/** The clock decides. DuckDB calls some of these CONSISTENT, so the name counts before the volatility does. */
export const timeFunctions = names(`
  ago clock_timestamp current_date current_localtime current_localtimestamp current_time
  current_timestamp get_current_time get_current_timestamp localtime localtimestamp now
  pg_conf_load_time pg_postmaster_start_time statement_timestamp timeofday today
  transaction_timestamp
`)

/** The session decides: who asks, from where, in which transaction, with which settings. has_*_privilege belongs to them. */
export const sessionFunctions = names(`
  current_catalog current_connection_id current_database current_query current_query_id
  current_role current_schema current_schemas current_setting current_transaction_id
  current_user get_current_ts_config getdatabaseencoding getenv getpgusername getvariable
  in_search_path inet_client_addr inet_client_port inet_server_addr inet_server_port
  pg_backend_pid pg_client_encoding pg_current_snapshot pg_current_xact_id
  pg_current_xact_id_if_assigned pg_has_role pg_is_other_temp_schema pg_my_temp_schema
  row_security_active session_user set_config system_user txid_current txid_current_if_assigned
  txid_current_snapshot user version
`)

/** Expressions of the grammar that are no functions of any catalogue and answer from their arguments alone. */
export const grammarFunctions = names(`
  coalesce greatest grouping least nullif
`)

export function isPrivilegeFunction(name: string): boolean {
  return name.startsWith("has_") && name.endsWith("_privilege")
}

function names(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
