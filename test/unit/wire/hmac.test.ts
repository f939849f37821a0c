import { deepEqual, equal } from "node:assert/strict"
import { createHmac } from "node:crypto"
import { it } from "node:test"
import { assert, constantFrom, property, string, uint8Array } from "fast-check"
import { unpredictable } from "../../../src/wire/random.ts"
import { hmac } from "../../../src/wire/scram.ts"

/** RFC 4231, 4.2 to 4.8: keys shorter than, as long as and longer than a block. */
const vectors: readonly (readonly [key: string, data: string, digest: string])[] = [
  [
    "0b".repeat(20),
    Buffer.from("Hi There").toString("hex"),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  ],
  [
    Buffer.from("Jefe").toString("hex"),
    Buffer.from("what do ya want for nothing?").toString("hex"),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  ],
  [
    "aa".repeat(20),
    "dd".repeat(50),
    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
  ],
  [
    "aa".repeat(131),
    Buffer.from("Test Using Larger Than Block-Size Key - Hash Key First").toString("hex"),
    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
  ],
]

it("HMAC-SHA-256 gives the digests of RFC 4231", () => {
  for (const [key, data, digest] of vectors)
    equal(
      hmac(Buffer.from(key, "hex"), Buffer.from(data, "hex").toString("latin1"), "latin1").toString(
        "hex",
      ),
      digest,
    )
})

it("HMAC-SHA-256 is Node's own for every key and text", () => {
  assert(
    property(
      uint8Array({ maxLength: 200 }),
      string({ unit: "grapheme", maxLength: 300 }),
      constantFrom("utf8" as const, "latin1" as const),
      (key, text, encoding) => {
        const expected = createHmac("sha256", key).update(text, encoding).digest()
        deepEqual(hmac(Buffer.from(key), text, encoding), expected)
      },
    ),
  )
})

it("unpredictable bytes are as many as asked for, never twice the same, and of their own memory", () => {
  const seen = new Set<string>()
  for (let round = 0; round < 2_000; round += 1) {
    const bytes = unpredictable(18)
    equal(bytes.length, 18)
    equal(bytes.buffer.byteLength, 18)
    seen.add(bytes.toString("hex"))
  }
  equal(seen.size, 2_000)
  equal(unpredictable(4096).length, 4096)
})
