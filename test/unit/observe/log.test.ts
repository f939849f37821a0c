import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError, InvariantViolation } from "../../../src/core/errors.ts"
import { SqlState } from "../../../src/core/sql-state.ts"
import { createLog, type LogOptions } from "../../../src/observe/log.ts"
import { prettyLine } from "../../../src/observe/log-pretty.ts"
import { scrub } from "../../../src/observe/scrub.ts"

function record(level: LogOptions["level"], format: LogOptions["format"] = "json") {
  const lines: string[] = []
  const log = createLog({ level, format, write: (line) => lines.push(line) })
  return { log, lines, first: () => JSON.parse(lines[0] ?? "null") }
}

describe("the log", () => {
  it("writes one JSON object a line with time, level, room and message", () => {
    const { log, lines, first } = record("info")
    log.child("session").info("login", { user: "alice" })
    equal(lines.length, 1)
    const { time, ...rest } = first()
    match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    deepEqual(rest, {
      level: "info",
      pid: process.pid,
      room: "session",
      user: "alice",
      message: "login",
    })
  })

  it("keeps to its level", () => {
    const { log, lines } = record("warn")
    log.info("no")
    log.debug("no")
    log.warn("yes")
    equal(lines.length, 1)
    deepEqual([log.isEnabled("info"), log.isEnabled("error")], [false, true])
  })

  it("shows SQL at debug and trace only", () => {
    const { log, lines } = record("trace")
    const fields = { sql: "select secret", user: "alice" }
    for (const level of ["fatal", "error", "warn", "info", "debug", "trace"] as const)
      log[level]("statement", fields)
    deepEqual(
      lines.map((line) => line.includes("select secret")),
      [false, false, false, false, true, true],
    )
  })

  it("hides fields that hold secrets, also inside others", () => {
    const { log, lines } = record("info")
    log.info("start", {
      password: "hunter2",
      warehouse: { uri: "hunter2", name: "mart" },
      request: { headers: { authorization: "hunter2" } },
    })
    doesNotMatch(lines.join(), /hunter2/)
    match(lines.join(), /"name":"mart"/)
  })

  it("hides secrets in messages and in the errors of others", () => {
    const { log, lines } = record("info")
    const cause = new Error("connect to postgres://u:hunter2@h/d failed")
    log.error("dial postgres://u:hunter2@h/d", { error: new Error("x", { cause }) })
    doesNotMatch(lines.join(), /hunter2/)
    match(lines.join(), /postgres:\/\/u:\*\*\*@h\/d failed/)
  })

  it("tells reason and SQLSTATE of an error, a stack only for bugs, and never its detail", () => {
    const refusal = new GatewayError({
      sqlState: SqlState.InvalidPassword,
      reason: "invalid_password",
      message: "password authentication failed",
      detail: "Key (ssn)=(123) exists",
    })
    const { log, first } = record("info")
    log.warn("login failed", { error: refusal })
    deepEqual(first().error, {
      name: "GatewayError",
      message: "password authentication failed",
      reason: "invalid_password",
      sqlState: "28P01",
    })
    const bug = record("info")
    bug.log.error("bug", { error: new InvariantViolation("lost") })
    match(bug.first().error.stack, /log\.test\.ts/)
  })

  it("cannot be made to write a second line", () => {
    for (const format of ["json", "pretty"] as const) {
      const { log, lines } = record("info", format)
      log.info("a\r\nb\u001b[2J\u0085", { user: "x\ny\u2028" })
      equal(lines.join("").split(/\r|\n/).length, 2)
      if (format === "pretty") doesNotMatch(lines.join("").slice(0, -1), /\p{Cc}/u)
    }
  })

  it("is readable when pretty", () => {
    const line = prettyLine(
      '{"level":"info","time":"2026-08-20T10:11:12.345Z","pid":1,"room":"session","user":"al","n":{"a":1},"message":"hi"}\n',
    )
    equal(line, '10:11:12.345 info  session   hi user=al n={"a":1}\n')
    equal(prettyLine("no json\n"), "no json\n")
  })
})

describe("scrubbing", () => {
  for (const [text, scrubbed] of [
    ["postgres://u:p@h:1/d", "postgres://u:***@h:1/d"],
    ["postgresql://u:p@ss@h/d x", "postgresql://u:***@h/d x"],
    ["redis://:p@h", "redis://:***@h"],
    ["https://h:80/x", "https://h:80/x"],
    ["see a:b@c", "see a:b@c"],
    ["Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"],
    ["verifier SCRAM-SHA-256$4096:x$y:z.", "verifier SCRAM-SHA-256$***"],
  ] as const)
    it(`turns ${text} into ${scrubbed}`, () => equal(scrub(text), scrubbed))

  it("is linear on hostile text", () => {
    const text = "postgres://".repeat(20_000)
    equal(scrub(text), text)
  })
})
