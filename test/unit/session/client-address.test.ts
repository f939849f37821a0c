import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { addressKey } from "../../../src/session/client-address.ts"

const keys: readonly (readonly [address: string | undefined, key: string])[] = [
  ["10.1.2.3", "10.1.2.3"],
  ["::ffff:10.1.2.3", "10.1.2.3"],
  ["::ffff:a01:203", "10.1.2.3"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002:ffff::1", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["64:ff9b::10.1.2.3", "64:ff9b:0:0::/64"],
  ["1:2:3:4:5:6:10.1.2.3", "1:2:3:4::/64"],
  [undefined, "unknown"],
]

describe("an address counts as", () => {
  for (const [address, key] of keys)
    it(`${address} -> ${key}`, () => equal(addressKey(address), key))
})
