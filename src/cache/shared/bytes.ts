/** Why bytes are not what they should be; caught where a value is opened, and crosses no border. */
export class Malformed extends Error {
  override readonly name = "Malformed"
}

/** Reads what another process wrote. Every read is checked against the end; what it returns are slices, never copies. */
export class ByteReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#offset
  }

  u8(): number {
    const at = this.#advance(1)
    return this.#bytes.readUInt8(at)
  }

  u16(): number {
    const at = this.#advance(2)
    return this.#bytes.readUInt16BE(at)
  }

  u32(): number {
    const at = this.#advance(4)
    return this.#bytes.readUInt32BE(at)
  }

  /** A finite number that is not negative. */
  amount(): number {
    const at = this.#advance(8)
    const value = this.#bytes.readDoubleBE(at)
    if (!Number.isFinite(value) || value < 0) throw new Malformed("a number is out of range")
    return value
  }

  /** How many items follow, each of at least `itemBytesMin`: never more than the bytes left can hold. */
  count(itemBytesMin: number): number {
    const count = this.u32()
    if (count * itemBytesMin > this.left) throw new Malformed("a count exceeds the bytes there are")
    return count
  }

  slice(bytes: number): Buffer {
    const at = this.#advance(bytes)
    return this.#bytes.subarray(at, at + bytes)
  }

  /** A slice that its length in four bytes stands before. */
  block(): Buffer {
    return this.slice(this.u32())
  }

  end(): void {
    if (this.left > 0) throw new Malformed("bytes are left over")
  }

  #advance(bytes: number): number {
    const at = this.#offset
    if (bytes > this.left) throw new Malformed("the bytes end early")
    this.#offset = at + bytes
    return at
  }
}

/** Gathers pieces; `join` copies them once. */
export class ByteWriter {
  readonly #pieces: Buffer[] = []
  #bytes = 0

  u8(value: number): void {
    const piece = Buffer.allocUnsafe(1)
    piece.writeUInt8(value)
    this.piece(piece)
  }

  u16(value: number): void {
    const piece = Buffer.allocUnsafe(2)
    piece.writeUInt16BE(value)
    this.piece(piece)
  }

  u32(value: number): void {
    const piece = Buffer.allocUnsafe(4)
    piece.writeUInt32BE(value)
    this.piece(piece)
  }

  amount(value: number): void {
    const piece = Buffer.allocUnsafe(8)
    piece.writeDoubleBE(Math.max(0, value))
    this.piece(piece)
  }

  piece(bytes: Buffer): void {
    this.#pieces.push(bytes)
    this.#bytes += bytes.length
  }

  block(bytes: Buffer): void {
    this.u32(bytes.length)
    this.piece(bytes)
  }

  join(): Buffer {
    return Buffer.concat(this.#pieces, this.#bytes)
  }
}
