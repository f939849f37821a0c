/** Frontend messages as bytes, for tests. Nothing is checked: tests need broken messages as well. */

export type EncodedValue = Buffer | string | null

export function frame(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

export function text(value: string | Buffer): Buffer {
  return Buffer.concat([typeof value === "string" ? Buffer.from(value) : value, Buffer.alloc(1)])
}

export function int16(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(2 * values.length)
  for (const [index, value] of values.entries()) out.writeUInt16BE(value & 0xffff, 2 * index)
  return out
}

export function int32(...values: readonly number[]): Buffer {
  const out = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) out.writeUInt32BE(value >>> 0, 4 * index)
  return out
}

export function query(sql: string): Buffer {
  return frame("Q", text(sql))
}

export type ParseOptions = { readonly name?: string; readonly types?: readonly number[] }

export function parse(sql: string, options: ParseOptions = {}): Buffer {
  const types = options.types ?? []
  const body = [text(options.name ?? ""), text(sql), int16(types.length), int32(...types)]
  return frame("P", Buffer.concat(body))
}

export type BindOptions = {
  readonly portal?: string
  readonly statement?: string
  readonly values?: readonly EncodedValue[]
  readonly formats?: readonly number[]
  readonly resultFormats?: readonly number[]
}

export function bind(options: BindOptions = {}): Buffer {
  const { portal = "", statement = "", values = [], formats = [], resultFormats = [] } = options
  const body = [text(portal), text(statement), int16(formats.length, ...formats)]
  body.push(int16(values.length))
  for (const value of values) {
    const bytes = typeof value === "string" ? Buffer.from(value) : value
    body.push(int32(bytes?.length ?? -1), bytes ?? Buffer.alloc(0))
  }
  body.push(int16(resultFormats.length, ...resultFormats))
  return frame("B", Buffer.concat(body))
}

export type Target = "statement" | "portal"

function target(type: string, kind: Target, name: string): Buffer {
  const code = Buffer.from(kind === "statement" ? "S" : "P")
  return frame(type, Buffer.concat([code, text(name)]))
}

export function describe(kind: Target, name = ""): Buffer {
  return target("D", kind, name)
}

export function close(kind: Target, name = ""): Buffer {
  return target("C", kind, name)
}

export function execute(portal = "", rowsMax = 0): Buffer {
  return frame("E", Buffer.concat([text(portal), int32(rowsMax)]))
}

export const sync: Buffer = frame("S", Buffer.alloc(0))
export const flush: Buffer = frame("H", Buffer.alloc(0))
export const terminate: Buffer = frame("X", Buffer.alloc(0))
export const copyDone: Buffer = frame("c", Buffer.alloc(0))

export function copyData(data: Buffer): Buffer {
  return frame("d", data)
}

export function copyFail(reason: string): Buffer {
  return frame("f", text(reason))
}

/** PasswordMessage in clear text. */
export function password(value: string): Buffer {
  return frame("p", text(value))
}

export function saslInitialResponse(mechanism: string, data: Buffer | undefined): Buffer {
  const length = int32(data?.length ?? -1)
  return frame("p", Buffer.concat([text(mechanism), length, data ?? Buffer.alloc(0)]))
}

export function saslResponse(data: Buffer): Buffer {
  return frame("p", data)
}

/** A packet without a type byte: its length and `body`. */
export function packet(body: Buffer): Buffer {
  return Buffer.concat([int32(body.length + 4), body])
}

export type StartupOptions = { readonly minor?: number; readonly major?: number }

export function startup(
  parameters: Readonly<Record<string, string>>,
  options: StartupOptions = {},
): Buffer {
  const { major = 3, minor = 0 } = options
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)])
  return packet(Buffer.concat([int16(major, minor), ...pairs, Buffer.alloc(1)]))
}

export const sslRequest: Buffer = packet(int16(1234, 5679))
export const gssEncRequest: Buffer = packet(int16(1234, 5680))

export function cancel(processId: number, secretKey: Buffer): Buffer {
  return packet(Buffer.concat([int16(1234, 5678), int32(processId), secretKey]))
}
