import type { ParameterSink } from "./query-generator-expressions.ts"
import type { Random } from "./query-generator-random.ts"
import type { ColumnType } from "./query-generator-schema.ts"

/** A parameter's value in both formats; `binary` is undefined where only the text is sent. */
type Value = { readonly text: string; readonly binary: Buffer | undefined }

type Chosen = {
  readonly type: ColumnType
  readonly oid: number
  readonly format: 0 | 1
  readonly value: Buffer | null
}

const oids: Readonly<Record<ColumnType, number>> = {
  int2: 21,
  int4: 23,
  int8: 20,
  numeric: 1700,
  float4: 700,
  float8: 701,
  text: 25,
  varchar: 1043,
  bpchar: 1042,
  bool: 16,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  time: 1083,
  uuid: 2950,
  json: 114,
  jsonb: 3802,
  bytea: 17,
  "int4[]": 1007,
  "text[]": 1009,
  // The enum's OID is not known beforehand: its parameters are declared unspecified and cast in the text.
  mood: 0,
}

const castNames: Partial<Record<ColumnType, string>> = { mood: "lab.mood", bpchar: "char(5)" }

function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(" ", ""), "hex")
}

function integer(bytes: 2 | 4 | 8, value: bigint): Value {
  const binary = Buffer.alloc(bytes)
  if (bytes === 2) binary.writeInt16BE(Number(value))
  else if (bytes === 4) binary.writeInt32BE(Number(value))
  else binary.writeBigInt64BE(value)
  return { text: String(value), binary }
}

function float(bytes: 4 | 8, value: number): Value {
  const binary = Buffer.alloc(bytes)
  if (bytes === 4) binary.writeFloatBE(value)
  else binary.writeDoubleBE(value)
  return { text: Object.is(value, -0) ? "-0" : String(value), binary }
}

function characters(text: string): Value {
  return { text, binary: Buffer.from(text) }
}

/** Days, or microseconds, since 2000-01-01: how dates and timestamps travel in binary. */
const epochMs = Date.UTC(2000, 0, 1)

function date(text: string): Value {
  const binary = Buffer.alloc(4)
  binary.writeInt32BE((Date.parse(`${text}T00:00:00Z`) - epochMs) / 86_400_000)
  return { text, binary }
}

function moment(text: string, suffix: string): Value {
  const binary = Buffer.alloc(8)
  binary.writeBigInt64BE(BigInt(Date.parse(`${text.replace(" ", "T")}Z`) - epochMs) * 1000n)
  return { text: `${text}${suffix}`, binary }
}

function textOnly(text: string): Value {
  return { text, binary: undefined }
}

const values: Readonly<Record<ColumnType, readonly Value[]>> = {
  int2: [integer(2, 0n), integer(2, 7n), integer(2, -1n)],
  int4: [integer(4, 1n), integer(4, 5n), integer(4, -300n), integer(4, 100n)],
  int8: [integer(8, 3n), integer(8, 5n), integer(8, 10n)],
  numeric: [
    { text: "1.5", binary: hex("0002 0000 0000 0001 0001 1388") },
    { text: "0.00", binary: hex("0000 0000 0000 0002") },
    { text: "-12.345", binary: hex("0002 0000 4000 0003 000c 0d7a") },
    { text: "NaN", binary: hex("0000 0000 c000 0000") },
  ],
  float4: [float(4, 1.5), float(4, -0), float(4, Number.NaN)],
  float8: [float(8, 0.1), float(8, Number.POSITIVE_INFINITY), float(8, 123456.789)],
  text: [
    characters("a"),
    characters(""),
    characters("O'Brien"),
    characters("日本語 🙂"),
    characters("100% _x_"),
  ],
  varchar: [characters("v3"), characters("v11")],
  bpchar: [characters("ab"), characters("abcde")],
  bool: [
    { text: "t", binary: hex("01") },
    { text: "off", binary: hex("00") },
  ],
  date: [date("2024-02-29"), date("2025-01-01"), textOnly("infinity")],
  timestamp: [moment("2024-03-31 02:30:00", ""), moment("1999-12-31 23:59:59.500", "")],
  timestamptz: [moment("2024-10-27 00:30:00", "+00"), textOnly("2025-01-01 00:00:00 Asia/Tokyo")],
  interval: [
    { text: "1 mon 2 days 03:00:00", binary: hex("00000002 83baec00 00000002 00000001") },
    textOnly("90 minutes"),
  ],
  time: [{ text: "12:00:00", binary: hex("0000000a 0eebb000") }],
  uuid: [
    {
      text: "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
      binary: hex("a0eebc999c0b4ef8bb6d6bb9bd380a11"),
    },
  ],
  json: [characters('{"a":  1}')],
  jsonb: [{ text: '{"n": 7}', binary: Buffer.concat([Buffer.from([1]), Buffer.from('{"n": 7}')]) }],
  bytea: [{ text: "\\xdead", binary: hex("dead") }],
  "int4[]": [
    {
      text: "{1,2}",
      binary: hex(
        "00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 00000002",
      ),
    },
  ],
  "text[]": [textOnly('{a,"b,c",NULL}')],
  mood: [characters("ok"), characters("happy")],
}

/** Takes values for one statement and remembers how each is declared and sent. */
export class Parameters implements ParameterSink {
  readonly #random: Random
  readonly #chosen: Chosen[] = []
  /** Statements with more parameters than this use literals again: real ones have a handful. */
  readonly countMax = 12

  constructor(random: Random) {
    this.#random = random
  }

  get count(): number {
    return this.#chosen.length
  }

  take(type: ColumnType): string {
    const random = this.#random
    if (this.#chosen.length > 0 && (this.#chosen.length >= this.countMax || random.chance(0.1))) {
      const at = this.#chosen.findIndex((chosen) => chosen.type === type)
      if (at !== -1) return this.#reference(at + 1, type, true)
    }
    const isDeclared = random.chance(0.5)
    this.#chosen.push({ type, oid: isDeclared ? oids[type] : 0, ...this.#draw(type) })
    return this.#reference(this.#chosen.length, type, !isDeclared || oids[type] === 0)
  }

  #reference(number: number, type: ColumnType, isUnsure: boolean): string {
    const needsCast = isUnsure ? this.#random.chance(0.9) : this.#random.chance(0.3)
    return needsCast ? `$${number}::${castNames[type] ?? type}` : `$${number}`
  }

  #draw(type: ColumnType): { readonly format: 0 | 1; readonly value: Buffer | null } {
    const random = this.#random
    if (random.chance(0.06)) return { format: random.pick([0, 1] as const), value: null }
    if (random.chance(0.01)) return { format: 0, value: Buffer.from("not this type") }
    if (random.chance(0.005)) return { format: 1, value: hex("0102 03") }
    const value = random.pick(values[type])
    if (value.binary !== undefined && random.chance(0.4)) return { format: 1, value: value.binary }
    return { format: 0, value: Buffer.from(value.text) }
  }

  get types(): readonly number[] {
    return this.#chosen.map((chosen) => chosen.oid)
  }

  /** One binding; `isFresh` draws other values for the same types, as a client that executes a statement again does. */
  bind(isFresh: boolean): {
    readonly formats: readonly number[]
    readonly values: readonly (Buffer | null)[]
  } {
    const drawn = isFresh ? this.#chosen.map((chosen) => this.#draw(chosen.type)) : this.#chosen
    const formats = drawn.map((one) => one.format)
    return {
      formats: formats.every((format) => format === 0) ? [] : formats,
      values: drawn.map((one) => one.value),
    }
  }
}
