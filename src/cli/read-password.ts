import type { Terminal } from "./terminal.ts"

/** Longer than any password that PostgreSQL clients send (libpq stops at about 1000 bytes). */
const passwordBytesMax = 1024

/** Thrown when the person pressed Ctrl-C or Ctrl-D at the prompt, or gave nothing. */
export class PasswordRefused extends Error {
  override readonly name = "PasswordRefused"
}

const enter = new Set(["\r", "\n"])
const erase = new Set(["\u007f", "\b"])
const giveUp = new Set(["\u0003", "\u0004"])

/**
 * A password from standard input. At a terminal it is asked for twice without echo; from a pipe it is everything up to the
 * first newline. Throws {@link PasswordRefused} when it is empty, too long, or the two differ.
 */
export async function readPassword(terminal: Terminal): Promise<string> {
  if (terminal.input.isTTY !== true) return checked(await readLine(terminal))
  const first = await readHidden(terminal, "Password: ")
  const second = await readHidden(terminal, "Again: ")
  if (first !== second) throw new PasswordRefused("the two passwords differ")
  return checked(first)
}

function checked(password: string): string {
  if (password === "") throw new PasswordRefused("the password is empty")
  if (Buffer.byteLength(password) > passwordBytesMax)
    throw new PasswordRefused(`the password is longer than ${passwordBytesMax} bytes`)
  if (password.includes("\0")) throw new PasswordRefused("the password has a NUL character")
  return password
}

async function readLine({ input }: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let byteCount = 0
  for await (const chunk of input) {
    const bytes = Buffer.from(chunk as string | Uint8Array)
    chunks.push(bytes)
    byteCount += bytes.length
    if (bytes.includes(0x0a) || byteCount > passwordBytesMax + 2) break
  }
  const [line = ""] = Buffer.concat(chunks).toString("utf8").split("\n", 1)
  return line.replace(/\r$/, "")
}

/** Raw mode: the terminal neither echoes nor edits, so Backspace and Ctrl-C are handled here. */
function readHidden({ input, messages }: Terminal, prompt: string): Promise<string> {
  messages.write(prompt)
  return new Promise((resolve, reject) => {
    let typed: string[] = []
    const finish = (settle: () => void) => {
      input.off("data", onData)
      input.setRawMode?.(false)
      input.pause()
      messages.write("\n")
      settle()
    }
    const onData = (chunk: Buffer | string) => {
      for (const char of chunk.toString("utf8")) {
        if (enter.has(char)) return finish(() => resolve(typed.join("")))
        if (giveUp.has(char)) return finish(() => reject(new PasswordRefused("cancelled")))
        if (erase.has(char)) typed = typed.slice(0, -1)
        else typed.push(char)
      }
      return undefined
    }
    input.setRawMode?.(true)
    input.on("data", onData)
    input.resume()
  })
}
