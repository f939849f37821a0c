import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { it } from "node:test"
import { zstdCompressSync } from "node:zlib"
import { array, asyncProperty, assert as check, nat, record, string, uint8Array } from "fast-check"
import type { Envelope } from "../../../../src/cache/shared/envelope.ts"
import { SealingKeys } from "../../../../src/cache/shared/sealing.ts"
import {
  openValue,
  packValue,
  type ValueOptions,
} from "../../../../src/cache/shared/shared-value.ts"
import type { RowBatch, StoredResult } from "../../../../src/core/result.ts"
import { dataRow, noticeResponse } from "../../../../src/wire/backend-messages.ts"
import { batch, description, result } from "../entries.ts"

const mebibyte = 1024 ** 2
const material = "2:12\ud83d\ude00 ÿ\u0000"
const digest = createHash("sha256").update(material).digest()
const otherDigest = createHash("sha256").update("other").digest()

const plain: ValueOptions = { keys: undefined, envelopeBytesMax: mebibyte }
const first = { id: "2026-a", secret: Buffer.alloc(32, 1) }
const second = { id: "2026-b", secret: Buffer.alloc(32, 2) }
const sealed: ValueOptions = { ...plain, keys: new SealingKeys(first, []) }

const notice = noticeResponse([
  ["S", "NOTICE"],
  ["M", "as of noon"],
])

function envelope(stored: StoredResult): Envelope {
  return { material, createdWallMs: 1_790_000_000_123.5, warehouseMs: 12.25, result: stored }
}

const small = envelope(result([batch(2)]))
const large = envelope(result([batch(300, 40), batch(1), batch(500, 80)]))
const noted: Envelope = envelope({
  ...result([batch(1), { ...batch(2), notices: [notice, notice] }]),
  notices: [
    { frame: notice, stage: "parse" },
    { frame: notice, stage: undefined },
  ],
  endNotices: [notice],
})

/** What a result says, without regard to how its rows lie in buffers. */
function told({ result: stored, ...rest }: Envelope) {
  const { batches, notices = [], endNotices = [], ...others } = stored
  return { ...rest, ...others, notices, endNotices, batches: batches.map(toldBatch) }
}

function toldBatch({ bytes, rowCount, notices = [] }: RowBatch) {
  return { bytes: bytes.toString("hex"), rowCount, notices }
}

async function reopened(value: Buffer, options: ValueOptions, by = { material, digest }) {
  const opened = await openValue(value, by, options)
  return opened.kind === "opened" ? told(opened.envelope) : opened.reason
}

const shapes: readonly (readonly [string, Envelope])[] = [
  ["a small result", small],
  ["a large result", large],
  ["a result with notices everywhere", noted],
  ["no rows", envelope(result([]))],
  ["no description", envelope({ ...result([batch(1)]), description: undefined })],
  ["a result above a mebibyte", envelope(result([batch(9_000, 150)]))],
]
for (const [name, given] of shapes)
  for (const [how, options] of [
    ["plain", { ...plain, envelopeBytesMax: 4 * mebibyte }],
    ["sealed", { ...sealed, envelopeBytesMax: 4 * mebibyte }],
  ] as const)
    it(`${name} comes back as it was, ${how}`, async () => {
      const value = await packValue(given, digest, options)
      deepEqual(await reopened(value, options), told(given))
    })

it("repetitive rows are compressed, small values are not", async () => {
  ok((await packValue(large, digest, plain)).length < 3_000)
  ok((await packValue(small, digest, plain)).includes(description))
})

it("sealed values show nothing of what they hold, and no two are alike", async () => {
  const value = await packValue(small, digest, sealed)
  equal(value.includes(description), false)
  notDeepEqual(value, await packValue(small, digest, sealed))
})

it("every single byte that is changed or missing makes a sealed value a miss", async () => {
  for (const given of [small, large]) {
    const value = await packValue(given, digest, sealed)
    for (let at = 0; at < value.length; at += 1) {
      const changed = Buffer.from(value)
      changed[at] = (changed[at] ?? 0) ^ 0x10
      equal(typeof (await reopened(changed, sealed)), "string", `byte ${at}`)
      equal(typeof (await reopened(value.subarray(0, at), sealed)), "string", `cut at ${at}`)
    }
  }
})

