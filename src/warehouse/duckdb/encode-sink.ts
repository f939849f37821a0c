const initialBytes = 128 * 1024

/**
 * Where rows are written: one growing buffer. `buffer` changes identity when it grows, so writers read it again after
 * each `ensure`.
 */
export class ByteSink {
  buffer: Buffer
  offset = 0

  constructor(capacityBytes = initialBytes) {
    this.buffer = Buffer.allocUnsafeSlow(capacityBytes)
  }

  /** Makes room for `byteCount` more bytes. */
  ensure(byteCount: number): void {
    const needed = this.offset + byteCount
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2))
    this.buffer.copy(larger, 0, 0, this.offset)
    this.buffer = larger
  }

  /** What was written, as a copy of its own; the sink starts again. A buffer that one huge value grew is let go. */
  take(): Buffer {
    const taken = Buffer.from(this.buffer.subarray(0, this.offset))
    this.offset = 0
    if (this.buffer.length > 16 * initialBytes) this.buffer = Buffer.allocUnsafeSlow(initialBytes)
    return taken
  }

  /** ASCII only. */
  ascii(text: string): void {
    this.ensure(text.length)
    this.offset += this.buffer.write(text, this.offset, "latin1")
  }

  utf8(text: string): void {
    this.ensure(text.length * 3)
    this.offset += this.buffer.write(text, this.offset, "utf8")
  }
}

const zero = 0x30

function digitCount(value: number): number {
  if (value < 10) return 1
  if (value < 100) return 2
  if (value < 1_000) return 3
  if (value < 10_000) return 4
  if (value < 100_000) return 5
  if (value < 1_000_000) return 6
  if (value < 10_000_000) return 7
  if (value < 100_000_000) return 8
  return value < 1_000_000_000 ? 9 : 10
}

/** `width` digits of `value`, zero-padded on the left; `value` is a whole number below 2^32. The caller has made room. */
export function writePadded(sink: ByteSink, value: number, width: number): void {
  const { buffer } = sink
  let rest = value
  for (let at = sink.offset + width - 1; at >= sink.offset; at--) {
    const quotient = Math.trunc(rest / 10)
    buffer[at] = zero + rest - quotient * 10
    rest = quotient
  }
  sink.offset += width
}

/** A whole number from 0 to 2^53 in decimal. The caller has made room for 16 bytes. */
export function writeUnsigned(sink: ByteSink, value: number): void {
  if (value < 1_000_000_000) {
    writePadded(sink, value, digitCount(value))
    return
  }
  const high = Math.floor(value / 1_000_000_000)
  writePadded(sink, high, digitCount(high))
  writePadded(sink, value - high * 1_000_000_000, 9)
}

export function writeByte(sink: ByteSink, byte: number): void {
  sink.buffer[sink.offset] = byte
  sink.offset += 1
}
