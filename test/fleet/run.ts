import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { type History, overlapsOf, timelineOf, violationsOf } from "../consistency/history.ts"
import { Random } from "../support/query-generator-random.ts"
import { type FaultName, scenes } from "./faults.ts"
import { type Calls, Fleet, leaseMs, observe } from "./fleet.ts"

/** In `npm test`: one look at what goes wrong most often. The long form is --faults all --runs 100. */
const shortForm: readonly FaultName[] = ["kill", "freeze", "flush", "partition", "frozen-gateway"]

const { values: flags } = parseArgs({
  options: {
    faults: { type: "string", default: shortForm.join(",") },
    runs: { type: "string", default: "3" },
    seed: { type: "string", default: "20261121" },
    minutes: { type: "string", default: "30" },
  },
})

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

const names = Object.keys(scenes) as FaultName[]

function asked(): FaultName[] {
  if (flags.faults === "all") return names
  return flags.faults.split(",").map((text) => {
    const name = names.find((known) => known === text)
    if (name === undefined) throw new Error(`no fault "${text}"; there are ${names.join(", ")}`)
    return name
  })
}

function share(history: History, outcome: string): number {
  return history.reads.filter((one) => one.outcome === outcome).length
}

/** Prints what happened; returns the number of problems. */
function judge(name: FaultName, runs: number, history: History, calls: Calls): number {
  const violations = violationsOf(history)
  const { reads, acks } = history
  const hits = share(history, "hit_l1")
  print(
    `${name}: ${runs} faults, ${reads.length} reads (${hits} hits in memory, ${share(history, "hit_l2")} in Redis, ${share(history, "coalesced")} coalesced, ${share(history, "miss")} misses, ${share(history, "bypass")} bypasses), ${acks.length} acknowledged changes, ${overlapsOf(history).length} reads overtaken by one, ${calls.refused} calls refused or unanswered, ${calls.pending} pending: ${violations.length} violations`,
  )
  for (const violation of violations.slice(0, 3))
    print(
      `VIOLATION: "${violation.read.shape}" of reader ${violation.read.reader} saw ${violation.relation} = ${violation.seen}, ${violation.required.counter} was acknowledged before it started\n${timelineOf(history, violation)}`,
    )
  let problems = violations.length
  if (hits + share(history, "hit_l2") < runs * 2) {
    print("too few hits: the run proves nothing about caches")
    problems += 1
  }
  if (share(history, "hit_l2") < runs) {
    print("too few hits in Redis: the run proves nothing about shared results")
    problems += 1
  }
  if (acks.length < runs) {
    print("too few acknowledgements: the run proves nothing about them")
    problems += 1
  }
  return problems
}

async function runFault(name: FaultName, seed: number): Promise<number> {
  const random = new Random(seed)
  const runs = Number(flags.runs)
  const scene = await scenes[name]()
  const fleet = await Fleet.start(scene.redisSections, scene.fleet)
  try {
    const { history, calls } = await observe(fleet, {
      seed,
      from: 1,
      minutesMax: Number(flags.minutes),
      losesSessions: scene.losesSessions === true,
      awake: () => fleet.gateways.filter((gateway) => !scene.asleep.has(gateway)),
      faults: async (isOver) => {
        for (let run = 0; run < runs && !isOver(); run += 1) {
          // Time to recover, to fill caches and to settle, or to be hit while that is under way.
          await sleep(leaseMs / 2 + random.int(leaseMs * 3))
          await scene.fault({ gateways: fleet.gateways, fleet, random })
          if ((run + 1) % 10 === 0) print(`${name}: ${run + 1} of ${runs} faults`)
        }
        await sleep(leaseMs * 3)
      },
    })
    const problems = judge(name, runs, history, calls)
    if (problems > 0) for (const gateway of fleet.gateways) print(gateway.output().slice(-2_000))
    return problems
  } finally {
    await fleet.stop()
    await scene.stop()
  }
}

async function main(): Promise<number> {
  const seed = Number(flags.seed)
  print(`fleet: seed ${seed}, a lease of ${leaseMs} ms`)
  let problems = 0
  for (const [index, name] of asked().entries()) problems += await runFault(name, seed + index)
  return problems
}

process.exitCode = (await main()) === 0 ? 0 : 1
