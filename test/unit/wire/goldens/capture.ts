import { readFileSync, writeFileSync } from "node:fs"
import {
  bind,
  execute,
  flush,
  frame,
  parse,
  query,
  saslInitialResponse,
  saslResponse,
  startup,
  sync,
} from "../../../support/frontend-encoder.ts"
import { type BackendMessage, errors, textRows, WireClient } from "../../../support/wire-client.ts"
import { type MalformedCase, malformedCases, secondMessages } from "../malformed-cases.ts"
import { passwords } from "../passwords.ts"

/**
 * Asks a real PostgreSQL, by hand, when a case is added:
 *
 *   node test/unit/wire/goldens/capture.ts PORT PASSWORD LOGFILE
 *
 * The server needs SCRAM for user postgres, no TLS, and its log in LOGFILE: what it says only there (it closes the stream
 * without a word) is taken from the log and marked `silent`.
 */
const [, , portText = "5432", password = "", logFile = ""] = process.argv
const port = Number(portText)

type Answer = {
  /** Types of the messages that came, in order. */
  readonly types: string
  readonly S?: string
  readonly C?: string
  readonly M?: string
  readonly D?: string
  readonly silent?: string
}

/** ErrorResponse of protocol 2, which a client of that version gets: no length and no SQLSTATE. */
const oldError = /^E([A-Z]+): {2}(.*)\n\0$/

const noEnd = Buffer.from("GOLDEN")

async function ask(item: MalformedCase): Promise<Answer> {
  const logged = readFileSync(logFile, "utf8").length
  const client = await WireClient.open({ port, waitMsMax: 1_000 })
  try {
    if (item.phase === "session") {
      await client.login({ password, user: "postgres" })
      for (const [name, sql] of statements) client.send(parse(sql, { name }))
      client.send(parse("select 'unnamed'"), bind(), sync)
      await client.readUntilReady()
    }
    if (item.phase === "sasl") {
      client.send(startup({ user: "postgres" }))
      await client.readUntil("R")
    }
    client.send(item.bytes)
    if (item.phase === "session") client.send(sync)
    return await summary(await answers(client), client, logged)
  } finally {
    client.destroy()
  }
}

const statements = [
  ["zero", "select 1"],
  ["one", "select $1::text"],
  ["two", "select $1::text, $2::text"],
  ["three", "select $1::text, $2::text, $3::text"],
] as const

/** Messages until ReadyForQuery, the end, or a pause that shows that the server waits for us. */
async function answers(client: WireClient): Promise<BackendMessage[]> {
  const messages: BackendMessage[] = []
  try {
    for (;;) {
      const message = await client.read()
      messages.push(message)
      if (message.type === "Z") return messages
    }
  } catch (error) {
    const isEnd = error instanceof Error && error.name === "ConnectionClosed"
    messages.push({ type: isEnd ? "." : "?", body: noEnd })
    return messages
  }
}

