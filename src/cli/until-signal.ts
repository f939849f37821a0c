/**
 * Resolves at the first SIGINT or SIGTERM. A second one ends the process at once, for a shutdown that takes too long for
 * whoever waits.
 */
export function untilSignal(): Promise<"SIGINT" | "SIGTERM"> {
  return new Promise((resolve) => {
    let isFirst = true
    const onSignal = (signal: "SIGINT" | "SIGTERM"): void => {
      if (!isFirst) process.exit(1)
      isFirst = false
      resolve(signal)
    }
    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
  })
}
