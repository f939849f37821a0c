/**
 * STABLE functions of pg_catalog that answer from their arguments and from settings that stand in every cache key (TimeZone,
 * DateStyle, IntervalStyle, extra_float_digits, bytea_output, search_path), so that a view may call them and stay
 * cacheable. Everything else that is not immutable makes its view uncacheable. By oid's name *and* argument count where one
 * overload reads the clock: age(x) does, age(x, y) does not (and is immutable or listed as such by PostgreSQL).
 */
export const stableSafeFunctions: ReadonlySet<string> = new Set(
  `anytextcat array_to_json array_to_string concat concat_ws convert convert_from convert_to
  date date_add date_bin date_cmp_timestamptz date_eq_timestamptz date_ge_timestamptz
  date_gt_timestamptz date_le_timestamptz date_lt_timestamptz date_ne_timestamptz date_part
  date_subtract date_trunc extract format generate_series in_range interval_pl_timestamptz
  json_agg json_agg_strict json_build_array json_build_object json_object_agg
  json_object_agg_strict json_object_agg_unique json_object_agg_unique_strict jsonb_agg
  jsonb_agg_strict jsonb_build_array jsonb_build_object jsonb_object_agg jsonb_object_agg_strict
  jsonb_object_agg_unique jsonb_object_agg_unique_strict length make_timestamptz overlaps
  quote_literal quote_nullable row_to_json string_agg textanycat time timestamp
  timestamp_cmp_timestamptz timestamp_eq_timestamptz timestamp_ge_timestamptz
  timestamp_gt_timestamptz timestamp_le_timestamptz timestamp_lt_timestamptz
  timestamp_ne_timestamptz timestamptz timestamptz_cmp_date timestamptz_cmp_timestamp
  timestamptz_eq_date timestamptz_eq_timestamp timestamptz_ge_date timestamptz_ge_timestamp
  timestamptz_gt_date timestamptz_gt_timestamp timestamptz_le_date timestamptz_le_timestamp
  timestamptz_lt_date timestamptz_lt_timestamp timestamptz_mi_interval timestamptz_ne_date
  timestamptz_ne_timestamp timestamptz_pl_interval timezone to_char to_date to_json to_jsonb
  to_number to_timestamp`.split(/\s+/),
)
