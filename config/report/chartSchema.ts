// What `npm run docs` writes into the schema of the Helm chart's values: which settings they may name.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listVariables } from '../variables.ts';

const SCHEMA = join(import.meta.dirname, '../../deploy/helm/faf-cab-gateway/values.schema.json');

const TEXT = { type: 'string' };

/** What the chart sets itself: they must agree with its objects. */
const OWN = new Set([
  'EXTERNAL_HOST',
  'EXTERNAL_PORT',
  'INTERNAL_HOST',
  'INTERNAL_PORT',
  'DATA_DIR',
  'DRAIN_TIMEOUT',
  'GATEWAY_FILE',
]);

/** What Node itself reads, and an operator may need. */
const OF_NODE = ['NODE_EXTRA_CA_CERTS', 'NODE_OPTIONS'];

/** The schema with the settings that there are now, for the schema as it stands. */
export function chartSchema(current: string): string {
  const schema = JSON.parse(current);
  schema.properties.config.properties = Object.fromEntries(
    [...chartSettings(), ...OF_NODE].map((name) => [name, TEXT]),
  );
  return `${JSON.stringify(schema, null, 2)}\n`;
}

export function writeChartSchema(): void {
  writeFileSync(SCHEMA, chartSchema(readFileSync(SCHEMA, 'utf8')));
}

/** Without secrets, which do not belong into a ConfigMap: those that have a file for them are named by that. */
function chartSettings(): string[] {
  return listVariables()
    .filter(([, { name, mask }]) => mask === undefined && !OWN.has(name))
    .map(([, { name }]) => name);
}
