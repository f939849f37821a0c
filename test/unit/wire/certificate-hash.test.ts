import { equal } from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { describe, it } from "node:test"
import { serverEndPointHash } from "../../../src/wire/certificate-hash.ts"

const { raw, fingerprint256 } = new X509Certificate(
  readFileSync(new URL("../../integration/postgres/tls/server.crt", import.meta.url)),
)

// Certificates of every kind, against a real PostgreSQL: test/integration/tls/channel-binding.test.ts.
describe("the hash of a server certificate", () => {
  it("is the one of its signature", () => {
    equal(
      serverEndPointHash(raw)?.toString("hex"),
      fingerprint256.replaceAll(":", "").toLowerCase(),
    )
  })

  it("does not exist for bytes that are no certificate, wherever they break off", () => {
    equal(serverEndPointHash(Buffer.alloc(0)), undefined)
    equal(serverEndPointHash(Buffer.from("not a certificate")), undefined)
    equal(serverEndPointHash(Buffer.from([0x30, 0x84, 0xff, 0xff, 0xff, 0xff])), undefined)
    for (let length = 0; length < raw.length; length += 7)
      equal(serverEndPointHash(raw.subarray(0, length)), undefined)
  })

  it("does not exist for a signature that is not known", () => {
    const sha256WithRsa = Buffer.from("2a864886f70d01010b", "hex")
    const changed = Buffer.from(raw)
    const at = changed.lastIndexOf(sha256WithRsa)
    changed[at + sha256WithRsa.length - 1] = 0x63
    equal(serverEndPointHash(changed), undefined)
  })
})
