import { isIPv6 } from "node:net"

/** Bytes of an IPv6 address that a network hands to one customer; the rest are his to choose. */
const networkBytes = 8

/**
 * What limits by address count by: an IPv4 address, also where it comes mapped into IPv6, or the /64 of an IPv6 address,
 * because whoever has one address of a /64 has all of them (RFC 6177). A socket that is gone already has no address.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return "unknown"
  if (!isIPv6(address)) return address
  const groups = expandGroups(address)
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) {
    const [high = 0, low = 0] = groups.slice(6)
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".")
  }
  const network = groups.slice(0, networkBytes / 2).map((group) => group.toString(16))
  return `${network.join(":")}::/64`
}

/** The eight groups of an address that is known to be one (RFC 4291, 2.2). */
function expandGroups(address: string): number[] {
  const [plain = ""] = address.split("%")
  const [head = "", tail] = plain.split("::")
  const before = readGroups(head)
  if (tail === undefined) return before
  const after = readGroups(tail)
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0)
  return [...before, ...zeros, ...after]
}

function readGroups(text: string): number[] {
  return text.split(":").flatMap((group) => {
    if (group === "") return []
    if (!group.includes(".")) return [Number.parseInt(group, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number)
    return [a * 256 + b, c * 256 + d]
  })
}