it("a plain value with a byte changed or missing is a miss, or still says exactly the same", async () => {
  for (const given of [small, large, noted]) {
    const value = await packValue(given, digest, plain)
    let misses = 0
    for (let at = 0; at < value.length; at += 1) {
      const changed = Buffer.from(value)
      changed[at] = (changed[at] ?? 0) ^ 0x10
      // zstd's own header has bits that change nothing of what it unpacks to.
      const opened = await reopened(changed, plain)
      if (typeof opened === "string") misses += 1
      else deepEqual(opened, told(given))
      equal(typeof (await reopened(value.subarray(0, at), plain)), "string", `cut at ${at}`)
    }
    ok(misses >= value.length - 2, `${misses} misses of ${value.length}`)
  }
})

const rotated = new SealingKeys(second, [first])
const refusals: readonly {
  readonly title: string
  readonly write: ValueOptions
  readonly read: ValueOptions
  readonly by?: { readonly material: string; readonly digest: typeof digest }
  readonly reason: string
}[] = [
  {
    title: "a sealed value that was moved under another key",
    write: sealed,
    read: sealed,
    by: { material, digest: otherDigest },
    reason: "seal_broken",
  },
  {
    title: "a plain value of other key material",
    write: plain,
    read: plain,
    by: { material: `${material} `, digest },
    reason: "other_material",
  },
  {
    title: "a sealed value of other key material",
    write: sealed,
    read: sealed,
    by: { material: material.slice(1), digest },
    reason: "other_material",
  },
  {
    title: "a plain value where seals are asked for",
    write: plain,
    read: sealed,
    reason: "not_sealed_alike",
  },
  {
    title: "a sealed value where there are no keys",
    write: sealed,
    read: plain,
    reason: "not_sealed_alike",
  },
  {
    title: "a seal of a foreign key ring",
    write: sealed,
    read: { ...plain, keys: new SealingKeys(second, []) },
    reason: "unknown_seal_key",
  },
  {
    title: "a seal of another secret under the same id",
    write: sealed,
    read: { ...plain, keys: new SealingKeys({ ...first, secret: Buffer.alloc(32, 9) }, []) },
    reason: "seal_broken",
  },
  {
    title: "a result above what the reader takes",
    write: plain,
    read: { ...plain, envelopeBytesMax: 100 },
    reason: "too_large",
  },
]
for (const { title, write, read, by = { material, digest }, reason } of refusals)
  it(`${title} is refused: ${reason}`, async () => {
    const value = await packValue(small, digest, write)
    equal(await reopened(value, read, by), reason)
  })

it("keys rotate: old and new ones open while both are there, and the first one seals", async () => {
  const both = { ...plain, keys: rotated }
  const old = await packValue(small, digest, sealed)
  const fresh = await packValue(small, digest, both)
  equal(typeof (await reopened(old, both)), "object")
  equal(typeof (await reopened(fresh, both)), "object")
  equal(await reopened(fresh, sealed), "unknown_seal_key")
  equal(await reopened(old, { ...plain, keys: new SealingKeys(second, []) }), "unknown_seal_key")
})

/** A header as `packValue` writes it, around any payload. */
function framed(payload: Buffer, envelopeBytes: number, flags = 1, checksum = 0): Buffer {
  const header = Buffer.alloc(18)
  header.write("SLV1", "latin1")
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(envelopeBytes, 5)
  header.writeUInt32BE(payload.length, 9)
  header.writeUInt32BE(checksum, 13)
  return Buffer.concat([header, payload])
}

const row = batch(1).bytes
const cut = Buffer.from(row)
cut.writeUInt32BE(row.length, 1)
const wide = dataRow([Buffer.from("a"), Buffer.from("b")])
const tooFewColumns = Buffer.from(description)
tooFewColumns.writeUInt16BE(2, 5)

