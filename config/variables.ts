import type { z } from 'zod';
import { cache } from './variables/cache.ts';
import { connections } from './variables/connections.ts';
import { logs, metrics, tracing } from './variables/diagnosis.ts';
import { proxies, tls } from './variables/edge.ts';
import { limits, rateLimits } from './variables/limits.ts';
import { login } from './variables/login.ts';
import { ports, workers } from './variables/ports.ts';
import { circuitBreaker, loadBalancing, services } from './variables/replicas.ts';
import { store } from './variables/store.ts';
import { shutdown, timeouts } from './variables/timeouts.ts';
import { tokens } from './variables/tokens.ts';
import type { Variable, VariableGroup } from './variables/variable.ts';

export type { Variable } from './variables/variable.ts';

/** Every setting by its subject, in the order of the documents. */
const GROUPS = [
  ports,
  workers,
  tls,
  proxies,
  tokens,
  login,
  store,
  limits,
  rateLimits,
  connections,
  timeouts,
  shutdown,
  cache,
  circuitBreaker,
  loadBalancing,
  services,
  logs,
  metrics,
  tracing,
] as const satisfies readonly VariableGroup[];

/** Of a union of objects all their fields in one. */
type Together<Union> = (Union extends unknown ? (each: Union) => void : never) extends (
  all: infer All,
) => void
  ? All
  : never;

type Table = Together<(typeof GROUPS)[number]['rows']>;

/** Every setting by the field it fills, in the order of the documents. */
export const variables: Table = Object.assign({}, ...GROUPS.map(({ rows }) => rows));

export type Field = keyof Table;

type Value<V extends Variable> =
  | z.output<V['kind']['schema']>
  | (V extends { default: string } ? never : undefined);

/** The value of each variable, defaults filled in, before some of them are drawn together into Settings. */
export type Values = { readonly [F in Field]: Value<Table[F]> };

/** The rows of the table. */
export function listVariables(): readonly [Field, Variable][] {
  return rowsOf(variables);
}

/** Settings on one subject, in the order of the documents. */
export interface SettingGroup extends Pick<VariableGroup, 'title' | 'page'> {
  readonly settings: readonly [Field, Variable][];
}

/** All settings, by subject. */
export function groupSettings(): readonly SettingGroup[] {
  return GROUPS.map(({ title, page, rows }) => ({ title, page, settings: rowsOf(rows) }));
}

function rowsOf(rows: object): [Field, Variable][] {
  // Object.entries forgets the type of the keys; a const object has no others.
  return Object.entries(rows) as [Field, Variable][];
}
