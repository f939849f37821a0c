/**
 * Node tags that may occur in a statement that only reads. An allow-list: a tag that is not here (a statement inside a
 * CTE, a node of a later grammar) makes the statement something else than a read.
 */
export const readNodes: ReadonlySet<string> = new Set([
  // statements and FROM
  "SelectStmt",
  "CommonTableExpr",
  "RangeVar",
  "RangeSubselect",
  "RangeFunction",
  "RangeTableSample",
  "RangeTableFunc",
  "RangeTableFuncCol",
  "JoinExpr",
  "JsonTable",
  "JsonTableColumn",
  "JsonTablePathSpec",
  "ColumnDef",
  "CollateClause",
  "List",
  "String",
  "Integer",
  "Float",
  "Boolean",
  "BitString",
  // targets and clauses
  "ResTarget",
  "SortBy",
  "WindowDef",
  "GroupingSet",
  "GroupingFunc",
  // expressions
  "A_ArrayExpr",
  "A_Const",
  "A_Expr",
  "A_Indices",
  "A_Indirection",
  "A_Star",
  "BoolExpr",
  "BooleanTest",
  "CaseExpr",
  "CaseWhen",
  "CoalesceExpr",
  "ColumnRef",
  "FuncCall",
  "MinMaxExpr",
  "NamedArgExpr",
  "NullTest",
  "ParamRef",
  "RowExpr",
  "SQLValueFunction",
  "SubLink",
  "TypeCast",
  "TypeName",
  "XmlExpr",
  "XmlSerialize",
  // SQL/JSON
  "JsonAggConstructor",
  "JsonArgument",
  "JsonArrayAgg",
  "JsonArrayConstructor",
  "JsonArrayQueryConstructor",
  "JsonBehavior",
  "JsonFormat",
  "JsonFuncExpr",
  "JsonIsPredicate",
  "JsonKeyValue",
  "JsonObjectAgg",
  "JsonObjectConstructor",
  "JsonOutput",
  "JsonParseExpr",
  "JsonReturning",
  "JsonScalarExpr",
  "JsonSerializeExpr",
  "JsonValueExpr",
])

/** Grammar-level expressions and the pg_catalog functions that PostgreSQL runs for them. */
export const nodeFunctions: ReadonlyMap<string, readonly string[]> = new Map([
  ["JsonObjectConstructor", ["json_build_object"]],
  ["JsonArrayConstructor", ["json_build_array"]],
  ["JsonArrayQueryConstructor", ["json_agg"]],
  ["JsonObjectAgg", ["json_object_agg"]],
  ["JsonArrayAgg", ["json_agg"]],
  ["JsonFuncExpr", ["jsonb_path_query"]],
  ["JsonTable", ["jsonb_path_query"]],
  ["JsonParseExpr", ["json_in"]],
  ["JsonScalarExpr", ["to_json"]],
  ["JsonSerializeExpr", ["json_out"]],
  ["RangeTableFunc", ["xpath"]],
  ["XmlExpr", ["xml_in"]],
  ["XmlSerialize", ["xml_out"]],
])

/**
 * Columns that every table has and that tell about storage, not about data (manual, 5.6). `oid` has been a plain column
 * name since PostgreSQL 12.
 */
export const systemColumns: ReadonlySet<string> = new Set([
  "ctid",
  "xmin",
  "xmax",
  "cmin",
  "cmax",
  "tableoid",
])

/** Types whose input looks a name up in the catalogue, with the function that does it (`'t'::regclass`: regclassin). */
export const registryTypes: ReadonlySet<string> = new Set([
  "regclass",
  "regcollation",
  "regconfig",
  "regdictionary",
  "regnamespace",
  "regoper",
  "regoperator",
  "regproc",
  "regprocedure",
  "regrole",
  "regtype",
  "regdatabase",
])

/** Types whose input reads `now`, `today` and the like. */
export const timeTypes: ReadonlySet<string> = new Set([
  "date",
  "time",
  "timetz",
  "timestamp",
  "timestamptz",
  "abstime",
  "daterange",
  "tsrange",
  "tstzrange",
  "datemultirange",
  "tsmultirange",
  "tstzmultirange",
])

/** Functions and operators that make new texts: a time word may be put together from parts (`('to' || 'day')::date`). */
export const textBuilders: ReadonlySet<string> = new Set([
  "||",
  "btrim",
  "chr",
  "concat",
  "concat_ws",
  "convert_from",
  "encode",
  "array_to_string",
  "format",
  "initcap",
  "left",
  "lower",
  "lpad",
  "ltrim",
  "normalize",
  "overlay",
  "quote_literal",
  "regexp_replace",
  "regexp_substr",
  "repeat",
  "replace",
  "reverse",
  "right",
  "rpad",
  "rtrim",
  "split_part",
  "string_agg",
  "substr",
  "substring",
  "translate",
  "unistr",
  "upper",
])

/** Functions whose value is the clock's (of the transaction, the statement or the moment). */
export const clockFunctions: ReadonlySet<string> = new Set([
  "now",
  "transaction_timestamp",
  "statement_timestamp",
  "clock_timestamp",
  "timeofday",
])

/** Functions that tell about the session, beyond the grammar's CURRENT_USER and its kin. */
export const sessionFunctions: ReadonlySet<string> = new Set([
  "current_database",
  "current_query",
  "current_role",
  "current_schema",
  "current_schemas",
  "current_setting",
  "current_user",
  "getpgusername",
  "inet_client_addr",
  "inet_client_port",
  "inet_server_addr",
  "inet_server_port",
  "pg_backend_pid",
  "pg_conf_load_time",
  "pg_my_temp_schema",
  "pg_postmaster_start_time",
  "session_user",
  "set_config",
  "system_user",
  "user",
])
