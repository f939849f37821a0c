import { deepEqual, equal } from "node:assert/strict"
import { it } from "node:test"
import { Circuit } from "../../../../src/cache/shared/circuit.ts"

const limits = { failuresMax: 3, openMs: 100, openMsMax: 300 }

/** `e` enters, `s` succeeds, `f` fails, a number lets so many ms pass; what `e` gave, in order. */
function entered(script: string): boolean[] {
  let nowMs = 0
  const circuit = new Circuit(limits, () => nowMs)
  const seen: boolean[] = []
  for (const step of script.split(" ")) {
    if (step === "e") seen.push(circuit.enter())
    else if (step === "s") circuit.succeeded()
    else if (step === "f") circuit.failed()
    else nowMs += Number(step)
  }
  return seen
}

const cases: readonly (readonly [string, string, boolean[]])[] = [
  ["lets everybody through while all is well", "e s e s e", [true, true, true]],
  ["forgives failures that are not in a row", "f f s f f e", [true]],
  ["opens after failures in a row", "f f f e", [false]],
  ["lets one probe through after a while, and one only", "f f f 99 e 1 e e", [false, true, false]],
  ["closes when the probe succeeds", "f f f 100 e s e e", [true, true, true]],
  ["stays open twice as long when the probe fails", "f f f 100 e f 199 e 1 e", [true, false, true]],
  [
    "never stays open longer than its limit",
    "f f f 100 e f 200 e f 300 e f 299 e 1 e",
    [true, true, true, false, true],
  ],
  ["takes stragglers of before for no news", "f f f f f f 100 e e", [true, false]],
  [
    "begins anew after it has closed",
    "f f f 100 e f 200 e s f f e f e 100 e",
    [true, true, true, false, true],
  ],
]
for (const [title, script, expected] of cases)
  it(`a circuit ${title}`, () => deepEqual(entered(script), expected))

it("a circuit counts how often it opened", () => {
  const circuit = new Circuit(limits, () => 0)
  for (let at = 0; at < 5; at += 1) circuit.failed()
  equal(circuit.openCount, 1)
  equal(circuit.isOpen, true)
})
