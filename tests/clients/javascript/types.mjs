// Writes TypeScript types of a server's entities, as public generators do: from its schemas, with
// the object types, statuses and custom attributes that it has. The compiler judges them.
import { writeFile } from "node:fs/promises";

import { open } from "./support.mjs";

const path = process.argv[2];
const session = await open();
const [schemas, kinds, attributes] = await Promise.all([
  session.schemas,
  session.query("select name, is_prioritizable, is_typeable, is_statusable from ObjectType"),
  session.query("select key, entity_type, is_hierarchical, type.name, config from CustomAttributeConfiguration"),
]);

function scalar(property) {
  if (property.format === "date-time") return "string";
  if (property.enum) return property.enum.map((value) => JSON.stringify(value)).join(" | ");
  switch (property.type) {
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "variable":
      return "CustomAttributeValueType";
    case "object":
      return "Record<string, unknown>";
    default:
      return "string";
  }
}

function typeOf(property, known) {
  const target = property.$ref ?? property.items?.$ref;
  if (target !== undefined && !known.has(target)) return "unknown";
  if (property.type === "array" || property.type === "mapped_array") return `${target}[]`;
  if (property.$ref && !property.type) return target;
  return scalar(property);
}

const known = new Set(schemas.map((schema) => schema.id));
const lines = ["export type CustomAttributeValueType = string | number | boolean | string[] | null;", ""];
for (const schema of schemas) {
  const base = schema.$mixin?.$ref;
  lines.push(`export interface ${schema.id} {`);
  lines.push(`  readonly __entity_type__?: ${base ? "string" : JSON.stringify(schema.id) + " | string"};`);
  for (const [name, property] of Object.entries(schema.properties)) {
    const isFixed = schema.immutable?.includes(name) || schema.computed?.includes(name);
    const isNeeded = schema.primary_key.includes(name);
    lines.push(`  ${isFixed ? "readonly " : ""}${JSON.stringify(name)}${isNeeded ? "" : "?"}: ${typeOf(property, known)};`);
  }
  lines.push("}", "");
}
lines.push("export interface EntityTypeMap {");
for (const name of known) lines.push(`  ${name}: ${name};`);
lines.push("}", "");
const names = kinds.data.map((kind) => JSON.stringify(kind.name.replaceAll(" ", "")));
lines.push(`export type ObjectTypeName = ${names.join(" | ")};`, "");
const prioritizable = kinds.data.filter((kind) => kind.is_prioritizable).map((kind) => JSON.stringify(kind.name));
lines.push(`export const prioritizable: string[] = [${prioritizable.join(", ")}];`, "");
lines.push("export interface CustomAttributes {");
for (const key of new Set(attributes.data.map((attribute) => attribute.key))) {
  lines.push(`  ${JSON.stringify(key)}?: CustomAttributeValueType;`);
}
lines.push("}", "");
// What programs do with such types.
lines.push("export function nameOf(task: Task): string | undefined {", "  return task.status?.name ?? task.parent?.name;", "}", "");
await writeFile(path, lines.join("\n"));
console.log(`${known.size} types in ${path}`);
