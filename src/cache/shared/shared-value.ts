import { promisify } from "node:util"
import {
  constants,
  crc32,
  zstdCompress,
  zstdCompressSync,
  zstdDecompress,
  zstdDecompressSync,
} from "node:zlib"
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts"
import { decodeEnvelope, type Envelope, encodeEnvelope } from "./envelope.ts"
import { type SealingKeys, sealBytes } from "./sealing.ts"

/** Why a value that was found is not used. Closed: a metric label. */
export const valueRefusals = [
  /** Bytes that no gateway of this version wrote: cut, garbled, or of another format. */
  "malformed",
  /** Larger than this instance takes, packed or unpacked. */
  "too_large",
  /** Sealed although no keys are configured, or not sealed although they are. */
  "not_sealed_alike",
  /** Sealed with a key that this instance has not. */
  "unknown_seal_key",
  /** Changed after it was sealed, or moved from under another key. */
  "seal_broken",
  /** Of other key material: not the answer to this question. */
  "other_material",
] as const

export type ValueRefusal = (typeof valueRefusals)[number]

export type Opened =
  | { readonly kind: "opened"; readonly envelope: Envelope }
  | { readonly kind: "refused"; readonly reason: ValueRefusal }

export type ValueOptions = {
  /** Undefined: values are neither sealed nor taken when they are. */
  readonly keys: SealingKeys | undefined
  /** Largest envelope, unpacked. A value that claims more is not unpacked. */
  readonly envelopeBytesMax: number
}

const magic = Buffer.from("SLV1", "latin1")
const compressedFlag = 1
const sealedFlag = 2

/** Below it compression saves less than it costs. */
const compressBytesMin = 1024

/**
 * From here on (de)compression leaves the event loop. It takes about 2 ms for 1 MiB; the way to a worker thread and back was
 * seen to add 0.4 ms, which is more than all of the work for 100 kB.
 */
const offLoopBytes = 1024 * 1024

/** The fastest level: level 3 was seen to save 0 to 2 % more on rows. */
const compression = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

const compressOffLoop = promisify(zstdCompress)
const decompressOffLoop = promisify(zstdDecompress)

/**
 * An envelope as the value of a shared tier:
 *
 *   magic "SLV1" | flags u8 | envelope bytes u32 | payload bytes u32 | CRC-32 of the envelope u32, 0 when sealed |
 *   key id (length u8) | payload
 *
 * The payload is the envelope, compressed with zstd from 1 KiB on, then sealed. The seal covers the header, too.
 * `digest` is the SHA-256 of the key it is stored under.
 */
export async function packValue(
  envelope: Envelope,
  digest: Buffer,
  { keys }: ValueOptions,
): Promise<Buffer> {
  const plain = encodeEnvelope(envelope)
  const packed = plain.length < compressBytesMin ? plain : await compressed(plain)
  const isCompressed = packed.length < plain.length
  const header = new ByteWriter()
  header.piece(magic)
  header.u8((isCompressed ? compressedFlag : 0) | (keys === undefined ? 0 : sealedFlag))
  const payload = isCompressed ? packed : plain
  header.u32(plain.length)
  header.u32(payload.length + (keys === undefined ? 0 : sealBytes))
  header.u32(keys === undefined ? crc32(plain) : 0)
  const id = Buffer.from(keys?.activeId ?? "", "utf8")
  header.u8(id.length)
  header.piece(id)
  const head = header.join()
  if (keys === undefined) return Buffer.concat([head, payload])
  return Buffer.concat([head, keys.seal(payload, digest, Buffer.concat([head, digest]))])
}

/** Never rejects, whatever the bytes are. `material` is that of the key it was found under. */
export async function openValue(
  value: Buffer,
  asked: { readonly material: string; readonly digest: Buffer },
  options: ValueOptions,
): Promise<Opened> {
  try {
    const header = readHeader(value)
    if (header.envelopeBytes > options.envelopeBytesMax) return refused("too_large")
    if (value.length > options.envelopeBytesMax + headerBytesMax + sealBytes)
      return refused("too_large")
    const payload = unsealed(value, header, asked.digest, options.keys)
    if (!Buffer.isBuffer(payload)) return refused(payload)
    const plain = header.isCompressed ? await decompressed(payload, header) : payload
    if (plain.length !== header.envelopeBytes) return refused("malformed")
    if (!header.isSealed && crc32(plain) !== header.checksum) return refused("malformed")
    const envelope = decodeEnvelope(plain)
    if (envelope.material !== asked.material) return refused("other_material")
    return { kind: "opened", envelope }
  } catch {
    // Malformed, or zstd's own word for bytes it cannot unpack.
    return refused("malformed")
  }
}

/** Magic, flags, sizes and the longest key id. */
const headerBytesMax = 18 + 255

type Header = {
  readonly isCompressed: boolean
  readonly isSealed: boolean
  readonly envelopeBytes: number
  readonly checksum: number
  readonly keyId: string
  readonly bytes: number
}

function readHeader(value: Buffer): Header {
  const input = new ByteReader(value)
  if (!input.slice(magic.length).equals(magic)) throw new Malformed("another magic")
  const flags = input.u8()
  if (flags > (compressedFlag | sealedFlag)) throw new Malformed("unknown flags")
  const envelopeBytes = input.u32()
  const payloadBytes = input.u32()
  const checksum = input.u32()
  const keyId = input.slice(input.u8()).toString("utf8")
  if (input.left !== payloadBytes) throw new Malformed("the payload has another length")
  return {
    isCompressed: (flags & compressedFlag) !== 0,
    isSealed: (flags & sealedFlag) !== 0,
    envelopeBytes,
    checksum,
    keyId,
    bytes: value.length - input.left,
  }
}

function unsealed(
  value: Buffer,
  header: Header,
  digest: Buffer,
  keys: SealingKeys | undefined,
): Buffer | ValueRefusal {
  const payload = value.subarray(header.bytes)
  if (header.isSealed !== (keys !== undefined)) return "not_sealed_alike"
  if (keys === undefined) return header.keyId === "" ? payload : "malformed"
  if (!keys.has(header.keyId)) return "unknown_seal_key"
  const bound = Buffer.concat([value.subarray(0, header.bytes), digest])
  return keys.open(payload, { id: header.keyId, digest, bound }) ?? "seal_broken"
}

async function compressed(plain: Buffer): Promise<Buffer> {
  if (plain.length < offLoopBytes) return zstdCompressSync(plain, compression)
  return compressOffLoop(plain, compression)
}

/** At most the bytes that the header told and that were found acceptable: what would unpack to more is an error. */
async function decompressed(packed: Buffer, { envelopeBytes }: Header): Promise<Buffer> {
  const options = {
    maxOutputLength: Math.max(1, envelopeBytes),
    chunkSize: Math.max(64, envelopeBytes),
  }
  if (envelopeBytes < offLoopBytes) return zstdDecompressSync(packed, options)
  return decompressOffLoop(packed, options)
}

function refused(reason: ValueRefusal): Opened {
  return { kind: "refused", reason }
}
