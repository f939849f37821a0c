/**
 * The Emscripten factory that the package's own entry point wraps. Sluice calls it directly, because an instance that
 * threw out of WebAssembly must be replaced (parser-instance.ts) and the entry point keeps one for ever.
 */
declare module "libpg-query/wasm/libpg-query.js" {
  export type PgQueryInstance = {
    readonly HEAPU8: Uint8Array
    _malloc(bytes: number): number
    _free(pointer: number): void
    _wasm_parse_query_raw(text: number): number
    _wasm_free_parse_result(result: number): void
    _wasm_scan(text: number): number
    _wasm_free_string(text: number): void
    getValue(pointer: number, type: "i32"): number
    UTF8ToString(pointer: number): string
  }

  export type PgQueryOptions = {
    instantiateWasm(
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance) => void,
    ): void
  }

  const createInstance: (options: PgQueryOptions) => Promise<PgQueryInstance>
  export default createInstance
}

/** The part of WebAssembly's JavaScript interface that Sluice uses; neither TypeScript's es2025 nor @types/node declares it. */
declare namespace WebAssembly {
  interface Imports {
    readonly [module: string]: Readonly<Record<string, unknown>>
  }
  class Module {
    private readonly kind: "module"
  }
  class Instance {
    constructor(module: Module, imports: Imports)
    readonly exports: Readonly<Record<string, unknown>>
  }
  function compile(bytes: Uint8Array): Promise<Module>
}
