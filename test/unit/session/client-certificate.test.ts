import { deepEqual, equal } from "node:assert/strict"
import { describe, it } from "node:test"
import {
  alternativeNames,
  type CertificateRule,
  certificateFits,
  distinguishedName,
} from "../../../src/session/client-certificate.ts"

/** Subjects as Node 24 gave them for certificates of openssl, and RFC 2253's form. */
const subjects: readonly (readonly [subject: string | undefined, name: string])[] = [
  ["CN=reader", "CN=reader"],
  ["O=Example\nOU=Data\\, Inc.\nCN=reader", "CN=reader,OU=Data\\, Inc.,O=Example"],
  ["O=Example\nOU=x y + CN=reader", "OU=x y+CN=reader,O=Example"],
  ['O=Ex \\+ am\\"ple\nCN=r', 'CN=r,O=Ex \\+ am\\"ple'],
  [undefined, ""],
]

describe("a subject is written", () => {
  for (const [subject, name] of subjects)
    it(JSON.stringify(name), () => equal(distinguishedName(subject), name))
})

const lists: readonly (readonly [list: string | undefined, names: readonly string[]])[] = [
  [undefined, []],
  ["", []],
  ["DNS:a.example.com", ["DNS:a.example.com"]],
  [
    "DNS:a.example.com, URI:spiffe://x/y, email:a@b.c, IP Address:0:0:0:0:0:0:0:1",
    ["DNS:a.example.com", "URI:spiffe://x/y", "email:a@b.c", "IP Address:0:0:0:0:0:0:0:1"],
  ],
  // Values that could pass for two names come quoted: they match nothing, and hide nothing behind them.
  ['DNS:"evil.example.com, DNS:good.example.com", DNS:b.example.com', ["DNS:b.example.com"]],
  ["DNS:a,b", []],
  ['DNS:a"b', []],
]

describe("alternative names are read", () => {
  for (const [list, names] of lists)
    it(JSON.stringify(list), () => deepEqual(alternativeNames(list), names))
})

const certificate = {
  commonName: "etl",
  distinguishedName: "CN=etl,O=Example",
  alternativeNames: ["DNS:etl.example.com"],
}

const rules: readonly (readonly [rule: CertificateRule, fits: boolean])[] = [
  [{}, true],
  [{ cn: "etl" }, true],
  [{ cn: "ETL" }, false],
  [{ cn: "" }, false],
  [{ dn: "CN=etl,O=Example" }, true],
  [{ dn: "CN=etl" }, false],
  [{ san: "DNS:etl.example.com" }, true],
  [{ san: "email:etl.example.com" }, false],
  [{ cn: "etl", san: "DNS:other.example.com" }, false],
  [{ cn: "etl", dn: "CN=etl,O=Example", san: "DNS:etl.example.com" }, true],
]

describe("a rule about certificates", () => {
  for (const [rule, fits] of rules)
    it(`${JSON.stringify(rule)} ${fits ? "takes" : "refuses"} it`, () => {
      equal(certificateFits(rule, { kind: "valid", certificate }), fits)
      equal(certificateFits(rule, { kind: "none" }), false)
      equal(certificateFits(rule, { kind: "invalid", problem: "cert revoked" }), false)
    })

  it("about a common name refuses a certificate without one", () => {
    const nameless = { ...certificate, commonName: undefined }
    equal(certificateFits({ cn: "etl" }, { kind: "valid", certificate: nameless }), false)
    equal(certificateFits({}, { kind: "valid", certificate: nameless }), true)
  })
})
