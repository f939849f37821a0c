import type { Readable, Writable } from "node:stream"

/** What a command talks to; tests hand in streams of their own. */
export type Terminal = {
  readonly input: Readable & { readonly isTTY?: boolean; setRawMode?(isRaw: boolean): unknown }
  /** For scripts: only what was asked for. */
  readonly output: Writable
  /** For people: prompts, warnings, errors. */
  readonly messages: Writable
}

export const processTerminal: Terminal = {
  input: process.stdin,
  output: process.stdout,
  messages: process.stderr,
}
