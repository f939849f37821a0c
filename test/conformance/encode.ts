import {
  bind,
  cancel,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  frame,
  gssEncRequest,
  packet,
  parse,
  password,
  query,
  saslInitialResponse,
  sslRequest,
  startup,
  sync,
  type Target,
  terminate,
} from "../support/frontend-encoder.ts"
import type { Part, Piece } from "./tokens.ts"
import { typeOid } from "./type-names.ts"

const formatCodes: Readonly<Record<string, number>> = { text: 0, binary: 1 }

function one(part: Part, name: string): string {
  const piece = part.options.get(name)?.[0]
  return typeof piece === "string" ? piece : ""
}

function numbers(part: Part, name: string): number[] {
  return (part.options.get(name) ?? []).map((piece) => formatCodes[String(piece)] ?? Number(piece))
}

function bytesOf(part: Part): Buffer {
  const hex = part.words.find((word) => word.startsWith("0x"))
  if (hex !== undefined) return Buffer.from(hex.slice(2), "hex")
  return Buffer.from(part.strings[0] ?? "")
}

/** Written as 0x..., or as the hexadecimal digits that `{a.key}` stands for. */
function keyOf(part: Part): Buffer {
  const piece = part.options.get("key")?.[0] ?? ""
  return typeof piece === "string" ? Buffer.from(piece, "hex") : piece
}

function targetOf(part: Part): Target {
  const [, target] = part.words
  if (target === "statement" || target === "portal") return target
  throw new Error(`${part.words[0] ?? ""} wants "statement" or "portal"`)
}

function startupOf(part: Part): Buffer {
  const parameters = Object.fromEntries(
    [...part.options]
      .filter(([name]) => name !== "protocol")
      .map(([name, pieces]) => [name, String(pieces[0] ?? "")]),
  )
  const [major, minor] = (one(part, "protocol") || "3.0").split(".").map(Number)
  return startup(parameters, { major: major ?? 3, minor: minor ?? 0 })
}

function bindOf(part: Part): Buffer {
  const values: readonly Piece[] = part.options.get("values") ?? []
  return bind({
    portal: one(part, "portal"),
    statement: one(part, "statement"),
    values,
    formats: numbers(part, "formats"),
    resultFormats: numbers(part, "results"),
  })
}

const parameterless: Readonly<Record<string, Buffer>> = {
  Sync: sync,
  Flush: flush,
  Terminate: terminate,
  CopyDone: copyDone,
  SSLRequest: sslRequest,
  GSSENCRequest: gssEncRequest,
}

/** One frontend message by its name in the manual (PostgreSQL manual, 54.7). */
export function encodePart(part: Part): Buffer {
  const [name = "", second = ""] = part.words
  const [text = ""] = part.strings
  const fixed = parameterless[name]
  if (fixed !== undefined) return fixed
  switch (name) {
    case "Query":
      return query(text)
    case "Parse": {
      const types = (part.options.get("types") ?? []).map((piece) => typeOid(String(piece)))
      return parse(text, { name: one(part, "name"), types })
    }
    case "Bind":
      return bindOf(part)
    case "Describe":
      return describe(targetOf(part), part.words[2] ?? "")
    case "Close":
      return close(targetOf(part), part.words[2] ?? "")
    case "Execute":
      return execute(one(part, "portal"), Number(one(part, "max")))
    case "CopyData":
      return copyData(bytesOf(part))
    case "CopyFail":
      return copyFail(text)
    case "Password":
      return password(text)
    case "SASLInitialResponse":
      return saslInitialResponse(second, part.strings.length > 0 ? Buffer.from(text) : undefined)
    case "Startup":
      return startupOf(part)
    case "CancelRequest":
      return cancel(Number(one(part, "pid")), keyOf(part))
    case "Frame":
      return frame(second, bytesOf({ ...part, words: part.words.slice(2) }))
    case "Packet":
      return packet(bytesOf(part))
    case "Bytes":
      return bytesOf(part)
    default:
      throw new Error(`no message is called ${name}`)
  }
}
