/** Relations of PostgreSQL 18's own schemas that a restricted reader is refused: nobody has looked at what they would show. */
export const refusedRelations: readonly string[] = `
  information_schema._pg_foreign_data_wrappers information_schema._pg_foreign_servers
  information_schema._pg_foreign_table_columns information_schema._pg_foreign_tables
  information_schema._pg_user_mappings information_schema.attributes
  information_schema.check_constraint_routine_usage information_schema.column_options
  information_schema.data_type_privileges information_schema.domain_constraints
  information_schema.domain_udt_usage information_schema.foreign_data_wrapper_options
  information_schema.foreign_data_wrappers information_schema.foreign_server_options
  information_schema.foreign_servers information_schema.foreign_table_options
  information_schema.foreign_tables information_schema.parameters
  information_schema.role_routine_grants information_schema.role_udt_grants
  information_schema.role_usage_grants information_schema.routine_column_usage
  information_schema.routine_privileges information_schema.routine_routine_usage
  information_schema.routine_sequence_usage information_schema.routine_table_usage
  information_schema.triggered_update_columns information_schema.triggers
  information_schema.udt_privileges information_schema.usage_privileges
  information_schema.user_mapping_options information_schema.user_mappings
  information_schema.view_routine_usage pg_catalog.pg_aios pg_catalog.pg_authid
  pg_catalog.pg_backend_memory_contexts pg_catalog.pg_config pg_catalog.pg_db_role_setting
  pg_catalog.pg_file_settings pg_catalog.pg_foreign_server pg_catalog.pg_hba_file_rules
  pg_catalog.pg_ident_file_mappings pg_catalog.pg_init_privs pg_catalog.pg_largeobject
  pg_catalog.pg_largeobject_metadata pg_catalog.pg_locks pg_catalog.pg_prepared_statements
  pg_catalog.pg_prepared_xacts pg_catalog.pg_publication_tables pg_catalog.pg_replication_origin
  pg_catalog.pg_replication_origin_status pg_catalog.pg_replication_slots pg_catalog.pg_rules
  pg_catalog.pg_seclabel pg_catalog.pg_seclabels pg_catalog.pg_shadow
  pg_catalog.pg_shmem_allocations pg_catalog.pg_shmem_allocations_numa pg_catalog.pg_shseclabel
  pg_catalog.pg_stat_all_indexes pg_catalog.pg_stat_all_tables pg_catalog.pg_stat_archiver
  pg_catalog.pg_stat_bgwriter pg_catalog.pg_stat_checkpointer pg_catalog.pg_stat_database
  pg_catalog.pg_stat_database_conflicts pg_catalog.pg_stat_gssapi pg_catalog.pg_stat_io
  pg_catalog.pg_stat_progress_analyze pg_catalog.pg_stat_progress_basebackup
  pg_catalog.pg_stat_progress_cluster pg_catalog.pg_stat_progress_copy
  pg_catalog.pg_stat_progress_create_index pg_catalog.pg_stat_progress_vacuum
  pg_catalog.pg_stat_recovery_prefetch pg_catalog.pg_stat_replication
  pg_catalog.pg_stat_replication_slots pg_catalog.pg_stat_slru pg_catalog.pg_stat_ssl
  pg_catalog.pg_stat_subscription pg_catalog.pg_stat_subscription_stats
  pg_catalog.pg_stat_sys_indexes pg_catalog.pg_stat_sys_tables pg_catalog.pg_stat_user_functions
  pg_catalog.pg_stat_user_indexes pg_catalog.pg_stat_user_tables pg_catalog.pg_stat_wal
  pg_catalog.pg_stat_wal_receiver pg_catalog.pg_stat_xact_all_tables
  pg_catalog.pg_stat_xact_sys_tables pg_catalog.pg_stat_xact_user_functions
  pg_catalog.pg_stat_xact_user_tables pg_catalog.pg_statio_all_indexes
  pg_catalog.pg_statio_all_sequences pg_catalog.pg_statio_all_tables
  pg_catalog.pg_statio_sys_indexes pg_catalog.pg_statio_sys_sequences
  pg_catalog.pg_statio_sys_tables pg_catalog.pg_statio_user_indexes
  pg_catalog.pg_statio_user_sequences pg_catalog.pg_statio_user_tables pg_catalog.pg_statistic
  pg_catalog.pg_statistic_ext_data pg_catalog.pg_stats pg_catalog.pg_stats_ext
  pg_catalog.pg_stats_ext_exprs pg_catalog.pg_subscription pg_catalog.pg_user_mapping
  pg_catalog.pg_user_mappings
`
  .trim()
  .split(/\s+/)

