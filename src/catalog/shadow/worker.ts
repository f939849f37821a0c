import { parentPort, workerData } from "node:worker_threads"
import { PGlite } from "@electric-sql/pglite"
import type { ShadowReady, ShadowReply, ShadowStart, ShadowTask } from "./messages.ts"

/**
 * A whole PostgreSQL in this thread, holding one visibility's schema without rows. It serves one task at a time. Clients'
 * statements run as a role without rights beyond SELECT, in a READ ONLY transaction that is always rolled back.
 */

const clientRole = "sluice_client"
/** Bootstrap superuser under a predefined-looking name: psql and others hide roles that start with pg_. */
const ownerRole = "pg_warehouse"

/** The heap of one shadow; 120 MB is seen in use. A statement that wants more gets 53200, out of memory. */
const heapBytesMax = 512 * 1024 * 1024
/** Files of sorts and hashes are in this process's memory, too. */
const temporaryFileBytesMax = 64 * 1024 * 1024
/** An answer is kept whole; beyond it the statement fails with 54000. All of pg_proc is 1 MB. */
const answerBytesMax = 64 * 1024 * 1024

/**
 * The heap grows at PGlite's will up to 2 GB and never shrinks. A refused growth is a failed malloc to PostgreSQL, which
 * ends the statement and nothing else. This thread has its own WebAssembly object.
 */
function limitHeap(): void {
  const { prototype } = (WebAssembly as unknown as WithMemory).Memory
  const { grow } = prototype
  const pageBytes = 65_536
  prototype.grow = function (this: Heap, pages: number): number {
    if (this.buffer.byteLength + pages * pageBytes > heapBytesMax)
      throw new RangeError("the heap of the shadow catalogue is full")
    return grow.call(this, pages)
  }
}

/** Node's types leave it out. */
type Heap = { readonly buffer: ArrayBuffer }
type WithMemory = {
  readonly Memory: { readonly prototype: { grow: (this: Heap, pages: number) => number } }
}

