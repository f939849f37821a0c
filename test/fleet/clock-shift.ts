/**
 * Loaded by `--import` before a gateway: at every SIGUSR2 its wall clock jumps, forwards and back, by less than a lease and by
 * hours. The monotonic clock stays, as it does on a machine whose clock is set.
 */
const jumpsMs = [3_600_000, -300, 0, -7_200_000, 700, 86_400_000, -200, 250] as const

const realNow = Date.now
let shiftMs = 0
let jumps = 0

Date.now = () => realNow() + shiftMs

process.on("SIGUSR2", () => {
  shiftMs = jumpsMs[jumps % jumpsMs.length] ?? 0
  jumps += 1
})
