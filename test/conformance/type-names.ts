/** Types of pg_type by their fixed OIDs (pg_type.dat), as scripts and goldens name them. */
const names: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  regproc: 24,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  point: 600,
  float4: 700,
  float8: 701,
  unknown: 705,
  money: 790,
  inet: 869,
  bool_array: 1000,
  int2_array: 1005,
  int4_array: 1007,
  text_array: 1009,
  bpchar: 1042,
  varchar: 1043,
  int8_array: 1016,
  float8_array: 1022,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  date_array: 1182,
  interval: 1186,
  numeric_array: 1231,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  regclass: 2205,
  regtype: 2206,
  void: 2278,
  record: 2249,
  uuid: 2950,
  uuid_array: 2951,
  jsonb: 3802,
  int4range: 3904,
}

const byOid = new Map(Object.entries(names).map(([name, oid]) => [oid, name]))

/** A name from the table, or a number as it is. */
export function typeOid(name: string): number {
  const oid = names[name] ?? Number(name)
  if (!Number.isInteger(oid)) throw new Error(`no type is called ${name}`)
  return oid
}

export function typeName(oid: number): string {
  return byOid.get(oid) ?? String(oid)
}
