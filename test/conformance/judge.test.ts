import { deepEqual, equal, match, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { judge } from "./compare.ts"
import { scoreLine, scoreOf, sectionOf, withSection } from "./report.ts"
import { parseScripts, type Script, withRecorded } from "./script.ts"
import { showMessage } from "./show.ts"

/** The judge and the reader of scripts: a runner that compares nothing must not pass. */

const text = (flag = ""): string => `script one
query "SELECT 1"
${flag}< DataRow "1"
< ReadyForQuery I
`

function only(source: string): Script {
  const [script] = parseScripts("file", source)
  if (script === undefined) throw new Error("no script")
  return script
}

const one = [['DataRow "1"', "ReadyForQuery I"]]
const two = [['DataRow "2"', "ReadyForQuery I"]]
const flagged = `differs: a reason
! DataRow "2"
! ReadyForQuery I
`

const verdicts: readonly (readonly [
  title: string,
  source: string,
  told: { readonly direct: string[][]; readonly gateway: string[][][] },
  problem: RegExp | undefined,
])[] = [
  ["three equal tellings pass", text(), { direct: one, gateway: [one, one] }, undefined],
  ["another answer of the gateway fails", text(), { direct: one, gateway: [two, two] }, /differs/],
  [
    "another answer of the gateway the second time fails",
    text(),
    { direct: one, gateway: [one, two] },
    /second time/,
  ],
  [
    "another answer of PostgreSQL than recorded fails",
    text(),
    { direct: two, gateway: [two, two] },
    /recorded/,
  ],
  ["a missing answer fails", text(), { direct: one, gateway: [[], []] }, /not reached/],
  ["a shorter answer fails", text(), { direct: one, gateway: [[["ReadyForQuery I"]]] }, /differs/],
  ["a silent PostgreSQL fails", text(), { direct: [["(silence)"]], gateway: [] }, /nothing more/],
  ["a flagged difference passes", text(flagged), { direct: one, gateway: [two, two] }, undefined],
  [
    "a flag that is not needed fails",
    text(flagged),
    { direct: one, gateway: [one, one] },
    /not needed/,
  ],
  [
    "another difference than the flagged one fails",
    text(flagged),
    { direct: one, gateway: [[['DataRow "3"', "ReadyForQuery I"]]] },
    /what was recorded/,
  ],
]

describe("the judge of conversations", () => {
  for (const [title, source, told, problem] of verdicts)
    it(`says that ${title}`, () => {
      const { problems } = judge(only(source), told)
      if (problem === undefined) deepEqual(problems, [])
      else match(problems.join("\n"), problem)
    })

  const error = 'ErrorResponse C="22012" M="x"'
  const source = 'script one\nquery "x"\n< ErrorResponse C="22012" M="x"\n'
  const place = ' F="int.c" L="1" R="div"'
  const otherPlace = ' F="int.c" L="2" R="div"'
  for (const [title, ours, isEqual] of [
    ["may leave out the whole place in PostgreSQL's source", error, true],
    ["may carry the same place", error + place, true],
    ["may not carry another place", error + otherPlace, false],
  ] as const)
    it(`says that an error ${title}`, () => {
      const told = { direct: [[error + place]], gateway: [[[ours]]] }
      equal(judge(only(source), told).problems.length === 0, isEqual)
    })
})

describe("the reader of scripts", () => {
  for (const [title, broken] of [
    ["a script that compares nothing", 'script one\nsend Query "x"\n'],
    ["a step that does not exist", "script one\nfrobnicate\n"],
    ["a difference of a step without an answer", "script one\nopen\ndiffers: x\n"],
    ["a string without its end", 'script one\nquery "x\n'],
    ["steps without a script", 'query "x"\n'],
  ] as const)
    it(`refuses ${title}`, () => {
      throws(() => parseScripts("file", broken), /file:\d/)
    })

  it("puts a recording back where it was read", () => {
    const source = text(flagged)
    const [step] = only(source).steps
    const lines = { golden: step?.golden ?? [], gateway: step?.gatewayGolden ?? [] }
    const again = withRecorded(source, new Map([[step?.lastLine ?? 0, lines]]))
    deepEqual(parseScripts("file", again), parseScripts("file", again))
    deepEqual(only(again).steps[0]?.golden, step?.golden)
    deepEqual(only(again).steps[0]?.gatewayGolden, step?.gatewayGolden)
  })
})

it("a message's line shows bytes behind its end", () => {
  throws(() => showMessage({ type: "Z", body: Buffer.from("IX") }), /behind its end/)
  equal(showMessage({ type: "Z", body: Buffer.from("I") }), "ReadyForQuery I")
})

it("the document holds what was run", () => {
  const verdict = judge(only(text()), { direct: one, gateway: [one] })
  const section = sectionOf([verdict], [])
  equal(scoreLine("x", scoreOf([verdict])), "x: 1 of 1 equal, 0 differ with a reason")
  const before = "a\n<!-- conformance: begin -->\nold\n<!-- conformance: end -->\nb"
  equal(withSection(before, section), `a\n${section}\nb`)
  equal(withSection("no markers", section), undefined)
})
