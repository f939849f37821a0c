import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import { makeVerifier } from "../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import { WireClient } from "../support/wire-client.ts"

/** Stands in every value that ann, of organisation 1, must never see, and in no statement. */
export const marker = "zqx"

/** Organisation 1 has three orders, organisation 2 five; `hidden` is put into all values of those. */
export function seedSql(engine: "postgres" | "duckdb", hidden = marker): string {
  const h = hidden
  const common = `
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id integer, org_id integer, customer text, email text, amount numeric(10,2), ssn text, note text);
INSERT INTO sales.orders VALUES
  (1, 1, 'Ada', 'ada@one.example', 10.00, '${marker}1', '11'),
  (2, 1, 'Alan', 'alan@one.example', 20.00, '${marker}2', '12'),
  (3, 1, 'Ann', 'ann@one.example', 30.00, '${marker}3', '13'),
  (11, 2, '${h}Bea', 'bea@${h}.example', 7777.71, '${marker}4', 'n${h}'),
  (12, 2, '${h}Bob', 'bob@${h}.example', 7777.72, '${marker}5', 'n${h}'),
  (13, 2, '${h}Ben', 'ben@${h}.example', 7777.73, '${marker}6', 'n${h}'),
  (14, 2, '${h}Bo', 'bo@${h}.example', 7777.74, '${marker}7', 'n${h}'),
  (15, 2, '${h}Bill', 'bill@${h}.example', 7777.75, '${marker}8', 'n${h}');
CREATE TABLE sales.invoices (id integer, org_id integer, text_of text);
INSERT INTO sales.invoices VALUES (1, 1, 'one'), (2, 2, '${h}two');
CREATE TABLE sales.org_map (login text, org_id integer);
INSERT INTO sales.org_map VALUES ('ann', 1), ('bob', 2);
CREATE TABLE sales.open (id integer, word text);
INSERT INTO sales.open VALUES (1, 'a'), (2, 'b'), (11, 'c');
CREATE TABLE sales."Quoted" (id integer, org_id integer, word text);
INSERT INTO sales."Quoted" VALUES (1, 1, 'mine'), (2, 2, '${h}theirs');
CREATE VIEW sales.v_orders AS SELECT id, org_id, customer AS who, ssn AS harmless, email FROM sales.orders;
CREATE VIEW sales.v_deep AS SELECT who AS name, harmless AS nothing FROM sales.v_orders;
CREATE VIEW sales.v_count AS SELECT count(*) AS n FROM sales.orders;
CREATE VIEW sales.v_open AS SELECT id, word FROM sales.open;
`
  return engine === "duckdb" ? common : common + postgresOnly(h)
}

function postgresOnly(h: string): string {
  return `
ALTER TABLE sales.orders ADD PRIMARY KEY (id);
CREATE MATERIALIZED VIEW sales.m_orders AS SELECT * FROM sales.orders;
CREATE VIEW sales.v_m AS SELECT customer FROM sales.m_orders;
CREATE TABLE sales.events (id integer, org_id integer, what text) PARTITION BY RANGE (id);
CREATE TABLE sales.events_low PARTITION OF sales.events FOR VALUES FROM (0) TO (100);
INSERT INTO sales.events VALUES (1, 1, 'mine'), (2, 2, '${h}event');
CREATE TABLE sales.parent (id integer, org_id integer, what text);
CREATE TABLE sales.child () INHERITS (sales.parent);
INSERT INTO sales.child VALUES (1, 1, 'mine'), (2, 2, '${h}child');
CREATE FUNCTION sales.leak() RETURNS SETOF sales.orders LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT * FROM sales.orders';
CREATE FUNCTION sales.leak_text(x integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT string_agg(customer, '','') FROM sales.orders';
CREATE FUNCTION sales.lower(x integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT string_agg(customer, '','') FROM sales.orders';
CREATE FUNCTION sales.fine(x integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT x + 1';
CREATE FUNCTION sales.says(x sales.open) RETURNS text LANGUAGE sql STABLE AS 'SELECT string_agg(customer, '','') FROM sales.orders';
CREATE FUNCTION sales.shout(x text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS 'BEGIN RAISE NOTICE ''%'', x; RETURN true; END';
CREATE FUNCTION sales.op(a integer, b integer) RETURNS text LANGUAGE sql STABLE AS 'SELECT string_agg(customer, '','') FROM sales.orders';
CREATE OPERATOR sales.@@@ (LEFTARG = integer, RIGHTARG = integer, FUNCTION = sales.op);
CREATE DOMAIN sales.sly AS integer CHECK (sales.leak_text(value) IS NOT NULL);
CREATE VIEW sales.v_leak AS SELECT sales.leak_text(id) AS x FROM sales.open;
CREATE VIEW sales.v_fine AS SELECT sales.fine(id) AS x FROM sales.open;
CREATE SEQUENCE sales.counter;
ANALYZE;
`
}

