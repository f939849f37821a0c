import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { it, mock } from "node:test"
import {
  type FollowerOutcome,
  type FollowerSeat,
  type LeaderSeat,
  SingleFlight,
} from "../../../src/cache/single-flight.ts"
import { cancelled, collidingKeys, entry, keyOf, settled } from "./entries.ts"

const key = keyOf("k")
const never = new AbortController().signal
const waitMsMax = 60_000

function flights(limits: { flightsMax?: number; followersMax?: number } = {}): SingleFlight {
  return new SingleFlight({ flightsMax: 100, followersMax: 100, ...limits })
}

function lead(flight: SingleFlight, of = key): LeaderSeat {
  const seat = flight.join(of)
  if (seat.role !== "leader") throw new Error("expected to lead")
  return seat
}

function follow(flight: SingleFlight, of = key): FollowerSeat {
  const seat = flight.join(of)
  if (seat.role !== "follower") throw new Error("expected to follow")
  return seat
}

function seatOf(outcome: FollowerOutcome): LeaderSeat {
  if (outcome.kind !== "leader") throw new Error(`expected to be promoted, was ${outcome.kind}`)
  return outcome.seat
}

it("the first caller of a key leads, later ones follow and get the leader's entry", async () => {
  const flight = flights()
  const seat = lead(flight)
  const waits = [1, 2, 3].map(() => follow(flight).wait(never, waitMsMax))
  equal(seat.followerCount, 3)
  const stored = entry({ material: "k" })
  seat.complete(stored)
  for (const wait of waits) deepEqual(await wait, { kind: "stored", entry: stored })
  equal(flight.flightCount, 0)
  equal(lead(flight).role, "leader", "the next caller starts anew")
})

it("callers of different keys, as before and after an invalidation, do not meet", () => {
  const flight = flights()
  lead(flight)
  equal(lead(flight, keyOf("k2")).role, "leader")
  equal(flight.flightCount, 2)
})

it("a key with another's digest but other material does not join its flight", () => {
  const flight = flights()
  const [one, other] = collidingKeys()
  lead(flight, one)
  lead(flight, other).complete(entry({ material: "other" }))
  equal(flight.flightCount, 1)
  follow(flight, one)
})

for (const reason of ["failed", "uncacheable"] as const)
  it(`when the leader's run is ${reason}, followers run by themselves at once`, async () => {
    const flight = flights()
    const seat = lead(flight)
    const waits = [follow(flight), follow(flight)].map((one) => one.wait(never, waitMsMax))
    seat.release(reason)
    for (const wait of waits) deepEqual(await wait, { kind: "alone", reason })
    equal(flight.flightCount, 0)
  })

it("a leader that gives up hands the flight to the follower that waits longest, the others keep waiting", async () => {
  const flight = flights()
  const seat = lead(flight)
  const first = follow(flight).wait(never, waitMsMax)
  const second = follow(flight).wait(never, waitMsMax)
  seat.abandon()
  const promoted = seatOf(await first)
  equal(promoted.followerCount, 1)
  const late = follow(flight).wait(never, waitMsMax)
  equal(flight.flightCount, 1)
  const stored = entry({ material: "k" })
  promoted.complete(stored)
  deepEqual(await second, { kind: "stored", entry: stored })
  deepEqual(await late, { kind: "stored", entry: stored })
})

it("the flight is handed on until nobody is left, and then ends", async () => {
  const flight = flights()
  let seat = lead(flight)
  const waits = [1, 2, 3].map(() => follow(flight).wait(never, waitMsMax))
  for (const wait of waits) {
    seat.abandon()
    seat = seatOf(await wait)
  }
  equal(flight.flightCount, 1)
  seat.abandon()
  equal(flight.flightCount, 0)
})

it("a seat settles once; what comes later does nothing, also after the flight was handed on", async () => {
  const flight = flights()
  const seat = lead(flight)
  const first = follow(flight).wait(never, waitMsMax)
  const second = follow(flight).wait(never, waitMsMax)
  seat.abandon()
  seat.complete(entry({ material: "wrong" }))
  seat.release("failed")
  seat.abandon()
  equal(seat.followerCount, 0)
  const promoted = seatOf(await first)
  equal(promoted.followerCount, 1)
  promoted.release("failed")
  promoted.complete(entry({ material: "wrong" }))
  deepEqual(await second, { kind: "alone", reason: "failed" })
})

it("leaving the scope of a seat without a word abandons the flight", async () => {
  const flight = flights()
  let wait: Promise<FollowerOutcome> | undefined
  {
    using _seat = lead(flight)
    wait = follow(flight).wait(never, waitMsMax)
  }
  equal((await wait).kind, "leader")
})

