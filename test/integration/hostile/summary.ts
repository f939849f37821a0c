import { type BackendMessage, readFields } from "../../support/wire-client.ts"
import { line } from "../session/support.ts"

/** Errors by severity, code and text; a result that both have to agree on to the byte. Reports may come at any time. */
export function summary(messages: readonly BackendMessage[]): string[] {
  return messages
    .filter(({ type }) => type !== "S")
    .map((message) => {
      if (message.type !== "E" && message.type !== "N") return line(message)
      const { S, C, M } = readFields(message.body)
      return `${message.type} ${S} ${C} ${M}`
    })
}