/** Small buffers: there are no rows. 128 MB, PostgreSQL's default, would be allocated for each shadow. */
const startParams = [
  ...PGlite.defaultStartParams,
  "-c",
  "shared_buffers=4MB",
  "-c",
  "max_connections=4",
  "-c",
  `temp_file_limit=${temporaryFileBytesMax / 1024}`,
]

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** An E string: correct whatever standard_conforming_strings says. */
function escaped(text: string): string {
  return ` E'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
}

/**
 * A function of PostgreSQL's own under a new name, so that ours can take its place. Ours gets a new oid, because calls of
 * a built-in one do not look at pg_proc.
 */
function moved(name: string): string {
  return `UPDATE pg_catalog.pg_proc SET proname = ${literal(`pg_builtin_${name}`)}
    WHERE proname = ${literal(name)} AND pronamespace = 'pg_catalog'::regnamespace;`
}

/** A catalogue with a column under its name of PostgreSQL 15 and 16, too: psql of those versions asks for it (\l, \dO). */
function bridged(catalogue: string, column: string, oldName: string): string {
  const builtin = catalogue.replace("pg_", "pg_builtin_")
  const relation = `'pg_catalog.${builtin}'::regclass`
  return `UPDATE pg_catalog.pg_class SET relname = '${builtin}' WHERE oid = 'pg_catalog.${catalogue}'::regclass;
    UPDATE pg_catalog.pg_type SET typname = replace(typname, '${catalogue}', '${builtin}')
      WHERE typrelid = ${relation} OR typelem = (SELECT reltype FROM pg_catalog.pg_class WHERE oid = ${relation});
    CREATE VIEW pg_catalog.${catalogue} AS
      SELECT *, ${column} AS ${oldName} FROM pg_catalog.${builtin};
    GRANT SELECT ON pg_catalog.${catalogue} TO PUBLIC;`
}

async function viewText(pg: PGlite, view: string): Promise<string> {
  const { rows } = await pg.query<{ text: string }>("SELECT pg_get_viewdef($1::regclass) AS text", [
    view,
  ])
  return rows[0]?.text ?? ""
}

async function prepare(pg: PGlite, start: ShadowStart): Promise<void> {
  const viewTexts = [
    ["pg_catalog.pg_views", await viewText(pg, "pg_catalog.pg_views")],
    ["information_schema.views", await viewText(pg, "information_schema.views")],
  ]
  const settingCase = `CASE lower($1) WHEN 'server_version' THEN ${literal(start.serverVersion)}`
  const labelled = `(SELECT label FROM pg_catalog.pg_seclabel
    WHERE objoid = $1 AND classoid = 1259 AND objsubid = 0 AND provider = 'warehouse')`
  const isView = "EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = $1 AND relnamespace >= 16384)"
  const viewdef = (rest: string): string =>
    `SELECT CASE WHEN ${isView} THEN ${labelled} ELSE pg_catalog.pg_builtin_pg_get_viewdef($1${rest}) END`
  await pg.exec(`
    SET SESSION AUTHORIZATION postgres;
    SET allow_system_table_mods = on;
    SET client_min_messages = error;
    DROP SCHEMA public CASCADE;
    CREATE ROLE ${clientRole} LOGIN;
    ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO ${clientRole};
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO ${clientRole};
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO ${clientRole};
    UPDATE pg_catalog.pg_authid SET rolname = ${literal(ownerRole)} WHERE oid = 10;
    ${["version", "current_setting", "pg_get_viewdef"].map(moved).join("\n")}
    CREATE FUNCTION pg_catalog.version() RETURNS text LANGUAGE sql STABLE
      AS $f$ SELECT ${literal(start.versionText)}::text $f$;
    CREATE FUNCTION pg_catalog.current_setting(text) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ SELECT ${settingCase} ELSE pg_catalog.pg_builtin_current_setting($1) END $f$;
    CREATE FUNCTION pg_catalog.current_setting(text, boolean) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ SELECT ${settingCase} ELSE pg_catalog.pg_builtin_current_setting($1, $2) END $f$;
    CREATE FUNCTION pg_catalog.pg_get_viewdef(oid) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ ${viewdef("")} $f$;
    CREATE FUNCTION pg_catalog.pg_get_viewdef(oid, boolean) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ ${viewdef(", $2")} $f$;
    CREATE FUNCTION pg_catalog.pg_get_viewdef(oid, integer) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ ${viewdef(", $2")} $f$;
    CREATE FUNCTION pg_catalog.pg_get_viewdef(text) RETURNS text LANGUAGE sql STABLE STRICT
      AS $f$ SELECT pg_catalog.pg_get_viewdef($1::regclass::oid) $f$;
    ${viewTexts.map(([name, text]) => `CREATE OR REPLACE VIEW ${name} AS ${text}`).join("\n")}
    ${bridged("pg_database", "datlocale", "daticulocale")}
    ${bridged("pg_collation", "colllocale", "colliculocale")}
    RESET client_min_messages;`)
}

let shownUser = clientRole
let shownDatabase = "postgres"

/** The client sees itself under its own name, and no other client: one role and one database are renamed. */
async function rename(pg: PGlite, user: string, database: string): Promise<void> {
  if (user !== shownUser) {
    await pg.exec(
      `UPDATE pg_catalog.pg_authid SET rolname =${escaped(user)}::text::name WHERE rolname =${escaped(shownUser)}::text::name`,
    )
    shownUser = user
  }
  if (database !== shownDatabase) {
    await pg.exec(
      `UPDATE pg_catalog.pg_builtin_database SET datname =${escaped(database)}::text::name WHERE datname =${escaped(shownDatabase)}::text::name`,
    )
    shownDatabase = database
  }
}

/** Undefined: more than `answerBytesMax`, and thrown away. */
async function ask(
  pg: PGlite,
  task: Extract<ShadowTask, { kind: "ask" }>,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  await rename(pg, task.user, task.database)
  await pg.exec("BEGIN READ ONLY")
  try {
    for (const [name, value] of task.settings)
      await pg.query("SELECT pg_catalog.set_config($1, $2, true)", [name, value])
    await pg.exec(`SET LOCAL SESSION AUTHORIZATION "${task.user.replaceAll('"', '""')}"`)
    return await answered(pg, task.messages)
  } finally {
    await pg.exec("ROLLBACK")
    await pg.exec(`SET SESSION AUTHORIZATION ${ownerRole}`)
  }
}

