import { existsSync, writeFileSync } from "node:fs"

/** The tenant whose rows the demonstration's second user sees. */
export const demoTenantId = 2

/** A query for both users of the demonstration: five tenants for one, one for the other. */
export const demoPolicyQuery =
  "SELECT tenant_id, count(*) AS customers, min(email) AS email FROM retail.customers GROUP BY 1 ORDER BY 1;"

const ownTenant = [
  '    rowFilters: [{ name: own_tenant, filter: "tenant_id = :tenant_id" }]',
  "    unfilteredRoles: [analyst]",
]

/** Relations of the demo mart with rows of tenants. */
const tenantRelations = [
  "retail.tenants",
  "retail.sales",
  "marts.daily_revenue",
  "marts.daily_product_sales",
  "marts.daily_region_sales",
  "marts.tenant_monthly",
]

const text = [
  "# Row and column policies of the demo: ann sees her tenant's rows only, and no e-mail address. Change them while the demo",
  "# runs: they are read again within seconds. config/policies.example.yaml of the project shows what else there is.",
  "claims:",
  "  tenant_id: { type: int8 }",
  "relations:",
  "  retail.customers:",
  ...ownTenant,
  "    masks:",
  "      - { column: email, mask: \"left(email, 1) || '***'\", exceptRoles: [analyst] }",
  ...tenantRelations.flatMap((name) => [`  ${name}:`, ...ownTenant]),
  "",
].join("\n")

/** Writes the demonstration's policies where there are none yet: what a visitor changed stays. */
export function keepDemoPolicies(path: string): void {
  if (!existsSync(path)) writeFileSync(path, text)
}