/** Functions of PostgreSQL 18 that take or give an oid, or a type that names objects, and are called as they are. */
export const openFunctions: readonly string[] = `
  acldefault aclexplode amvalidate binary_upgrade_add_sub_rel_state binary_upgrade_set_missing_value
  binary_upgrade_set_next_array_pg_type_oid binary_upgrade_set_next_heap_pg_class_oid
  binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid
  binary_upgrade_set_next_index_relfilenode binary_upgrade_set_next_multirange_array_pg_type_oid
  binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid
  binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid
  binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
  binary_upgrade_set_next_toast_relfilenode btequalimage btoidcmp btvarstrequalimage
  has_database_privilege has_foreign_data_wrapper_privilege has_language_privilege
  has_largeobject_privilege has_parameter_privilege has_server_privilege has_tablespace_privilege
  hashoid hashoidextended int8 makeaclitem nameconcatoid oideq oidge oidgt oidlarger oidle oidlt
  oid oidne oidout oidsend oidsmaller pg_collation_actual_version pg_collation_is_visible
  pg_conversion_is_visible pg_database_collation_actual_version pg_database_size pg_get_userbyid
  pg_has_role pg_indexam_has_property pg_indexam_progress_phasename pg_my_temp_schema pg_is_other_temp_schema
  pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_tablespace_location
  pg_tablespace_size pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible
  pg_ts_template_is_visible shobj_description ts_parse ts_token_type
`
  .trim()
  .split(/\s+/)

/** Refused with this SQLSTATE; or these rows, columns separated by `|`, NULL as nothing. */
export type Expected = { readonly refused: string } | readonly string[]

const refused: Expected = { refused: "42501" }

