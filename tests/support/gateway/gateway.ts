import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import jwt from 'jsonwebtoken';
import { loadSettings } from '../../../config/config.ts';
import type { GatewayFileInput, ServiceInput } from '../../../config/file/schema.ts';
import type { Service } from '../../../config/sections/services.ts';
import { Gateway } from '../../../gateway/gateway.ts';
import type { Clock } from '../../../lib/clock/clock.ts';
import { LineTransport } from '../../../lib/logging/lineTransport.ts';
import { createLogger } from '../../../lib/logging/logger.ts';
import { ManualClock } from '../manualClock.ts';
import { keepSecret, NEVER_LOGGED, secretsIn, TEST_SECRET } from '../secrets.ts';

export { keepSecret, NEVER_LOGGED, TEST_SECRET };

/** The stores that a test of the whole gateway runs against: `describe.each(STORES)`. */
export const STORES = ['embedded', 'redis'] as const;
export type StoreKind = (typeof STORES)[number];

/** Where a replica listens, or anything that is listening and says so. */
type Origin = string | URL | { readonly url: URL; readonly weight?: number };

/** Replicas alone, or with what else a service may be given, in short. */
export type TestService = readonly Origin[] | TestServiceDefinition;

/** As a GATEWAY_FILE has it, with some of it in short. */
interface TestServiceDefinition
  extends Partial<Omit<ServiceInput, 'name' | 'path' | 'upstreams' | 'aliases' | 'breaker'>>,
    Partial<Pick<Service, 'aliases' | 'concurrency' | 'streams' | 'cacheShared'>> {
  readonly breaker?: ServiceInput['breaker'];
  readonly upstreams: readonly Origin[];
  readonly requestTimeout?: string;
  readonly cacheTtl?: string;
}

export interface TestGatewayOptions {
  /** The replicas of each service, by path: `{ '/budgeting': [upstream] }`. */
  readonly services: Readonly<Record<string, TestService>>;
  /** What a GATEWAY_FILE says beside its services. */
  readonly defaults?: GatewayFileInput['defaults'];
  readonly routes?: GatewayFileInput['routes'];
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
  /** The metric's value for these labels, summed over all others; 0 when there is no such series. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Stops the gateway; a manual clock is moved on for those that are cut. Fails when a log line or metric holds a secret. */
  stop(): Promise<void>;
}