it("an aborted follower leaves with the signal's reason and without a trace", async () => {
  const flight = flights()
  const seat = lead(flight)
  const abort = new AbortController()
  const gone = follow(flight).wait(abort.signal, waitMsMax)
  const stays = follow(flight).wait(never, waitMsMax)
  const reason = cancelled()
  abort.abort(reason)
  await rejects(gone, reason)
  equal(seat.followerCount, 1)
  seat.abandon()
  equal((await stays).kind, "leader", "the flight is not handed to one that has gone")
})

it("a follower whose signal is aborted already never waits", async () => {
  const flight = flights()
  const seat = lead(flight)
  await rejects(follow(flight).wait(AbortSignal.abort(cancelled()), waitMsMax), {
    reason: "cancelled",
  })
  equal(seat.followerCount, 0)
})

it("an abort after the outcome changes nothing", async () => {
  const flight = flights()
  const seat = lead(flight)
  const abort = new AbortController()
  const wait = follow(flight).wait(abort.signal, waitMsMax)
  seat.complete(entry({ material: "k" }))
  abort.abort(cancelled())
  equal((await wait).kind, "stored")
})

it("a wait is bounded: then the follower runs by itself and the leader is told when it was the last", async () => {
  mock.timers.enable({ apis: ["setTimeout"] })
  try {
    const flight = flights()
    const seat = lead(flight)
    let desertions = 0
    seat.onDeserted(() => {
      desertions += 1
    })
    const short = follow(flight).wait(never, 100)
    const long = follow(flight).wait(never, 200)
    mock.timers.tick(100)
    deepEqual(await short, { kind: "alone", reason: "timeout" })
    equal(desertions, 0)
    mock.timers.tick(100)
    deepEqual(await long, { kind: "alone", reason: "timeout" })
    equal(desertions, 1)
    equal(seat.followerCount, 0)
    equal(flight.flightCount, 1)
  } finally {
    mock.timers.reset()
  }
})

it("the leader is not told of desertion when followers leave because it has ended", async () => {
  const flight = flights()
  const seat = lead(flight)
  let desertions = 0
  seat.onDeserted(() => {
    desertions += 1
  })
  const wait = follow(flight).wait(never, waitMsMax)
  seat.complete(entry({ material: "k" }))
  await wait
  equal(desertions, 0)
})

it("above followersMax a caller runs by itself, above flightsMax it leads unshared", async () => {
  const flight = flights({ flightsMax: 1, followersMax: 1 })
  lead(flight)
  void follow(flight).wait(never, 1)
  deepEqual(await follow(flight).wait(never, 1), { kind: "alone", reason: "crowded" })
  const other = keyOf("other")
  const unshared = [lead(flight, other), lead(flight, other)]
  equal(flight.flightCount, 1)
  for (const seat of unshared) seat.complete(entry({ material: "other" }))
  equal(flight.flightCount, 1, "an unshared leader does not end another's flight")
})

it("a follower that begins to wait after the end gets the outcome nevertheless", async () => {
  const flight = flights()
  const seat = lead(flight)
  const late = follow(flight)
  seat.release("failed")
  deepEqual(await late.wait(never, waitMsMax), { kind: "alone", reason: "failed" })
})

it("random interleavings: every wait ends, at most one leads at a time, and no flight is left behind", async () => {
  for (let seed = 1; seed <= 300; seed += 1) {
    let state = seed
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647
      return state % below
    }
    const flight = flights({ followersMax: 5 })
    const leaders: LeaderSeat[] = []
    const aborts: AbortController[] = []
    const ends: Promise<string>[] = []
    const observe = async (seat: FollowerSeat, signal: AbortSignal): Promise<string> => {
      try {
        const outcome = await seat.wait(signal, waitMsMax)
        if (outcome.kind === "leader") leaders.push(outcome.seat)
        return outcome.kind
      } catch {
        return "aborted"
      }
    }
    for (let step = 0; step < 40; step += 1) {
      const what = random(6)
      if (what <= 1) {
        const seat = flight.join(key)
        const abort = new AbortController()
        if (seat.role === "leader") leaders.push(seat)
        else {
          aborts.push(abort)
          ends.push(observe(seat, abort.signal))
        }
      } else if (what === 2) aborts[random(aborts.length + 1)]?.abort(cancelled())
      else if (what === 3) await settled()
      else {
        const leader = leaders.pop()
        if (leader === undefined) continue
        if (random(3) === 0) leader.complete(entry({ material: "k" }))
        else if (random(2) === 0) leader.release("failed")
        else leader.abandon()
      }
      ok(flight.flightCount <= 1)
    }
    for (let turn = 0; turn < 100 && flight.flightCount > 0; turn += 1) {
      await settled()
      for (const leader of leaders.splice(0)) leader.abandon()
    }
    await Promise.all(ends)
    equal(flight.flightCount, 0, `seed ${seed}`)
  }
})
