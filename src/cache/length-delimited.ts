/**
 * One part of a key in front of others: its length in UTF-16 code units, a colon, itself. No part can run into the next, so
 * that ("a", "b:c") and ("a:b", "c") differ whatever the parts hold.
 */
export function lengthDelimited(part: string): string {
  return `${part.length}:${part}`
}
