import type { Configuration } from "../config/configuration.ts"
import { loadConfiguration } from "../config/load.ts"
import { writeReadyFile } from "./ready-file.ts"
import type { StartGateway } from "./running-gateway.ts"
import type { Terminal } from "./terminal.ts"
import { untilSignal } from "./until-signal.ts"

export type ServeOptions = { readonly config: string; readonly readyFile?: string }

/** `sluice serve`: runs until SIGINT or SIGTERM, then drains; SIGHUP reads certificate files, policies, roles and users again. Gives the exit code. */
export async function serveCommand(
  options: ServeOptions,
  start: StartGateway,
  terminal: Terminal,
): Promise<number> {
  const read = (): Configuration => loadConfiguration(options.config, process.env)
  const configuration = read()
  const gateway = await start(configuration, read)
  const postgres = `postgresql://${configuration.listen.host}:${gateway.postgresPort}`
  const control = `http://${configuration.control.host}:${gateway.controlPort}`
  terminal.messages.write(`sluice: PostgreSQL clients at ${postgres}, control at ${control}\n`)
  if (options.readyFile !== undefined)
    writeReadyFile(options.readyFile, { postgres, control, pid: process.pid })
  const onHangup = (): void => gateway.reload()
  process.on("SIGHUP", onHangup)
  await untilSignal()
  process.off("SIGHUP", onHangup)
  await gateway.close()
  return 0
}