async function summary(
  messages: readonly BackendMessage[],
  client: WireClient,
  logged: number,
): Promise<Answer> {
  const types = messages.map((message) => message.type).join("")
  const [fields] = errors(messages)
  if (fields !== undefined) {
    const { S = "", C = "", M = "", D } = fields
    return { types, S, C, M, ...(D === undefined ? {} : { D }) }
  }
  if (!types.endsWith(".")) return { types }
  const old = oldError.exec(client.unparsed.toString())
  if (old !== null) {
    const [, S = "", M = ""] = old
    return { types, S, M }
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  const lines = readFileSync(logFile, "utf8").slice(logged).split("\n")
  const line = lines.find((text) => text.includes("LOG:"))
  return { types, silent: line?.replace(/^.*LOG:\s+/, "") ?? "" }
}

async function askSecond(ending: string): Promise<Answer> {
  const logged = readFileSync(logFile, "utf8").length
  const client = await WireClient.open({ port, waitMsMax: 1_000 })
  client.send(startup({ user: "postgres" }))
  await client.readUntil("R")
  client.send(saslInitialResponse("SCRAM-SHA-256", Buffer.from("n,,n=,r=abcdefghijklmnopqrstuvwx")))
  const challenge = await client.read()
  const nonce = /r=([^,]+)/.exec(challenge.body.toString())?.[1] ?? ""
  const proof = Buffer.alloc(32).toString("base64")
  client.send(saslResponse(Buffer.from(ending.replace("NONCE", nonce).replace("PROOF", proof))))
  const answer = await summary(await answers(client), client, logged)
  client.destroy()
  return answer
}

function show(messages: readonly BackendMessage[]): string[] {
  return messages.map((message) => frame(message.type, message.body).toString("hex"))
}

/** Whole messages as PostgreSQL writes them, for the encoders. */
async function backendMessages(): Promise<Record<string, string[]>> {
  const seen: Record<string, string[]> = {}
  const client = await WireClient.open({ port })
  await client.login({ password, protocolMinor: 9999, parameters: { "_pq_.foo": "1" } })
  seen["login of 3.9999 with _pq_.foo"] = show(
    client.loginMessages.filter((message) => message.type !== "S"),
  )
  seen["LISTEN and NOTIFY"] = show(await client.query(query("listen c; notify c, 'payload'")))
  seen["COPY in text"] = show(await client.query(query("copy (select 1, 'ä') to stdout")))
  seen["COPY in binary"] = show(
    await client.query(query("copy (select 1::int4) to stdout (format binary)")),
  )
  seen["a syntax error"] = show(await client.query(query("select 'ü', selec x from")))
  seen["an error of PL/pgSQL"] = show(
    await client.query(
      query(
        "do $$ begin raise exception 'a message' using detail = 'a detail', hint = 'a hint', errcode = 'P0999', schema = 's', table = 't', column = 'c', datatype = 'd', constraint = 'n'; end $$",
      ),
    ),
  )
  seen["a notice"] = show(await client.query(query("drop table if exists nothing_here")))
  seen["columns of several types"] = show(
    await client.query(
      query(
        "select 1::int4 as a, 'x'::varchar(7) as \"ü b\", 1.5::numeric(8,2) as c, relname from pg_catalog.pg_class where false",
      ),
    ),
  )
  client.send(parse("select 1::int4, 'x'::text, 2::int8", { name: "f" }))
  for (const resultFormats of [[], [1], [0, 1, 1]]) {
    client.send(bind({ statement: "f", resultFormats }), frame("D", Buffer.from("P\0")))
  }
  client.send(execute("", 1), flush, sync)
  seen["Describe of a portal with formats none, 1, and 0 1 1"] = show(await client.readUntilReady())
  client.send(bind({ statement: "f", resultFormats: [1, 1] }), sync)
  seen["a Bind with result formats that disagree"] = show(await client.readUntilReady())
  client.destroy()
  return seen
}

/** Verifiers that PostgreSQL makes: what it does to a password before it derives a key shows in them. */
async function verifiers(): Promise<Record<string, string>> {
  const made: Record<string, string> = {}
  const client = await WireClient.connect({ port, password })
  for (const item of passwords) {
    const literal = `'${item.replaceAll("'", "''")}'`
    const sql = [
      "begin",
      `create role sluice_capture password ${literal}`,
      "select rolpassword from pg_authid where rolname = 'sluice_capture'",
      "rollback",
    ]
    made[item] = textRows(await client.query(query(sql.join(";"))))[0]?.[0] ?? ""
  }
  client.destroy()
  return made
}

const malformed: Record<string, Answer> = {}
for (const item of malformedCases) {
  malformed[`${item.phase}: ${item.name}`] = await ask(item)
}
for (const [name, ending] of Object.entries(secondMessages)) {
  malformed[`second: ${name}`] = await askSecond(ending)
}

function save(name: string, value: unknown): void {
  const json = JSON.stringify(value, null, 2).replace(
    /[^\n -~]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
  writeFileSync(`${import.meta.dirname}/${name}.json`, `${json}\n`)
}

save("malformed", malformed)
save("verifiers", await verifiers())
save("backend-messages", await backendMessages())
