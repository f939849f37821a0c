import { hash } from "node:crypto"
import type { CatalogSnapshot } from "../../core/catalog.ts"
import type {
  MirrorColumn,
  MirrorConstraint,
  MirrorRelation,
  MirrorSequence,
} from "../../core/mirror.ts"
import type { RelationName } from "../../core/relation.ts"
import type { Visibility } from "../../core/shadow-catalogue.ts"
import { downward } from "../expand.ts"
import type { MirrorObject } from "./messages.ts"

/** Names by pg_type.oid of what engines report; the array type of each stands behind it. */
const typeNames: ReadonlyMap<number, string> = new Map(
  (
    [
      [16, 1000, "boolean"],
      [17, 1001, "bytea"],
      [20, 1016, "bigint"],
      [21, 1005, "smallint"],
      [23, 1007, "integer"],
      [25, 1009, "text"],
      [114, 199, "json"],
      [700, 1021, "real"],
      [701, 1022, "double precision"],
      [1082, 1182, "date"],
      [1083, 1183, "time"],
      [1114, 1115, "timestamp"],
      [1184, 1185, "timestamptz"],
      [1186, 1187, "interval"],
      [1266, 1270, "timetz"],
      [1562, 1563, "varbit"],
      [1700, 1231, "numeric"],
      [2950, 2951, "uuid"],
    ] as const
  ).flatMap(([oid, arrayOid, name]) => [[oid, name] as const, [arrayOid, `${name}[]`] as const]),
)

const numericOid = 1700

function typeName({ typeOid, typeModifier }: MirrorColumn): string {
  const name = typeNames.get(typeOid) ?? "text"
  if (typeOid !== numericOid || typeModifier < 4) return name
  // numeric's typmod: precision in the upper, scale in the lower half, plus the old varlena header (numeric.c).
  const packed = typeModifier - 4
  return `numeric(${packed >> 16}, ${packed & 0xffff})`
}

/** PostgreSQL cuts names at 63 bytes; a name of an engine may be longer, and then the object is left out by its error. */
function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Right whatever standard_conforming_strings says; a NUL cannot be in any text of PostgreSQL's. */
function literal(text: string): string {
  return `E'${text.replaceAll("\0", "").replaceAll("\\", "\\\\").replaceAll("'", "''")}'`
}

function columnList(columns: readonly string[]): string {
  return columns.map(quoted).join(", ")
}

/**
 * What a visibility lets through of a snapshot, as objects in the order of their making. What is hidden leaves no trace:
 * no name in a foreign key, no schema that holds nothing else, no text of a view over it.
 */
export function mirrorObjects(
  snapshot: CatalogSnapshot,
  visibility: Visibility,
): readonly MirrorObject[] {
  const mirror = snapshot.mirror ?? { relations: [], sequences: [] }
  const relations = mirror.relations
    .filter(({ name }) => visibility.sees(name, snapshot))
    .map((relation) => withoutColumns(relation, visibility.deniedColumns(relation.name, snapshot)))
  const sequences = mirror.sequences.filter(({ name }) => visibility.sees(name, snapshot))
  const seen = new Map(relations.map((relation) => [relation.name, relation]))
  const schemas = new Set(["main", ...[...relations, ...sequences].map(({ schema }) => schema)])
  return [
    ...[...schemas].map(schemaObject),
    ...sequences.map(sequenceObject),
    ...relations.map((relation) =>
      relation.kind === "table"
        ? tableObject(relation)
        : viewObject(relation, isShown(relation.name, snapshot, visibility)),
    ),
    ...relations.flatMap((relation) =>
      relation.constraints.flatMap((constraint) => foreignKeyObject(relation, constraint, seen)),
    ),
  ]
}

/** What names a column that is not there for a reader goes with it: keys, indexes, checks, whose text may. */
function withoutColumns(relation: MirrorRelation, denied: ReadonlySet<string>): MirrorRelation {
  if (denied.size === 0) return relation
  const folded = new Set([...denied].map((name) => name.toLowerCase()))
  const isVisible = (name: string): boolean => !folded.has(name.toLowerCase())
  return {
    ...relation,
    columns: relation.columns.filter(({ name }) => isVisible(name)),
    constraints: relation.constraints.filter(
      (constraint) => constraint.kind !== "check" && constraint.columns.every(isVisible),
    ),
    indexes: relation.indexes.filter(({ columns }) => columns.every(isVisible)),
    definition: undefined,
  }
}

/** A view's text names what it reads: it is shown to those who see all of that. */
function isShown(name: RelationName, snapshot: CatalogSnapshot, visibility: Visibility): boolean {
  // What a view reads may be unknown: then it may be anything.
  if (visibility.seesAll) return true
  if (snapshot.relations.get(name)?.volatileDefinition !== false) return false
  return [...downward([name], snapshot)].every(
    (below) =>
      visibility.sees(below, snapshot) && visibility.deniedColumns(below, snapshot).size === 0,
  )
}

function schemaObject(schema: string): MirrorObject {
  const name = quoted(schema)
  return {
    id: `schema ${name}`,
    create: `CREATE SCHEMA ${name}`,
    extras: [],
    drop: `DROP SCHEMA ${name} CASCADE`,
  }
}

