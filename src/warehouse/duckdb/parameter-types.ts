import {
  BIGINT,
  BLOB,
  BOOLEAN,
  DATE,
  DECIMAL,
  DOUBLE,
  type DuckDBType,
  FLOAT,
  INTEGER,
  INTERVAL,
  LIST,
  SMALLINT,
  TIME,
  TIMESTAMP,
  TIMESTAMPTZ,
  UUID,
  VARCHAR,
} from "@duckdb/node-api"
import { arrayOidOf, PgOid } from "./type-map.ts"

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