/** `$hidden` is the oid of vault.topsecret, `$row` that of its row type, `$zssn` that of an index over a denied column. */
export const tenantCases: readonly (readonly [title: string, sql: string, expected: Expected])[] = [
  [
    "names of relations",
    "SELECT relname FROM pg_class WHERE relnamespace = 'main'::regnamespace ORDER BY relname COLLATE \"C\"",
    [
      "closed",
      "customers",
      "customers_email_key",
      "customers_pkey",
      "events",
      "events_low",
      "orders",
      "orders_amount",
      "orders_pkey",
      "paid",
      "peep",
      "withheld",
    ],
  ],
  [
    "columns",
    "SELECT attname FROM pg_attribute WHERE attrelid = 'main.customers'::regclass AND attnum > 0",
    ["id", "email", "note"],
  ],
  [
    "columns by information_schema",
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'customers'",
    ["id", "email", "note"],
  ],
  ["a hidden name", "SELECT oid FROM pg_class WHERE relname = 'topsecret'", []],
  ["a hidden oid", "SELECT relname FROM pg_class WHERE oid = $hidden", []],
  ["a hidden name cast", "SELECT 'vault.topsecret'::regclass IS NULL", ["t"]],
  ["a name of nothing cast", "SELECT 'vault.nothing'::regclass IS NULL", ["t"]],
  ["a visible name cast", "SELECT 'main.orders'::regclass", ["main.orders"]],
  [
    "a cast in an operator",
    "SELECT 'main.orders'::regclass = oid FROM pg_class WHERE relname = 'orders'",
    ["t"],
  ],
  [
    "a visible oid cast twice",
    "SELECT oid::regclass::text FROM pg_class WHERE relname = 'paid'",
    ["main.paid"],
  ],
  ["a hidden oid cast", "SELECT $hidden::regclass", [""]],
  ["a hidden oid cast to text", "SELECT CAST($hidden AS regclass)::text", [""]],
  ["an oid beside a cast", "SELECT COALESCE(NULL::regclass, '$hidden')::text", ["$hidden"]],
  ["an oid beside a cast in a union", "SELECT 1::regclass UNION SELECT '$hidden'", ["$hidden", ""]],
  [
    "an oid beside a column of casts",
    "SELECT COALESCE(r, '$hidden') FROM (SELECT NULL::regclass AS r) AS s",
    ["$hidden"],
  ],
  ["a type beside pg_typeof", "SELECT NULLIF(pg_typeof(1), 'x')", ["integer"]],
  ["an oid beside pg_typeof", "SELECT CASE WHEN true THEN '$row' ELSE pg_typeof(1) END", ["$row"]],
  ["an array of names", "SELECT '{$hidden}'::regclass[]", refused],
  [
    "a column of names",
    'SELECT * FROM json_to_recordset(\'[{"a": "$hidden"}]\') AS t(a regclass)',
    refused,
  ],
  ["a cast written as a call", "SELECT regclass('$hidden'::text)", refused],
  ["an input function", "SELECT regclassin('$hidden')", refused],
  ["an output function", "SELECT regclassout($hidden)", refused],
  ["a cast behind a dot", "SELECT (oid).regclass FROM pg_class", refused],
  ["a function behind a dot", "SELECT (oid).pg_get_viewdef FROM pg_class", refused],
  [
    "to_regclass",
    "SELECT to_regclass('vault.topsecret') IS NULL, to_regclass('main.orders') IS NULL",
    ["t|f"],
  ],
  [
    "to_regtype",
    "SELECT to_regtype('vault.topsecret') IS NULL, to_regtype('integer')",
    ["t|integer"],
  ],
  ["a type's oid", "SELECT $row::regtype, 'integer'::regtype", ["|integer"]],
  ["to_regnamespace", "SELECT to_regnamespace('vault'), to_regnamespace('main')", ["|main"]],
  ["format_type", "SELECT format_type($row, NULL), format_type(23, NULL)", ["|integer"]],
  ["a row type", "SELECT (NULL::vault.topsecret).*", { refused: "42704" }],
  ["a row type of denied columns", "SELECT (NULL::main.customers).*", { refused: "42704" }],
  [
    "a row type in a record function",
    "SELECT * FROM json_populate_record(NULL::vault.topsecret, '{}')",
    { refused: "42704" },
  ],
  ["a visible row type", "SELECT (NULL::main.orders).amount", [""]],
  ["a view's definition", "SELECT pg_get_viewdef('main.paid'::regclass) ~ 'amount'", ["t"]],
  [
    "a view's definition that names what is hidden",
    "SELECT pg_get_viewdef('main.peep'::regclass)",
    [""],
  ],
  [
    "a view's definition that names a denied column",
    "SELECT pg_get_viewdef('main.withheld')",
    [""],
  ],
  [
    "pg_views",
    "SELECT viewname, definition IS NULL FROM pg_views WHERE schemaname = 'main' ORDER BY 1",
    ["paid|f", "peep|t", "withheld|t"],
  ],
  ["rules", "SELECT count(*) FROM pg_rewrite WHERE ev_action IS NOT NULL", ["0"]],
  [
    "a rule's definition",
    "SELECT count(pg_get_ruledef(oid)) FROM pg_rewrite WHERE ev_class IN ('main.peep'::regclass, 'main.withheld'::regclass)",
    ["0"],
  ],
  [
    "constraints",
    "SELECT conname FROM pg_constraint WHERE conrelid IN ('main.orders'::regclass, 'main.customers'::regclass) AND contype <> 'n' ORDER BY 1",
    ["customers_email_key", "customers_pkey", "email_form", "orders_customer_fkey", "orders_pkey"],
  ],
  [
    "a constraint's definition",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'orders_customer_fkey'",
    ["FOREIGN KEY (customer) REFERENCES main.customers(id)"],
  ],
  [
    "definitions of all constraints by oid",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE pg_get_constraintdef(n::oid) ~ 'keyhole|zssn'",
    ["0"],
  ],
  [
    "definitions of all indexes by oid",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE pg_get_indexdef(n::oid) ~ 'keyhole|zssn'",
    ["0"],
  ],
  [
    "definitions of all triggers by oid",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE pg_get_triggerdef(n::oid) ~ 'zssn'",
    ["0"],
  ],
  [
    "definitions of all statistics by oid",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE pg_get_statisticsobjdef(n::oid) ~ 'zssn'",
    ["0"],
  ],
  [
    "names of all oids",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE n::regclass::text ~ 'vault|topsecret|zssn|copied|closed_low'",
    ["0"],
  ],
  [
    "types of all oids",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE n::regtype::text ~ 'topsecret' OR format_type(n::oid, NULL) ~ 'topsecret'",
    ["0"],
  ],
  [
    "functions of all oids",
    "SELECT count(*) FROM generate_series(16384, 17000) AS n WHERE pg_get_functiondef(n::oid) IS NOT NULL OR pg_get_function_arguments(n::oid) ~ 'topsecret' OR n::regprocedure::text ~ 'topsecret'",
    ["0"],
  ],
  [
    "expressions against a table with denied columns",
    "SELECT pg_get_expr(conbin, 'main.customers'::regclass) FROM pg_constraint WHERE conname = 'email_form'",
    [""],
  ],
  [
    "a default of such a table",
    "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'main.customers'::regclass",
    ["'it''s'::text"],
  ],
  ["a function's text", "SELECT prosrc FROM pg_proc WHERE proname = 'plus'", [""]],
  ["a function over a hidden row", "SELECT count(*) FROM pg_proc WHERE proname = 'tell'", ["0"]],
  [
    "a function's definition",
    "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = 'plus'",
    [""],
  ],
  [
    "comments",
    "SELECT description FROM pg_description WHERE objoid >= 16384 ORDER BY 1",
    ["in euro", "what was bought"],
  ],
  [
    "a comment by oid",
    "SELECT obj_description($hidden), obj_description($hidden, 'pg_class'), obj_description('main.orders'::regclass, 'pg_class')",
    ["||what was bought"],
  ],
  [
    "a comment of a denied column",
    "SELECT col_description('main.customers'::regclass, 4), col_description('main.orders'::regclass, 4)",
    ["|in euro"],
  ],
  [
    "a comment in a catalogue that the text does not name",
    "SELECT obj_description(oid, lower('PG_CLASS')) FROM pg_class",
    refused,
  ],
  [
    "privileges on a name",
    "SELECT has_table_privilege('vault.topsecret', 'select'), has_table_privilege('vault.nothing', 'select'), has_table_privilege('main.orders', 'select')",
    ["||t"],
  ],
  [
    "privileges on a column",
    "SELECT has_column_privilege('main.customers', 'zssn', 'select'), has_column_privilege('main.customers', 'nothing', 'select'), has_column_privilege('main.customers', 'id', 'select')",
    ["||t"],
  ],
  [
    "privileges on a schema",
    "SELECT has_schema_privilege('vault', 'usage'), has_schema_privilege('nothing', 'usage'), has_schema_privilege('main', 'usage')",
    ["||t"],
  ],
  [
    "sizes",
    "SELECT pg_relation_size('main.customers'), pg_table_size('main.customers_pkey'), pg_total_relation_size($hidden), pg_relation_size('main.orders')",
    ["|||8192"],
  ],
  [
    "estimates",
    "SELECT relname, reltuples, relpages FROM pg_class WHERE relname IN ('customers', 'customers_pkey', 'orders') ORDER BY 1",
    ["customers|-1|0", "customers_pkey|-1|0", "orders|77|1"],
  ],
  [
    "estimates of TOAST tables",
    "SELECT count(*) FROM pg_class WHERE relkind = 't' AND oid >= 16384",
    ["0"],
  ],
  [
    "a size with a window",
    "SELECT pg_relation_size(first_value(oid) OVER ()) FROM pg_class",
    refused,
  ],
  [
    "an error on a hidden row",
    "SELECT relname::integer FROM pg_class WHERE relname LIKE 'topsec%'",
    [],
  ],
  [
    "partitions",
    "SELECT relid::regclass FROM pg_partition_ancestors('main.events_low')",
    ["main.events_low", "main.events"],
  ],
  [
    "partitions of what cannot be read",
    "SELECT relid::regclass FROM pg_partition_ancestors('main.closed_low')",
    [],
  ],
  ["a partition tree", "SELECT * FROM pg_partition_tree('main.closed')", refused],
  ["a partition's root", "SELECT pg_partition_root('main.closed_low')", refused],
  ["pg_describe_object", "SELECT pg_describe_object(1259, $hidden, 0)", refused],
  ["pg_identify_object", "SELECT * FROM pg_identify_object(1259, $hidden, 0)", refused],
  [
    "pg_get_object_address",
    "SELECT * FROM pg_get_object_address('table', '{vault,topsecret}', '{}')",
    refused,
  ],
  ["pg_filenode_relation", "SELECT pg_filenode_relation(0, 1)", refused],
  ["pg_input_is_valid", "SELECT pg_input_is_valid('vault.topsecret', 'regclass')", refused],
  ["pg_get_serial_sequence", "SELECT pg_get_serial_sequence('vault.topsecret', 'keyhole')", [""]],
  [
    "a private function of information_schema",
    "SELECT information_schema._pg_index_position($zssn, 1::smallint)",
    refused,
  ],
  ["counters", "SELECT * FROM pg_stat_user_tables", refused],
  ["counters by function", "SELECT pg_stat_get_live_tuples('main.orders'::regclass)", refused],
  ["policies of the server", "SELECT count(*) FROM pg_policies", ["0"]],
  ["a plan", "EXPLAIN SELECT * FROM pg_class", refused],
  ["a system column", "SELECT xmin FROM pg_class", refused],
  ["samples", "SELECT relname FROM pg_class TABLESAMPLE SYSTEM (100)", refused],
  [
    "schemas",
    "SELECT nspname FROM pg_namespace ORDER BY 1",
    ["information_schema", "main", "pg_catalog"],
  ],
  [
    "a dependency",
    "SELECT count(*) FROM pg_depend WHERE refobjid = $hidden OR objid = $zssn",
    ["0"],
  ],
  [
    "a label",
    "SELECT oid::regclass, 'main.orders'::regclass FROM pg_class WHERE relname = 'orders'",
    ["main.orders|main.orders"],
  ],
]
