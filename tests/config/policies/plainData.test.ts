import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, it } from '@jest/globals';
import { loadSettings } from '../../../config/config.ts';
import { privateFiles, readCookbook } from '../../support/processes/cookbook.ts';

const { files: pems } = privateFiles();
const PAGES = ['docs/cookbook.md', 'docs/routes.md', 'docs/services.md'];

function textOf(path: string): string {
  return readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
}

const files = [
  ...PAGES.flatMap((page) => readCookbook(textOf(page))).filter(({ yaml }) => !yaml.startsWith(' ')),
  { title: 'the playground', yaml: textOf('playground/gateway.yaml') },
];

/** What is no plain data in it, by its path. */
function* strangers(value: unknown, at: string): Generator<string> {
  if (typeof value !== 'object' || value === null) {
    const isPlain = ['string', 'boolean', 'undefined'].includes(typeof value) || Number.isFinite(value);
    if (!isPlain) yield `${at} is ${String(value)}`;
    return;
  }
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (!isPlain) yield `${at} is a ${value.constructor.name}`;
  for (const [name, part] of Object.entries(value)) yield* strangers(part, `${at}.${name}`);
}

// Chains are found by the JSON of their settings, threads are sent them, and a reload compares them: two regular expressions
// would be alike.
it.each(files)('$title: what holds for services and routes is plain data', ({ yaml }) => {
  const env = {
    JWT_SECRET: 'x'.repeat(40),
    GATEWAY_FILE: 'gateway.yaml',
    SERVICE_DISCOVERY_URL: 'http://registry:1',
    SHARING_CREDENTIALS: 'x',
  };
  const { services, routes, defaults } = loadSettings(env, (path) => pems[basename(path)] ?? yaml);
  expect([...strangers({ services, routes, defaults }, 'settings')]).toEqual([]);
});
