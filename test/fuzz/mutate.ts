import {
  bind,
  cancel,
  close,
  copyData,
  copyDone,
  describe,
  execute,
  flush,
  int32,
  parse,
  query,
  sync,
  terminate,
} from "../support/frontend-encoder.ts"

/** A small generator of our own, so that a seed names a conversation on every machine (xorshift32). */
export class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1
  }

  /** 0 up to, not with, `limit`. */
  below(limit: number): number {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state >>> 0
    return this.#state % limit
  }

  of<Value>(values: readonly [Value, ...Value[]]): Value {
    return values[this.below(values.length)] ?? values[0]
  }
}

const texts = [
  "SELECT 1",
  "SELECT x, x + 1 FROM generate_series(1, 9) g(x) ORDER BY x",
  "SELECT x FROM (VALUES (1), (2)) v(x)",
  "SHOW TimeZone",
  "SET extra_float_digits = 3",
  "BEGIN",
  "ROLLBACK",
  "SELECT 1; SELECT 2",
  "SELEC",
  "",
  "DECLARE c CURSOR FOR SELECT x FROM (VALUES (1), (2), (3)) v(x)",
  "FETCH 3 FROM c",
  "CLOSE ALL",
  "DEALLOCATE ALL",
  "SAVEPOINT a",
] as const

const names = ["", "a", "b"] as const
const limits = [0, 1, 3] as const

function batch(dice: Dice): Buffer[] {
  const name = dice.of(names)
  const portal = dice.of(names)
  return [
    parse(dice.of(texts), { name }),
    bind({ statement: name, portal }),
    describe(dice.of(["statement", "portal"]), dice.of(names)),
    execute(portal, dice.of(limits)),
    dice.of([sync, flush, close("statement", name), close("portal", portal)]),
    sync,
  ]
}

function withParameter(dice: Dice): Buffer[] {
  return [
    parse("SELECT x FROM (VALUES (1), (2)) v(x) WHERE x = $1", { types: [23] }),
    bind({ values: [dice.of(["1", "x", null, int32(7)])], formats: [dice.below(2)] }),
    execute(),
    sync,
  ]
}

/** A conversation that is sound, or at least meant so. */
export function conversation(dice: Dice): Buffer[] {
  const messages: Buffer[] = []
  for (let turn = 1 + dice.below(4); turn > 0; turn -= 1) {
    const kind = dice.below(5)
    if (kind < 2) messages.push(query(dice.of(texts)))
    else if (kind === 2) messages.push(...withParameter(dice))
    else messages.push(...batch(dice))
  }
  if (dice.below(4) === 0) messages.push(dice.of([terminate, copyDone, copyData(int32(1))]))
  return messages
}

/** Values that lengths and counts are wrong with. */
const lies = [
  0,
  1,
  3,
  4,
  5,
  100,
  9_999,
  10_001,
  65_535,
  2 ** 24,
  2 ** 31 - 1,
  -1,
  -5,
  -(2 ** 31),
] as const

function flipped(message: Buffer, dice: Dice): Buffer {
  const out = Buffer.from(message)
  for (let count = 1 + dice.below(3); count > 0 && out.length > 0; count -= 1) {
    const at = dice.below(out.length)
    out[at] = (out[at] ?? 0) ^ (1 << dice.below(8))
  }
  return out
}

function lied(message: Buffer, dice: Dice): Buffer {
  const out = Buffer.from(message)
  const at = dice.below(3) === 0 ? dice.below(Math.max(1, out.length - 4)) : 1
  if (at + 4 <= out.length) out.writeInt32BE(dice.of(lies), at)
  return out
}

function noise(dice: Dice): Buffer {
  return Buffer.from(Array.from({ length: dice.below(40) }, () => dice.below(256)))
}

/** One change of one kind, anywhere. */
function mutateOnce(messages: Buffer[], dice: Dice): void {
  const at = dice.below(messages.length)
  const message = messages[at] ?? sync
  switch (dice.below(9)) {
    case 0:
      messages[at] = flipped(message, dice)
      break
    case 1:
      messages[at] = lied(message, dice)
      break
    case 2:
      messages[at] = message.subarray(0, dice.below(message.length + 1))
      break
    case 3:
      messages.splice(at, 0, message)
      break
    case 4:
      messages.splice(at, 1, ...(messages.length > 1 ? [] : [message]))
      break
    case 5:
      messages.push(...messages.splice(at, 1))
      break
    case 6:
      messages.splice(at, 0, noise(dice))
      break
    case 7:
      messages[at] = Buffer.concat([message, noise(dice)])
      break
    default:
      messages.splice(at, 0, cancel(dice.below(1_000), int32(dice.below(1_000))))
  }
}

/** A conversation with up to three changes; one in eight has none. */
export function mutated(dice: Dice): Buffer[] {
  const messages = conversation(dice)
  for (let count = dice.below(8) === 0 ? 0 : 1 + dice.below(3); count > 0; count -= 1)
    mutateOnce(messages, dice)
  return messages
}

/** The bytes in pieces: whole, in a few parts, or (when they are few) one at a time. */
export function pieces(messages: readonly Buffer[], dice: Dice): Buffer[] {
  const bytes = Buffer.concat([...messages])
  const way = dice.below(8)
  if (way < 5 || bytes.length < 2) return [bytes]
  if (way === 5 && bytes.length < 200) return Array.from(bytes, (byte) => Buffer.from([byte]))
  const cut = 1 + dice.below(bytes.length - 1)
  return [bytes.subarray(0, cut), bytes.subarray(cut)]
}
