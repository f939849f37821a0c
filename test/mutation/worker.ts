import { readFileSync } from "node:fs"
import { registerHooks, stripTypeScriptTypes } from "node:module"
import { fileURLToPath, pathToFileURL } from "node:url"
import { firstFailure, forget } from "./test-shim.ts"

/** Sent by run.ts: the text that stands for one file, and the tests to run with it. */
export type Trial = {
  readonly path: string | undefined
  readonly text: string
  readonly tests: readonly string[]
}

/**
 * Tries mutants in one process: a mutant's number is a query of every module that could hold the mutated one, so that those are
 * read anew for it, while the parser and other modules that know nothing of policies stay. run.ts ends a worker that loops.
 */
const root = new URL("../../", import.meta.url).href
const shim = new URL("test-shim.ts", import.meta.url).href
const readAnew =
  /^(?:test\/unit|test\/support|src\/(?:policy|pipeline|config)\/|src\/sql\/(?:edits|emit|group-by-key|rewrite-relations|scan-conditions|verified)\.ts)/
const stripped = new Map<string, string>()
let trial = 0
let mutated: Trial = { path: undefined, text: "", tests: [] }

registerHooks({
  resolve(specifier, context, next) {
    if (specifier === "node:test") return { url: shim, format: "module", shortCircuit: true }
    const found = next(specifier, context)
    const isAnew = found.url.startsWith(root) && readAnew.test(found.url.slice(root.length))
    return isAnew ? { ...found, url: `${found.url}?${trial}` } : found
  },
  load(url, context, next) {
    const [bare = url, query] = url.split("?")
    if (query === undefined || !bare.endsWith(".ts")) return next(url, context)
    const path = fileURLToPath(bare)
    const known = stripped.get(path)
    const source =
      path === mutated.path
        ? stripTypeScriptTypes(mutated.text)
        : (known ?? stripTypeScriptTypes(readFileSync(path, "utf8")))
    if (known === undefined && path !== mutated.path) stripped.set(path, source)
    return { format: "module", source, shortCircuit: true }
  },
})

async function attempt(): Promise<string | undefined> {
  try {
    for (const test of mutated.tests) {
      forget()
      await import(pathToFileURL(test).href)
      const failure = await firstFailure()
      if (failure !== undefined) return failure
    }
    return undefined
  } catch (thrown) {
    return String(thrown)
  }
}

process.on("message", (message: Trial) => {
  mutated = message
  trial += 1
  void attempt().then((failure) => process.send?.({ failure }))
})