/** Envelopes whose parts a client's stream could get out of step over, or that say other than they hold. */
const untrue: readonly (readonly [string, StoredResult])[] = [
  ["more rows than are there", { ...result([{ bytes: row, rowCount: 2 }]), rowCount: 2 }],
  ["other rows in sum", { ...result([batch(1)]), rowCount: 3 }],
  ["a row that runs past its batch", result([{ bytes: cut, rowCount: 1 }])],
  ["half a row", result([{ bytes: row.subarray(0, 6), rowCount: 1 }])],
  ["a notice among the rows' bytes", result([{ bytes: notice, rowCount: 1 }])],
  ["rows of other columns than described", result([{ bytes: wide, rowCount: 1 }])],
  ["a description of other columns than it has", { ...small.result, description: tooFewColumns }],
  ["a row for a description", { ...small.result, description: row }],
  ["a row for a notice", { ...small.result, endNotices: [row] }],
  ["two notices in one", { ...small.result, endNotices: [Buffer.concat([notice, notice])] }],
  ["a tag with a NUL", { ...small.result, tag: "SELECT 1\0" }],
]
for (const [title, stored] of untrue)
  it(`${title}: refused, however well it is sealed`, async () => {
    for (const options of [plain, sealed]) {
      const value = await packValue(envelope(stored), digest, options)
      equal(await reopened(value, options), "malformed")
    }
  })

it("a few bytes that unpack to gigabytes are not unpacked", async () => {
  const bomb = zstdCompressSync(Buffer.alloc(64 * mebibyte))
  ok(bomb.length < 16 * 1024)
  equal(await reopened(framed(bomb, 64 * mebibyte), plain), "too_large")
  const beforeBytes = process.memoryUsage().arrayBuffers
  equal(await reopened(framed(bomb, 1_000), plain), "malformed")
  ok(process.memoryUsage().arrayBuffers - beforeBytes < 4 * mebibyte)
})

/** Garbage is refused, and never throws. */
it("whatever bytes stand under a key, they are refused", async () => {
  const anything = uint8Array({ maxLength: 400 })
  await check(
    asyncProperty(anything, nat(3), nat(2_000), async (bytes, flags, envelopeBytes) => {
      const garbage = Buffer.from(bytes)
      for (const value of [garbage, framed(garbage, envelopeBytes, flags)])
        for (const options of [plain, sealed])
          equal(typeof (await reopened(value, options)), "string")
    }),
    { numRuns: Number(process.env["FUZZ_RUNS"] ?? 2_000) },
  )
})

it("envelopes with any bytes exchanged are refused or hold whole messages, and never throw", async () => {
  const { crc32 } = await import("node:zlib")
  const { encodeEnvelope } = await import("../../../../src/cache/shared/envelope.ts")
  const whole = encodeEnvelope(noted)
  let accepted = 0
  await check(
    asyncProperty(
      array(record({ at: nat(whole.length - 1), byte: nat(255) }), { minLength: 1, maxLength: 4 }),
      async (changes) => {
        const bytes = Buffer.from(whole)
        for (const { at, byte } of changes) bytes[at] = byte
        const value = framed(bytes, bytes.length, 0, crc32(bytes))
        const opened = await openValue(value, { material, digest }, plain)
        if (opened.kind === "refused") return
        accepted += 1
        for (const { bytes: rows, rowCount } of opened.envelope.result.batches) {
          let count = 0
          for (let at = 0; at < rows.length; at += 1 + rows.readUInt32BE(at + 1)) {
            equal(rows[at], 0x44)
            count += 1
          }
          equal(count, rowCount)
        }
      },
    ),
    { numRuns: Number(process.env["FUZZ_RUNS"] ?? 5_000) },
  )
  ok(accepted > 0)
})

it("material and tags of any text come back", async () => {
  await check(
    asyncProperty(string({ unit: "binary" }), async (text) => {
      const given = { ...small, material: text }
      const value = await packValue(given, digest, plain)
      deepEqual(await reopened(value, plain, { material: text, digest }), told(given))
      equal(await reopened(value, plain, { material: `${text}x`, digest }), "other_material")
    }),
    { numRuns: 300 },
  )
})

it("rows of random bytes, which no compression makes smaller, come back", async () => {
  const bytes = batch(1, 50_000).bytes
  randomBytes(50_000).copy(bytes, bytes.length - 50_000)
  const given = envelope(result([{ bytes, rowCount: 1 }]))
  deepEqual(await reopened(await packValue(given, digest, plain), plain), told(given))
})
