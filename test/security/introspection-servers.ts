import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { makeVerifier } from "../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import { WireClient } from "../support/wire-client.ts"

/** What nobody but `all` may find anywhere: the schema `vault`, and what bears its names. */
export const vaultWords = /topsecret|keyhole|pass_phrase|secretcounter|vault/
/** For `tenant` also the columns that a policy denies. */
export const tenantWords = /topsecret|keyhole|pass_phrase|secretcounter|vault|zssn/

const seed = `
CREATE SCHEMA vault;
CREATE TABLE vault.topsecret (keyhole integer PRIMARY KEY, pass_phrase text CHECK (length(pass_phrase) > 3));
COMMENT ON TABLE vault.topsecret IS 'topsecret remark';
COMMENT ON SCHEMA vault IS 'vault remark';
CREATE SEQUENCE vault.secretcounter;
CREATE SCHEMA main;
CREATE TABLE main.customers (id integer PRIMARY KEY, email text NOT NULL UNIQUE, note text DEFAULT 'it''s',
  zssn text CONSTRAINT zssn_form CHECK (length(zssn) > 0), upper_zssn text GENERATED ALWAYS AS (upper(zssn)) STORED,
  CONSTRAINT email_form CHECK (length(email) > 0));
CREATE INDEX customers_zssn_idx ON main.customers (zssn);
CREATE INDEX customers_plain_idx ON main.customers (note) WHERE zssn IS NOT NULL;
CREATE STATISTICS main.customers_zssn_stats ON id, zssn FROM main.customers;
CREATE POLICY zssn_policy ON main.customers USING (zssn <> 'topsecret');
CREATE TABLE main.orders (id bigint PRIMARY KEY, customer integer REFERENCES main.customers (id),
  ref integer CONSTRAINT keyhole_fk REFERENCES vault.topsecret (keyhole), amount numeric(10,2));
CREATE INDEX orders_amount ON main.orders (amount);
COMMENT ON TABLE main.orders IS 'what was bought';
COMMENT ON COLUMN main.orders.amount IS 'in euro';
COMMENT ON COLUMN main.customers.zssn IS 'zssn remark';
CREATE VIEW main.paid AS SELECT id, amount FROM main.orders WHERE amount > 0;
CREATE VIEW main.peep AS SELECT keyhole AS k FROM vault.topsecret;
CREATE VIEW main.withheld AS SELECT id FROM main.customers WHERE zssn IS NOT NULL;
CREATE TABLE main.denied_topsecret (keyhole integer);
CREATE VIEW main.over_topsecret AS SELECT keyhole FROM main.denied_topsecret;
CREATE TABLE main.events (id integer, what text) PARTITION BY RANGE (id);
CREATE TABLE main.events_low PARTITION OF main.events FOR VALUES FROM (0) TO (100);
CREATE TABLE main.closed (id integer, org integer) PARTITION BY RANGE (id);
CREATE TABLE main.closed_low PARTITION OF main.closed FOR VALUES FROM (0) TO (100);
CREATE MATERIALIZED VIEW main.copied AS SELECT * FROM main.customers;
CREATE FUNCTION main.tell(x main.denied_topsecret) RETURNS text LANGUAGE sql AS 'select ''topsecret body''';
CREATE FUNCTION main.plus(x integer DEFAULT 1) RETURNS integer LANGUAGE sql AS 'select 1 /* topsecret body */';
CREATE FUNCTION main.watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER zssn_watch BEFORE UPDATE OF zssn ON main.customers FOR EACH ROW EXECUTE FUNCTION main.watch();
INSERT INTO main.customers (id, email, zssn) SELECT i, 'e' || i, 's' || i FROM generate_series(1, 1234) i;
INSERT INTO main.orders SELECT i, i, NULL, i FROM generate_series(1, 77) i;
ANALYZE;
`

const policies = `
claims: { org: { type: int8 } }
relations:
  main.customers:
    rowFilters: [{ name: own, filter: "id = :org" }]
    unfilteredRoles: [everything, narrow]
    deniedColumns: [{ columns: [zssn, upper_zssn], exceptRoles: [everything, narrow] }]
  main.closed:
    rowFilters: [{ name: own, filter: "org = :org" }]
    unfilteredRoles: [everything, narrow]
`

const password = "correct horse"

export type IntrospectionServers = {
  readonly gateway: RunningGateway
  readonly postgres: TestPostgres
  as(user: "all" | "narrow" | "tenant"): Promise<WireClient>
  uri(user: "all" | "narrow" | "tenant"): string
  stop(): Promise<void>
}

/**
 * `all` may read everything, `narrow` the schema main but for one table, `tenant` the same under a policy with a row filter and
 * denied columns.
 */
export async function startIntrospectionServers(): Promise<IntrospectionServers> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-introspection-"))
  const seedFile = join(folder, "seed.sql")
  const policiesFile = join(folder, "policies.yaml")
  await writeFile(seedFile, seed)
  await writeFile(policiesFile, policies)
  const postgres = await startPostgres({ seedFiles: [seedFile] })
  const verifier = JSON.stringify(await makeVerifier(password))
  // The information schema shows constraints, triggers and view texts to their owner alone.
  const config = `warehouses: { warehouse: { engine: postgres, uri: "${postgres.superuserUri}" } }
policiesFile: ${JSON.stringify(policiesFile)}
roles:
  everything: { relations: { allow: ["*"] } }
  narrow: { relations: { allow: ["main.*"], deny: ["main.denied_topsecret"] } }
  tenant: { relations: { allow: ["main.*"], deny: ["main.denied_topsecret"] } }
users:
  all: { verifier: ${verifier}, roles: [everything] }
  narrow: { verifier: ${verifier}, roles: [narrow] }
  tenant: { verifier: ${verifier}, roles: [tenant], claims: { org: 1 } }
`
  const gateway = await startGateway({ config, login: { user: "all", password } })
  const clients: WireClient[] = []
  const { host, port } = gateway
  return {
    gateway,
    postgres,
    as: async (user) => {
      const client = await WireClient.connect({ port, user, password, database: "warehouse" })
      clients.push(client)
      return client
    },
    uri: (user) => `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/warehouse`,
    stop: async () => {
      for (const client of clients) client.destroy()
      await gateway.stop()
      await postgres.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
