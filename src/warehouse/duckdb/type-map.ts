import {
  type DuckDBArrayType,
  type DuckDBDecimalType,
  type DuckDBListType,
  type DuckDBType,
  DuckDBTypeId,
} from "@duckdb/node-api"

/** What RowDescription says about a column (PostgreSQL manual, 54.7; pg_type.dat). */
export type PgType = {
  readonly oid: number
  /** pg_type.typlen: -1 for variable length. */
  readonly size: number
  readonly modifier: number
}

function plain(oid: number, size: number): PgType {
  return { oid, size, modifier: -1 }
}

export const PgOid = {
  Bool: 16,
  Bytea: 17,
  Name: 19,
  Int8: 20,
  Int2: 21,
  Int4: 23,
  Text: 25,
  Oid: 26,
  Json: 114,
  Float4: 700,
  Float8: 701,
  Unknown: 705,
  Bpchar: 1042,
  Varchar: 1043,
  Date: 1082,
  Time: 1083,
  Timestamp: 1114,
  Timestamptz: 1184,
  Interval: 1186,
  Timetz: 1266,
  Varbit: 1562,
  Numeric: 1700,
  Uuid: 2950,
  Jsonb: 3802,
} as const

/**
 * DuckDB's types as PostgreSQL's. Unsigned types and the one-byte integer take the next wider signed type that holds all
 * their values, beyond int8 numeric. STRUCT, MAP, UNION and VARIANT, which PostgreSQL has no types for, become json.
 */
const scalarTypes: ReadonlyMap<DuckDBTypeId, PgType> = new Map([
  [DuckDBTypeId.BOOLEAN, plain(PgOid.Bool, 1)],
  [DuckDBTypeId.TINYINT, plain(PgOid.Int2, 2)],
  [DuckDBTypeId.UTINYINT, plain(PgOid.Int2, 2)],
  [DuckDBTypeId.SMALLINT, plain(PgOid.Int2, 2)],
  [DuckDBTypeId.USMALLINT, plain(PgOid.Int4, 4)],
  [DuckDBTypeId.INTEGER, plain(PgOid.Int4, 4)],
  [DuckDBTypeId.UINTEGER, plain(PgOid.Int8, 8)],
  [DuckDBTypeId.BIGINT, plain(PgOid.Int8, 8)],
  [DuckDBTypeId.UBIGINT, plain(PgOid.Numeric, -1)],
  [DuckDBTypeId.HUGEINT, plain(PgOid.Numeric, -1)],
  [DuckDBTypeId.UHUGEINT, plain(PgOid.Numeric, -1)],
  [DuckDBTypeId.BIGNUM, plain(PgOid.Numeric, -1)],
  [DuckDBTypeId.FLOAT, plain(PgOid.Float4, 4)],
  [DuckDBTypeId.DOUBLE, plain(PgOid.Float8, 8)],
  [DuckDBTypeId.VARCHAR, plain(PgOid.Text, -1)],
  [DuckDBTypeId.ENUM, plain(PgOid.Text, -1)],
  [DuckDBTypeId.SQLNULL, plain(PgOid.Text, -1)],
  [DuckDBTypeId.BLOB, plain(PgOid.Bytea, -1)],
  [DuckDBTypeId.BIT, plain(PgOid.Varbit, -1)],
  [DuckDBTypeId.UUID, plain(PgOid.Uuid, 16)],
  [DuckDBTypeId.DATE, plain(PgOid.Date, 4)],
  [DuckDBTypeId.TIME, plain(PgOid.Time, 8)],
  [DuckDBTypeId.TIME_NS, plain(PgOid.Time, 8)],
  [DuckDBTypeId.TIME_TZ, plain(PgOid.Timetz, 12)],
  [DuckDBTypeId.TIMESTAMP, plain(PgOid.Timestamp, 8)],
  [DuckDBTypeId.TIMESTAMP_S, plain(PgOid.Timestamp, 8)],
  [DuckDBTypeId.TIMESTAMP_MS, plain(PgOid.Timestamp, 8)],
  [DuckDBTypeId.TIMESTAMP_NS, plain(PgOid.Timestamp, 8)],
  [DuckDBTypeId.TIMESTAMP_TZ, plain(PgOid.Timestamptz, 8)],
  [DuckDBTypeId.INTERVAL, plain(PgOid.Interval, 16)],
])

/** Array type of each element type (pg_type.typarray). */
export const arrayOidOf: ReadonlyMap<number, number> = new Map([
  [PgOid.Bool, 1000],
  [PgOid.Bytea, 1001],
  [PgOid.Int2, 1005],
  [PgOid.Int4, 1007],
  [PgOid.Text, 1009],
  [PgOid.Int8, 1016],
  [PgOid.Float4, 1021],
  [PgOid.Float8, 1022],
  [PgOid.Json, 199],
  [PgOid.Timestamp, 1115],
  [PgOid.Date, 1182],
  [PgOid.Time, 1183],
  [PgOid.Timestamptz, 1185],
  [PgOid.Interval, 1187],
  [PgOid.Numeric, 1231],
  [PgOid.Timetz, 1270],
  [PgOid.Varbit, 1563],
  [PgOid.Uuid, 2951],
])

export const isListType = (type: DuckDBType): type is DuckDBListType | DuckDBArrayType =>
  type.typeId === DuckDBTypeId.LIST || type.typeId === DuckDBTypeId.ARRAY

export const isDecimalType = (type: DuckDBType): type is DuckDBDecimalType =>
  type.typeId === DuckDBTypeId.DECIMAL

export const isJson = (type: DuckDBType): boolean =>
  type.typeId === DuckDBTypeId.VARCHAR && type.alias === "JSON"

/** The type of the scalars in a list of lists of ... */
export function innermostType(type: DuckDBType): DuckDBType {
  let inner = type
  while (isListType(inner)) inner = inner.valueType
  return inner
}

const json = plain(PgOid.Json, -1)

export function pgTypeOf(type: DuckDBType): PgType {
  if (isJson(type)) return json
  if (isDecimalType(type)) {
    // numeric's typmod: precision in the upper, scale in the lower half, plus the old varlena header (numeric.c).
    return { oid: PgOid.Numeric, size: -1, modifier: ((type.width << 16) | type.scale) + 4 }
  }
  if (isListType(type)) {
    // PostgreSQL has one array type for all dimensions.
    const array = arrayOidOf.get(pgTypeOf(innermostType(type)).oid)
    return array === undefined ? json : plain(array, -1)
  }
  return scalarTypes.get(type.typeId) ?? json
}
