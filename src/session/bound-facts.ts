import type { Parameters } from "../core/parameters.ts"
import type { FactColumn, SessionCommand } from "../core/statement.ts"

/** OID of text (pg_type.dat): what set_config's parameters are. */
const textOid = 25

function parameterOf({ fact }: FactColumn): number {
  return fact.kind === "set_config" && typeof fact.value === "number" ? fact.value : 0
}

/** Types of the parameters that a session command takes, as Describe tells them; what Parse declared stands. */
export function sessionParameterTypes(
  command: SessionCommand,
  declared: readonly number[],
): readonly number[] {
  if (command.kind !== "facts") return declared
  const used = command.columns.reduce((most, column) => Math.max(most, parameterOf(column)), 0)
  const types = [...declared]
  for (let index = 0; index < Math.max(used, declared.length); index += 1)
    types[index] = declared[index] || textOid
  return types
}

/** The command with the texts of its parameters in place. Text looks the same in both formats. */
export function boundCommand(command: SessionCommand, parameters: Parameters): SessionCommand {
  if (command.kind !== "facts" || parameters.values.length === 0) return command
  const columns = command.columns.map((column) => {
    const { label, fact } = column
    if (fact.kind !== "set_config" || typeof fact.value !== "number") return column
    const value = parameters.values[fact.value - 1]?.toString("utf8") ?? null
    return { label, fact: { ...fact, value } }
  })
  return { kind: "facts", columns }
}
