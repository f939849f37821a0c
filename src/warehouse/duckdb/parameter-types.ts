import {
  BIGINT,
  BLOB,
  BOOLEAN,
  blobValue,
  DATE,
  DECIMAL,
  DOUBLE,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  FLOAT,
  INTEGER,
  INTERVAL,
  LIST,
  listValue,
  SMALLINT,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  uuidValue,
  VARCHAR,
} from "@duckdb/node-api"
import { arrayOidOf, isDecimalType, isListType, PgOid } from "./type-map.ts"

/** A numeric parameter of unknown precision: as many digits as DuckDB has, ten of them behind the point. */
const numericType = DECIMAL(38, 10)

const scalars: ReadonlyMap<number, DuckDBType> = new Map<number, DuckDBType>([
  [PgOid.Bool, BOOLEAN],
  [PgOid.Bytea, BLOB],
  [PgOid.Int2, SMALLINT],
  [PgOid.Int4, INTEGER],
  [PgOid.Int8, BIGINT],
  [PgOid.Oid, BIGINT],
  [PgOid.Float4, FLOAT],
  [PgOid.Float8, DOUBLE],
  [PgOid.Numeric, numericType],
  [PgOid.Text, VARCHAR],
  [PgOid.Varchar, VARCHAR],
  [PgOid.Bpchar, VARCHAR],
  [PgOid.Name, VARCHAR],
  [PgOid.Json, VARCHAR],
  [PgOid.Jsonb, VARCHAR],
  [PgOid.Uuid, UUID],
  [PgOid.Date, DATE],
  [PgOid.Time, TIME],
  [PgOid.Timestamp, TIMESTAMP],
  [PgOid.Timestamptz, TIMESTAMPTZ],
  [PgOid.Interval, INTERVAL],
])

const elementOf = new Map([...arrayOidOf].map(([element, array]) => [array, element]))

/** DuckDB's type for a parameter that the client declared; undefined for 0 and for types DuckDB has no like of. */
export function duckdbTypeOf(oid: number): DuckDBType | undefined {
  const element = elementOf.get(oid)
  if (element === undefined) return scalars.get(oid)
  const type = scalars.get(element)
  return type === undefined ? undefined : LIST(type)
}

const samples: ReadonlyMap<DuckDBTypeId, DuckDBValue> = new Map<DuckDBTypeId, DuckDBValue>([
  [DuckDBTypeId.BOOLEAN, true],
  [DuckDBTypeId.SMALLINT, 1],
  [DuckDBTypeId.INTEGER, 1],
  [DuckDBTypeId.BIGINT, 1n],
  [DuckDBTypeId.FLOAT, 1],
  [DuckDBTypeId.DOUBLE, 1],
  [DuckDBTypeId.VARCHAR, "1"],
  [DuckDBTypeId.BLOB, blobValue(Buffer.alloc(1))],
  [DuckDBTypeId.DATE, DuckDBDateValue.Epoch],
  [DuckDBTypeId.TIME, new DuckDBTimeValue(0n)],
  [DuckDBTypeId.TIMESTAMP, DuckDBTimestampValue.Epoch],
  [DuckDBTypeId.TIMESTAMP_TZ, DuckDBTimestampTZValue.Epoch],
  [DuckDBTypeId.INTERVAL, new DuckDBIntervalValue(0, 1, 0n)],
  [DuckDBTypeId.UUID, uuidValue(1n)],
])

/** Some value of a type, for planning only; null where none is kept here. */
export function sampleOf(type: DuckDBType): DuckDBValue {
  if (isListType(type)) return listValue([sampleOf(type.valueType)])
  if (isDecimalType(type)) return new DuckDBDecimalValue(1n, type.width, type.scale)
  return samples.get(type.typeId) ?? null
}