export const policies = `
claims:
  org_id: { type: int8 }
  login: { type: text }
  regions: { type: "text[]" }
  orgs: { type: "int8[]" }
functions: [sales.fine]
relations:
  sales.orders:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
    masks:
      - { column: email, mask: "left(email, 1) || '***'", exceptRoles: [boss] }
    deniedColumns: [{ columns: [ssn], exceptRoles: [boss] }]
  sales.invoices:
    rowFilters:
      - { name: mapped, filter: "org_id IN (SELECT m.org_id FROM sales.org_map m WHERE m.login = :login)" }
    unfilteredRoles: [boss]
  sales.Quoted:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
  sales.events:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
  sales.child:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
`

export type User = { readonly roles: readonly string[]; readonly claims: object }

const users: Readonly<Record<string, User>> = {
  ann: { roles: ["tenant"], claims: { org_id: 1, login: "ann", regions: ["x"], orgs: [1] } },
  twin: { roles: ["tenant"], claims: { org_id: "1", login: "ann", regions: ["x"] } },
  bob: { roles: ["tenant"], claims: { org_id: 2, login: "bob", regions: [] } },
  boss: { roles: ["boss"], claims: {} },
  nobody: { roles: ["tenant"], claims: {} },
  nulls: { roles: ["tenant"], claims: { org_id: null, login: null } },
  wrong: { roles: ["tenant"], claims: { org_id: [1], login: { a: 1 } } },
  crafty: { roles: ["tenant"], claims: { org_id: 9, login: "x' OR '1'='1" } },
  slash: { roles: ["tenant"], claims: { org_id: 9, login: "x\\' OR 1=1 --" } },
  writer: { roles: ["writer"], claims: { org_id: 1, login: "ann" } },
}

const password = "correct horse"

export type Tenants = {
  readonly gateway: RunningGateway
  readonly postgres: TestPostgres | undefined
  readonly policiesFile: string
  as(user: string, parameters?: Readonly<Record<string, string>>): Promise<WireClient>
  stop(): Promise<void>
}

/** A gateway under the policies above in front of one of the engines. */
export async function startTenants(
  engine: "postgres" | "duckdb",
  options: {
    readonly hidden?: string
    readonly policies?: string
    /** Further sections of the configuration. */
    readonly sections?: string
    readonly moreUsers?: Readonly<Record<string, object>>
    /** SQL behind the common seed. */
    readonly moreSeed?: string
    /** SQL in the place of the seed's. */
    readonly seed?: string
    /** SQL behind the seed's. */
    readonly extra?: string
  } = {},
): Promise<Tenants> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-tenants-"))
  await chmod(folder, 0o755)
  const policiesFile = join(folder, "policies.yaml")
  await writeFile(policiesFile, options.policies ?? policies)
  const seed =
    (options.seed ?? seedSql(engine, options.hidden)) +
    (options.moreSeed ?? "") +
    (options.extra ?? "")
  let postgres: TestPostgres | undefined
  let warehouse: string
  if (engine === "postgres") {
    const seedFile = join(folder, "seed.sql")
    await writeFile(seedFile, seed)
    postgres = await startPostgres({ seedFiles: [seedFile] })
    warehouse = `engine: postgres, uri: "${postgres.uri}"`
  } else {
    const path = join(folder, "mart.duckdb")
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    await connection.run(seed)
    connection.closeSync()
    instance.closeSync()
    warehouse = `engine: duckdb, path: "${path}"`
  }
  const verifier = await makeVerifier(password)
  const lines = Object.entries({ ...users, ...options.moreUsers }).map(
    ([name, user]) => `  ${name}: ${JSON.stringify({ verifier, ...user })}`,
  )
  const config = `warehouses: { warehouse: { ${warehouse} } }
policiesFile: ${JSON.stringify(policiesFile)}
roles:
  tenant: { relations: { allow: ["*"] } }
  boss: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
users:
${lines.join("\n")}
${options.sections ?? ""}
`
  const gateway = await startGateway({ config, login: { user: "ann", password } })
  const clients: WireClient[] = []
  return {
    gateway,
    postgres,
    policiesFile,
    as: async (user, parameters = {}) => {
      const { port } = gateway
      // The shadow catalogue of DuckDB starts with the first question to it, which takes long on a busy machine.
      const waitMsMax = 60_000
      const login = { port, user, password, database: "warehouse", waitMsMax }
      const client = await WireClient.connect({ ...login, parameters })
      clients.push(client)
      return client
    },
    stop: async () => {
      for (const client of clients) client.destroy()
      await gateway.stop()
      await postgres?.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
