import { type ErrorStage, GatewayError } from "../../core/errors.ts"
import type { Parameters } from "../../core/parameters.ts"
import type { RowBatch, RowStream, StatementDescription } from "../../core/result.ts"
import type { ShadowQuestion } from "../../core/shadow-catalogue.ts"
import { SqlState } from "../../core/sql-state.ts"

/** The few messages that a shadow is asked with and answers in (PostgreSQL manual, 54.7). */

function framed(type: string, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const head = Buffer.allocUnsafe(5)
  head[0] = type.charCodeAt(0)
  head.writeInt32BE(4 + length, 1)
  return Buffer.concat([head, ...parts])
}

function int16s(values: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(2 + 2 * values.length)
  out.writeUInt16BE(values.length, 0)
  for (const [index, value] of values.entries()) out.writeUInt16BE(value, 2 + 2 * index)
  return out
}

function parse(text: string, types: readonly number[]): Buffer {
  if (text.includes("\0")) throw malformed("a statement with a NUL")
  const oids = Buffer.allocUnsafe(2 + 4 * types.length)
  oids.writeUInt16BE(types.length, 0)
  for (const [index, oid] of types.entries()) oids.writeUInt32BE(oid, 2 + 4 * index)
  return framed("P", Buffer.from(`\0${text}\0`), oids)
}

function bind(parameters: Parameters, resultFormats: readonly number[]): Buffer {
  const values = parameters.values.flatMap((value) => {
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(value === null ? -1 : value.length, 0)
    return value === null ? [length] : [length, value]
  })
  const count = Buffer.allocUnsafe(2)
  count.writeUInt16BE(parameters.values.length, 0)
  return framed(
    "B",
    Buffer.from("\0\0"),
    int16s(parameters.formats),
    count,
    ...values,
    int16s(resultFormats),
  )
}

const sync = framed("S")

export function runMessages({ text, parameters, resultFormats }: ShadowQuestion): Buffer {
  return Buffer.concat([
    parse(text, parameters.types),
    bind(parameters, resultFormats),
    framed("D", Buffer.from("P\0")),
    framed("E", Buffer.from([0, 0, 0, 0, 0])),
    sync,
  ])
}

export function describeMessages({ text, parameters }: ShadowQuestion): Buffer {
  return Buffer.concat([parse(text, parameters.types), framed("D", Buffer.from("S\0")), sync])
}

type Reply = {
  parameterTypes: readonly number[]
  description: Buffer | undefined
  batch: RowBatch | undefined
  notices: readonly Buffer[]
  tag: string
}

/** The whole answer; throws PostgreSQL's error when it holds one. */
function read(bytes: Buffer): Reply {
  const reply: Reply = {
    parameterTypes: [],
    description: undefined,
    batch: undefined,
    notices: [],
    tag: "",
  }
  const rows: Buffer[] = []
  let awaited: ErrorStage | undefined = "parse"
  let offset = 0
  while (offset + 5 <= bytes.length) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    if (end > bytes.length || end < offset + 5) break
    const message = bytes.subarray(offset, end)
    switch (String.fromCharCode(bytes[offset] ?? 0)) {
      case "1":
        awaited = "bind"
        break
      case "2":
        awaited = undefined
        break
      case "T":
        reply.description = message
        break
      case "D":
        rows.push(message)
        break
      case "C":
        reply.tag = message.toString("utf8", 5, message.length - 1)
        break
      case "N":
        reply.notices = [...reply.notices, message]
        break
      case "t":
        reply.parameterTypes = parameterTypes(message)
        break
      case "E":
        throw postgresError(message, awaited)
      default:
    }
    offset = end
  }
  if (offset !== bytes.length) throw malformed("an answer that ends within a message")
  if (rows.length > 0) reply.batch = { bytes: Buffer.concat(rows), rowCount: rows.length }
  return reply
}

function parameterTypes(message: Buffer): readonly number[] {
  const count = message.readUInt16BE(5)
  return Array.from({ length: count }, (_, index) => message.readUInt32BE(7 + 4 * index))
}

const placed = new Set(["S", "V", "C", "M", "D", "H", "P"])

function postgresError(message: Buffer, stage: ErrorStage | undefined): GatewayError {
  const fields = new Map<string, string>()
  let offset = 5
  while (offset < message.length && message[offset] !== 0) {
    const end = message.indexOf(0, offset + 1)
    if (end === -1) throw malformed("an error that does not end")
    fields.set(String.fromCharCode(message[offset] ?? 0), message.toString("utf8", offset + 1, end))
    offset = end + 1
  }
  const position = Number(fields.get("P") ?? Number.NaN)
  const detail = fields.get("D")
  const hint = fields.get("H")
  return new GatewayError({
    sqlState: fields.get("C") ?? SqlState.InternalError,
    reason: "warehouse_error",
    stage,
    message: fields.get("M") ?? "the catalogue reported an error without a text",
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(Number.isInteger(position) ? { position } : {}),
    fields: new Map([...fields].filter(([code]) => !placed.has(code))),
  })
}

function malformed(what: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "warehouse_protocol",
    message: `the catalogue broke the protocol: ${what}`,
  })
}

export function readDescription(bytes: Buffer): StatementDescription {
  const { parameterTypes: types, description } = read(bytes)
  return { parameterTypes: types, rowDescription: description }
}

/** An answer that is here already, as rows that flow. */
export function readRows(bytes: Buffer): RowStream {
  const { description, batch, notices, tag } = read(bytes)
  let rest = batch
  return {
    description,
    completion: { tag, notices },
    next: () => {
      const next = rest
      rest = undefined
      return Promise.resolve(next)
    },
    [Symbol.dispose]: () => {
      rest = undefined
    },
  }
}
