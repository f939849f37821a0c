import { examineRedis, type Finding } from "../cache/redis/examine.ts"
import { loadConfiguration } from "../config/load.ts"
import type { Environment } from "../config/substitute.ts"
import type { Terminal } from "./terminal.ts"

export type DoctorOptions = {
  readonly config: string
  readonly json: boolean
  readonly environment: Environment
}

function lineOf({ level, subject, found, mend }: Finding): string {
  const head = `${level.padEnd(7)}  ${subject}: ${found}`
  return mend === undefined ? head : `${head}\n         ${mend}`
}

/**
 * `sluice doctor`: looks at the Redis that the configuration names and tells what is wrong with it and how to mend it. Gives the
 * exit code: 0 when there is no problem (warnings may be), 1 otherwise.
 */
export async function doctorCommand(options: DoctorOptions, terminal: Terminal): Promise<number> {
  const { redis } = loadConfiguration(options.config, options.environment)
  if (redis === undefined) {
    terminal.messages.write(`${options.config} has no section redis: this instance is alone\n`)
    return 0
  }
  const findings = await examineRedis(redis)
  terminal.output.write(
    options.json
      ? `${JSON.stringify(findings, null, 2)}\n`
      : findings.map((finding) => `${lineOf(finding)}\n`).join(""),
  )
  return findings.some(({ level }) => level === "problem") ? 1 : 0
}
