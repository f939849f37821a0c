import { makeVerifier } from "../wire/scram.ts"
import { PasswordRefused, readPassword } from "./read-password.ts"
import type { Terminal } from "./terminal.ts"

/** `sluice verifier`: the SCRAM-SHA-256 verifier of a password on standard input. Gives the exit code. */
export async function verifierCommand(terminal: Terminal): Promise<number> {
  try {
    terminal.output.write(`${await makeVerifier(await readPassword(terminal))}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof PasswordRefused)) throw error
    terminal.messages.write(`sluice verifier: ${error.message}\n`)
    return 1
  }
}