/** Both ports of a real gateway in this process, on free ports, in front of `services`. */
export async function startGateway(options: Readonly<TestGatewayOptions>): Promise<TestGateway> {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-test-'));
  const settings = loadSettings(gatewayEnvironment(options, directory));
  const log = new CapturedLog();
  const logger = createLogger({ level: settings.logLevel, format: 'json', stream: log.stream });
  const { clock, random } = options;
  const gateway = await Gateway.create({ settings, logger, clock, random });
  const { externalPort, internalPort } = await gateway.start();

  async function stop(): Promise<void> {
    assertNothingLeaked(await gateway.parts.metrics.registry.metrics(), 'a metric');
    const stopped = gateway.stop();
    if (clock instanceof ManualClock) clock.advance(settings.drainTimeoutMs);
    await stopped;
    rmSync(directory, { recursive: true, force: true });
    assertNothingLeaked(log.text, 'a log line');
  }

  return {
    gateway,
    external: `http://127.0.0.1:${externalPort}`,
    internal: `http://127.0.0.1:${internalPort}`,
    logLines: () => {
      for (const transport of logger.transports) if (transport instanceof LineTransport) transport.flush();
      return log.lines;
    },
    metric: (name, labels = {}) => metricValue(gateway, name, labels),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** A token as userManagement would issue it. */
export function tokenFor(subject: string, claims: Readonly<Record<string, unknown>> = {}): string {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  // A jti, or two tokens of one second would be the same and revoked together.
  const token = jwt.sign({ sub: subject, exp, jti: randomUUID(), ...claims }, TEST_SECRET);
  return keepSecret(token);
}

/** The field that carries `token`. */
export function bearer(token: string): { Authorization: string } {
  return { Authorization: `Bearer ${token}` };
}

/** Where nobody listens: a service without upstreams and registry is refused, and one with this registry has no replicas. */
export const NOBODY = 'http://127.0.0.1:1';

/** The variables of a gateway in front of `services` that keeps everything else in `directory`. */
export function gatewayEnvironment(
  options: Readonly<TestGatewayOptions>,
  directory: string,
): NodeJS.ProcessEnv {
  const services = Object.entries(options.services).map(([path, service]) => {
    const { upstreams, ...rest }: TestServiceDefinition =
      'upstreams' in service ? service : { upstreams: service };
    const origins =
      upstreams.length > 0 || options.env?.SERVICE_DISCOVERY_URL ? upstreams.map(originOf) : [NOBODY];
    return { name: path.slice(1), path, upstreams: origins, ...writtenOut(rest) };
  });
  // Not a name that a gateway looks for by itself: some tests take the variable away.
  const gatewayFile = join(directory, 'services.json');
  const { defaults, routes } = options;
  writeFileSync(gatewayFile, JSON.stringify({ defaults, services, routes }));
  return {
    EXTERNAL_PORT: '0',
    INTERNAL_PORT: '0',
    EXTERNAL_HOST: '127.0.0.1',
    INTERNAL_HOST: '127.0.0.1',
    JWT_SECRET: TEST_SECRET,
    GATEWAY_FILE: gatewayFile,
    DATA_DIR: directory,
    // Two cores run two gateways, their origins and Redis: 50 ms would be noticed for the wrong reason.
    STORE_TIMEOUT: '2s',
    DRAIN_TIMEOUT: '2s',
    ...(options.store === 'redis' ? { REDIS_URL: redisTestUrl() } : {}),
    ...options.env,
  };
}

/** As a GATEWAY_FILE has it. */
function writtenOut({
  requestTimeout,
  concurrency,
  streams,
  cacheTtl,
  cacheShared,
  cache = cacheTtl === 'off' ? cacheTtl : { ttl: cacheTtl, shared: cacheShared },
  ...same
}: Omit<TestServiceDefinition, 'upstreams'>): object {
  return {
    ...same,
    timeouts: { request: requestTimeout, ...same.timeouts },
    limits: { concurrency, streams, ...same.limits },
    cache,
  };
}

/** A database of the shared Redis that belongs to this Jest worker: no two tests run in it at a time. */
export function redisTestUrl(): string {
  const url = new URL(process.env.TEST_REDIS_URL ?? '');
  url.pathname = String(1 + (Number(process.env.JEST_WORKER_ID ?? 1) % 15));
  return url.href;
}

function originOf(place: Origin): string | { readonly url: string; readonly weight: number } {
  const { origin, pathname } = new URL(typeof place === 'object' && 'url' in place ? place.url : place);
  const url = origin + pathname.replace(/\/$/, '');
  const weight = typeof place === 'object' && 'weight' in place ? place.weight : undefined;
  return weight === undefined ? url : { url, weight };
}

function assertNothingLeaked(text: string, where: string): void {
  const leaked = secretsIn(text);
  if (leaked.length > 0) throw new Error(`${where} holds ${leaked.join(', ')}:\n${text}`);
}

class CapturedLog {
  readonly #chunks: Buffer[] = [];
  readonly stream = new Writable({
    write: (chunk, _encoding, done) => {
      this.#chunks.push(chunk);
      done();
    },
  });

  get text(): string {
    return Buffer.concat(this.#chunks).toString();
  }

  get lines(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }
}

async function metricValue(
  { parts }: Gateway,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<number> {
  const metric = parts.metrics.registry.getSingleMetric(name);
  if (!metric) throw new Error(`there is no metric ${name}`);
  const { values } = await metric.get();
  const wanted = Object.entries(labels);
  return values
    .filter((series) => wanted.every(([label, value]) => series.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
