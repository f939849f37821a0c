/** Values of the first DataRow of these bytes. */
export function rowValues(bytes: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = []
  let offset = 7
  for (let column = bytes.readUInt16BE(5); column > 0; column -= 1) {
    const length = bytes.readInt32BE(offset)
    offset += 4
    values.push(length < 0 ? null : bytes.subarray(offset, offset + length))
    offset += Math.max(0, length)
  }
  return values
}

/** Values of all DataRows of these bytes. */
export function rowsOf(bytes: Buffer): (Buffer | null)[][] {
  const rows: (Buffer | null)[][] = []
  for (let offset = 0; offset < bytes.length; offset += 1 + bytes.readInt32BE(offset + 1))
    rows.push(rowValues(bytes.subarray(offset)))
  return rows
}
