import type { Problem } from "./problems.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** `$${` stands for a literal `${`. What is put in is never looked at again, so a secret may hold any character. */
const reference = /\$\$\{|\$\{([^}]*)\}?/g
const form = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

export type SubstituteSources = {
  readonly environment: Environment
  /** Reads a secret's file; throws when it cannot. */
  readonly readSecret: (path: string) => string
}

export type Substituted =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "problem"; readonly message: Problem["message"] }

/** The variable's value; or that of the file named by `NAME_FILE`, as container platforms hand over secrets. */
function lookUp(name: string, sources: SubstituteSources): string | undefined {
  const value = sources.environment[name]
  if (value !== undefined && value !== "") return value
  const path = sources.environment[`${name}_FILE`]
  return path === undefined || path === "" ? value : sources.readSecret(path)
}

/**
 * Puts environment variables into one value of the file: `${NAME}`, or `${NAME:-default}` where the default also stands in
 * for an empty variable. An unset variable without a default is a problem, never an empty text.
 */
export function substitute(text: string, sources: SubstituteSources): Substituted {
  let problem: string | undefined
  const out = text.replaceAll(reference, (whole: string, body: string | undefined) => {
    if (whole === "$${" || problem !== undefined) return "${"
    const match = whole.endsWith("}") ? form.exec(body ?? "") : null
    if (match === null) {
      problem =
        "has a malformed reference; write ${NAME}, ${NAME:-default}, or $${ for a literal ${"
      return ""
    }
    const [, name = "", initial] = match
    let value: string | undefined
    try {
      value = lookUp(name, sources)
    } catch {
      problem = `cannot read the file that ${name}_FILE names`
      return ""
    }
    if (initial !== undefined && (value === undefined || value === "")) return initial
    if (value === undefined) problem = `environment variable ${name} is not set`
    return value ?? ""
  })
  return problem === undefined ? { kind: "text", text: out } : { kind: "problem", message: problem }
}

/** Secrets in files end in a newline because editors put it there; exactly one is taken off. */
export function trimSecret(text: string): string {
  return text.replace(/\r?\n$/, "")
}
