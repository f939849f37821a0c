import { relative } from "node:path"

/** As people see it from where they stand: relative to the working folder for what is inside it. */
export function shownPath(path: string): string {
  const own = relative("", path)
  return own === "" || own.startsWith("..") ? path : own
}
