import type { FastifyInstance } from "fastify"
import type { ControlOptions } from "./options.ts"
import type { Fault } from "./problem.ts"

/**
 * `POST /-/reload`: what SIGHUP does, with an answer. 422 when the policies have a fault: those before them stay in force, and the
 * problems are for whoever may administrate.
 */
export function reloadRoute(app: FastifyInstance, options: ControlOptions): void {
  app.post("/-/reload", { config: { scope: "admin" } }, (request, reply) => {
    const reload = options.reload()
    options.log.info("reload", { caller: request.callerName, policies: reload.kind })
    if (reload.kind === "none") return reply.send({ policies: { status: "none" } })
    if (reload.kind === "failed")
      return reply
        .code(422)
        .type("application/problem+json")
        .send({
          type: "invalid_configuration",
          title: "The policies cannot be used",
          status: 422,
          detail: `${reload.message}; the policies before stay in force`,
          errors: reload.problems.map(faultOf),
        })
    const { kind: status, version, relations } = reload
    return reply.send({ policies: { status, version, relations } })
  })
}

/** `file:line:column: path: message` as a fault with its place. */
function faultOf(line: string): Fault {
  const [path = "", ...rest] = line.split(": ")
  return rest.length === 0 ? { path: "", detail: line } : { path, detail: rest.join(": ") }
}
