import { parentPort } from "node:worker_threads"
import { toGatewayError } from "../core/errors.ts"
import { packStatement, transferablesOf } from "./packed-statement.ts"
import { loadParser, parseText } from "./parser.ts"
import { packError, type WorkerReply } from "./worker-messages.ts"

/** The thread that parses large texts: one text in, statements or an error out, one at a time. */

function replyTo(text: string): WorkerReply {
  try {
    return { kind: "parsed", statements: parseText(text).map(packStatement) }
  } catch (thrown) {
    return { kind: "failed", error: packError(toGatewayError(thrown)) }
  }
}

await loadParser()
parentPort?.on("message", (text: string) => {
  const reply = replyTo(text)
  const memory = reply.kind === "parsed" ? reply.statements.flatMap(transferablesOf) : []
  parentPort?.postMessage(reply, memory)
})