async function answered(
  pg: PGlite,
  messages: Uint8Array,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  let parts: Uint8Array[] = []
  let byteCount = 0
  const onRawData = (part: Uint8Array): void => {
    byteCount += part.length
    // A view of the heap, which is overwritten by what follows.
    if (byteCount <= answerBytesMax) parts.push(part.slice())
    else parts = []
  }
  await pg.execProtocolRawStream(messages, { onRawData })
  return byteCount <= answerBytesMax ? new Uint8Array(Buffer.concat(parts)) : undefined
}

async function sync(
  pg: PGlite,
  task: Extract<ShadowTask, { kind: "sync" }>,
): Promise<readonly string[]> {
  const skipped: string[] = []
  const attempt = async (sql: string): Promise<boolean> => {
    try {
      await pg.exec(`SAVEPOINT attempt; ${sql}; RELEASE attempt`)
      return true
    } catch (thrown) {
      await pg.exec("ROLLBACK TO attempt; RELEASE attempt")
      skipped.push(thrown instanceof Error ? thrown.message : String(thrown))
      return false
    }
  }
  await pg.exec("BEGIN; SET LOCAL check_function_bodies = off; SET LOCAL search_path = main")
  for (const drop of task.drops) await attempt(drop)
  for (const { create, extras } of task.creates)
    if (await attempt(create)) for (const extra of extras) await attempt(extra)
  await pg.exec("COMMIT")
  return skipped
}

async function perform(pg: PGlite, task: ShadowTask): Promise<ShadowReply> {
  const { id } = task
  try {
    if (task.kind === "sync") return { id, kind: "synced", skipped: await sync(pg, task) }
    const bytes = await ask(pg, task)
    return bytes === undefined ? { id, kind: "oversized" } : { id, kind: "answer", bytes }
  } catch (thrown) {
    return {
      id,
      kind: "failed",
      message: thrown instanceof Error ? thrown.message : String(thrown),
    }
  }
}

/** The data directory as it is after `prepare`, before any object of a visibility is in it. */
async function dumped(pg: PGlite): Promise<Uint8Array<ArrayBuffer>> {
  // Without it whoever starts from the dump would replay the log first.
  await pg.exec("CHECKPOINT")
  const file = await pg.dumpDataDir("none")
  return new Uint8Array(await file.arrayBuffer())
}

limitHeap()
const start: ShadowStart = workerData
const seed = start.seed && new Blob([start.seed], { type: "application/x-gzip" })
const pg = await PGlite.create({
  pgliteWasmModule: start.wasm,
  startParams,
  ...(seed && { loadDataDir: seed }),
})
if (seed === undefined) await prepare(pg, start)
else await pg.exec(`SET SESSION AUTHORIZATION ${ownerRole}; SET allow_system_table_mods = on`)
const ready: ShadowReady = { dump: seed === undefined ? await dumped(pg) : undefined }

// Tasks come one after the other: the gateway's side sends the next one when the last has been answered.
parentPort?.on("message", (task: ShadowTask) => {
  void perform(pg, task).then((reply) =>
    parentPort?.postMessage(reply, reply.kind === "answer" ? [reply.bytes.buffer] : []),
  )
})
parentPort?.postMessage(ready, ready.dump === undefined ? [] : [ready.dump.buffer])
