import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import jwt from 'jsonwebtoken';
import { loadSettings } from '../../config/config.ts';
import { Gateway } from '../../gateway/gateway.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import { createLogger } from '../../lib/logging/logger.ts';

export const TEST_SECRET = 'a-secret-for-tests-that-is-long-enough';

/** The stores that a test of the whole gateway runs against: `describe.each(STORES)`. */
export const STORES = ['embedded', 'redis'] as const;
export type StoreKind = (typeof STORES)[number];

export interface TestGatewayOptions {
  /** Origins of each service, by path: `{ '/budgeting': ['http://127.0.0.1:1234'] }`. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  /** Further settings, as environment variables. */
  readonly env?: Readonly<Record<string, string>>;
  readonly store?: StoreKind;
  readonly clock?: Clock;
  readonly random?: () => number;
}

export interface TestGateway extends AsyncDisposable {
  readonly gateway: Gateway;
  /** `http://127.0.0.1:<port>` of the external port. */
  readonly external: string;
  readonly internal: string;
  /** Every log line so far. */
  readonly logLines: () => Record<string, unknown>[];
  stop(): Promise<void>;
}

/** Both ports of a real gateway in this process, on free ports, in front of `services`. */
export async function startGateway(options: Readonly<TestGatewayOptions>): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-test-'));
  const settings = loadSettings(environment(options, directory));
  const stream = new PassThrough();
  const chunks: Buffer[] = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  const logger = createLogger({ level: settings.logLevel, format: 'json', stream });
  const { clock, random } = options;
  const gateway = await Gateway.create({ settings, logger, clock, random });
  const { externalPort, internalPort } = await gateway.start();

  async function stop(): Promise<void> {
    await gateway.stop();
    rmSync(directory, { recursive: true, force: true });
  }

  return {
    gateway,
    external: `http://127.0.0.1:${externalPort}`,
    internal: `http://127.0.0.1:${internalPort}`,
    logLines: () => lines(Buffer.concat(chunks).toString()),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A token as userManagement would issue it. */
export function tokenFor(subject: string, claims: Readonly<Record<string, unknown>> = {}): string {
  return jwt.sign({ sub: subject, exp: Math.floor(Date.now() / 1000) + 3600, ...claims }, TEST_SECRET);
}

function environment(options: Readonly<TestGatewayOptions>, directory: string): NodeJS.ProcessEnv {
  const services = Object.entries(options.services).map(([path, upstreams]) => ({
    name: path.slice(1),
    path,
    upstreams,
  }));
  const servicesFile = join(directory, 'services.json');
  writeFileSync(servicesFile, JSON.stringify({ services }));
  return {
    EXTERNAL_PORT: '0',
    INTERNAL_PORT: '0',
    EXTERNAL_HOST: '127.0.0.1',
    INTERNAL_HOST: '127.0.0.1',
    JWT_SECRET: TEST_SECRET,
    SERVICES_FILE: servicesFile,
    DATA_DIR: directory,
    ...(options.store === 'redis' ? { REDIS_URL: process.env.TEST_REDIS_URL } : {}),
    ...options.env,
  };
}

function lines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