function sequenceObject({ name, schema, sequence }: MirrorSequence): MirrorObject {
  const full = `${quoted(schema)}.${quoted(sequence)}`
  return {
    id: `sequence ${name}`,
    create: `CREATE SEQUENCE ${full}`,
    extras: [],
    drop: `DROP SEQUENCE ${full} CASCADE`,
  }
}

function fullName({ schema, relation }: MirrorRelation): string {
  return `${quoted(schema)}.${quoted(relation)}`
}

function commentsOf(relation: MirrorRelation, kind: "TABLE" | "VIEW"): readonly string[] {
  const full = fullName(relation)
  const own =
    relation.comment === undefined
      ? []
      : [`COMMENT ON ${kind} ${full} IS ${literal(relation.comment)}`]
  const columns = relation.columns.flatMap(({ name, comment }) =>
    comment === undefined
      ? []
      : [`COMMENT ON COLUMN ${full}.${quoted(name)} IS ${literal(comment)}`],
  )
  return [...own, ...columns]
}

function tableObject(relation: MirrorRelation): MirrorObject {
  const full = fullName(relation)
  const columns = relation.columns.map(
    (column) => `${quoted(column.name)} ${typeName(column)}${column.isNullable ? "" : " NOT NULL"}`,
  )
  const defaults = relation.columns.flatMap(({ name, defaultText }) =>
    defaultText === undefined
      ? []
      : [`ALTER TABLE ${full} ALTER COLUMN ${quoted(name)} SET DEFAULT ${defaultText}`],
  )
  return {
    id: `relation ${relation.name}`,
    create: [`CREATE TABLE ${full} (${columns.join(", ")})`, ...commentsOf(relation, "TABLE")].join(
      "; ",
    ),
    extras: [
      ...defaults,
      ...relation.constraints.flatMap((constraint) => ownConstraint(full, constraint)),
      ...relation.indexes.map(
        ({ name, columns: indexed, isUnique }) =>
          `CREATE ${isUnique ? "UNIQUE " : ""}INDEX ${quoted(name)} ON ${full} (${columnList(indexed)})`,
      ),
    ],
    drop: `DROP TABLE ${full} CASCADE`,
  }
}

function ownConstraint(table: string, constraint: MirrorConstraint): readonly string[] {
  const add = `ALTER TABLE ${table} ADD CONSTRAINT ${quoted(constraint.name)}`
  switch (constraint.kind) {
    case "primary":
      return [`${add} PRIMARY KEY (${columnList(constraint.columns)})`]
    case "unique":
      return [`${add} UNIQUE (${columnList(constraint.columns)})`]
    case "check":
      return [`${add} CHECK (${constraint.expression})`]
    default:
      return []
  }
}

/** Columns without rows under them; the engine's own text is kept beside it for pg_get_viewdef (see worker.ts). */
function viewObject(relation: MirrorRelation, showsText: boolean): MirrorObject {
  const full = fullName(relation)
  const columns = relation.columns.map(
    (column) => `NULL::${typeName(column)} AS ${quoted(column.name)}`,
  )
  const text = relation.definition === undefined || !showsText ? [] : [relation.definition]
  return {
    id: `relation ${relation.name}`,
    create: [
      `CREATE VIEW ${full} AS SELECT ${columns.join(", ")}`,
      ...text.map(
        (definition) =>
          `INSERT INTO pg_catalog.pg_seclabel (objoid, classoid, objsubid, provider, label)
          VALUES (${literal(full)}::regclass, 1259, 0, 'warehouse', ${literal(definition)})`,
      ),
      ...commentsOf(relation, "VIEW"),
    ].join("; "),
    extras: [],
    drop: `DELETE FROM pg_catalog.pg_seclabel WHERE objoid = ${literal(full)}::regclass; DROP VIEW ${full} CASCADE`,
  }
}

/** Made again when either table is: the comment holds a digest of both. */
function foreignKeyObject(
  relation: MirrorRelation,
  constraint: MirrorConstraint,
  seen: ReadonlyMap<RelationName, MirrorRelation>,
): readonly MirrorObject[] {
  if (constraint.kind !== "foreign") return []
  const target = seen.get(constraint.target)
  if (target === undefined) return []
  const columns = new Set(target.columns.map(({ name }) => name.toLowerCase()))
  if (!constraint.targetColumns.every((name) => columns.has(name.toLowerCase()))) return []
  const full = fullName(relation)
  const name = quoted(constraint.name)
  const tables = hash("sha256", JSON.stringify([tableObject(relation), tableObject(target)]))
  return [
    {
      id: `foreign key ${relation.name} ${name}`,
      create: `ALTER TABLE ${full} ADD CONSTRAINT ${name}
        FOREIGN KEY (${columnList(constraint.columns)})
        REFERENCES ${fullName(target)} (${columnList(constraint.targetColumns)}) /* ${tables} */`,
      extras: [],
      drop: `ALTER TABLE ${full} DROP CONSTRAINT IF EXISTS ${name}`,
    },
  ]
}
