// What `npm run docs` writes of a GATEWAY_FILE: the JSON Schema by which editors complete and check one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fileSchema } from './schema.ts';

export const JSON_SCHEMA = join(import.meta.dirname, '../gateway.schema.json');

/** The text of the JSON Schema as it should be. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(fileSchema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ title: 'GATEWAY_FILE of faf-cab-gateway', ...schema }, null, 2)}\n`;
}

export function writeJsonSchema(): void {
  writeFileSync(JSON_SCHEMA, jsonSchema());
}
