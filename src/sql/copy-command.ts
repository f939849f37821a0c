import type { CopyOption, CopySource } from "../core/statement.ts"
import { type Fields, fieldsOf, listOf, nameParts, nodeFields, numberOf, textOf } from "./ast.ts"

/** The table of a COPY, with the columns listed if any are. */
export function copyTable(fields: Fields): CopySource {
  const table = fieldsOf(fields["relation"])
  const part = (key: string): string | undefined => (key in table ? textOf(table[key]) : undefined)
  const columns = "attlist" in fields ? nameParts(fields["attlist"]) : undefined
  const relation = {
    catalog: part("catalogname"),
    schema: part("schemaname"),
    name: textOf(table["relname"]),
  }
  return { kind: "table", relation, columns }
}

/** Options of COPY in the order they were written, in the old syntax and the new. */
export function copyOptions(
  fields: Fields,
  position: (location: number) => number,
): readonly CopyOption[] {
  return listOf(fields["options"]).map((item) => {
    const option = fieldsOf(nodeFields(item, "DefElem"))
    return {
      name: textOf(option["defname"]),
      value: optionValue(option["arg"]),
      position: position(numberOf(option["location"])),
    }
  })
}

/** defGetString (define.c): every scalar is its text. */
function optionValue(arg: unknown): CopyOption["value"] {
  if (arg === undefined) return undefined
  if (nodeFields(arg, "A_Star") !== undefined) return "*"
  const list = nodeFields(arg, "List")
  if (list !== undefined) return nameParts(list["items"])
  const boolean = nodeFields(arg, "Boolean")
  if (boolean !== undefined) return boolean["boolval"] === true ? "true" : "false"
  const integer = nodeFields(arg, "Integer")
  if (integer !== undefined) return String(numberOf(integer["ival"]))
  const float = nodeFields(arg, "Float")
  if (float !== undefined) return textOf(float["fval"])
  return textOf(nodeFields(arg, "String")?.["sval"])
}
