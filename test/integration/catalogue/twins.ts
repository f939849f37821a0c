import { execFileSync } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"

/** Means the same to both engines. Constraints have the names that DuckDB gives them: it forgets those of the statement. */
export const twinSchema = `
  CREATE TABLE main.customers (id integer CONSTRAINT customers_id_pkey PRIMARY KEY, email text NOT NULL,
    note text DEFAULT 'it''s', CONSTRAINT customers_email_key UNIQUE (email));
  CREATE TABLE main.orders (id bigint, line integer, customer integer, amount numeric(10,2) DEFAULT 0,
    placed timestamp with time zone, day date, ratio double precision, paid boolean NOT NULL,
    CONSTRAINT orders_id_line_pkey PRIMARY KEY (id, line), CONSTRAINT orders_ratio_check CHECK (ratio > 0),
    CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer) REFERENCES main.customers (id));
  CREATE INDEX orders_day ON main.orders (day, customer);
  CREATE UNIQUE INDEX orders_placed ON main.orders (placed);
  CREATE TABLE main."Odd Name" ("a b" integer, "select" text, "Ümlaut" uuid, t time, s smallint, r real, b bytea,
    i interval, stamp timestamp, ints integer[]);
  CREATE INDEX odd_one ON main."Odd Name" ("a b", s);
  CREATE SCHEMA sales;
  CREATE TABLE sales.regions (region text, CONSTRAINT regions_region_pkey PRIMARY KEY (region));
  CREATE SEQUENCE main.counter;
  CREATE VIEW main.paid AS SELECT id, amount FROM main.orders WHERE paid;
  COMMENT ON TABLE main.orders IS 'what was bought';
  COMMENT ON COLUMN main.orders.amount IS 'in euro';
  COMMENT ON VIEW main.paid IS 'only the paid ones';`

/** The role that owns everything in a shadow; a name that pg_ starts cannot be created, only given. */
const ownerSql = `
  CREATE ROLE owner_of_all;
  UPDATE pg_authid SET rolname = 'pg_warehouse' WHERE rolname = 'owner_of_all';`

/** Runs SQL in a DuckDB file by a process of its own, which holds no lock afterwards. */
export function runInDuckdb(file: string, sql: string): void {
  const script = `
    import { DuckDBInstance } from "@duckdb/node-api"
    const instance = await DuckDBInstance.create(${JSON.stringify(file)})
    const connection = await instance.connect()
    await connection.run(${JSON.stringify(sql)})
    connection.disconnectSync()
    instance.closeSync()`
  execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "ignore", "pipe"],
  })
}

export type Twins = {
  readonly file: string
  readonly gateway: RunningGateway
  readonly postgres: TestPostgres
  stop(): Promise<void>
}

/**
 * The same tables in a DuckDB file behind a gateway and in a real PostgreSQL, both as database `warehouse` for user
 * `reader` with search path `main`, owned by `pg_warehouse`.
 */
export async function startTwins(schema: string = twinSchema): Promise<Twins> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-twins-"))
  const file = join(folder, "warehouse.duckdb")
  const postgres = await startPostgres()
  let gateway: RunningGateway | undefined
  const stop = async (): Promise<void> => {
    await gateway?.stop()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await postgres.run("DROP DATABASE postgres")
    await postgres.run(`${ownerSql}
      ALTER ROLE reader SET search_path = main;
      DROP SCHEMA public;
      GRANT CREATE ON DATABASE warehouse TO pg_warehouse;
      SET ROLE pg_warehouse;
      CREATE SCHEMA main;
      SET search_path = main;
      ${schema}`)
    runInDuckdb(file, schema)
    gateway = await startGateway({
      config: `warehouses: { warehouse: { engine: duckdb, path: "${file}" } }`,
    })
    return { file, gateway, postgres, stop }
  } catch (thrown) {
    await stop()
    throw thrown
  }
}
