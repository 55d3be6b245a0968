import { isInstalled } from '../machine/machine.ts';
import { modulePath } from '../machine/modulePath.ts';
import { BenchProcess } from '../machine/processes.ts';
import type { LoadRequest, Subject } from '../measure/subjects.ts';
import { pinnedTo, type Site } from '../servers/site.ts';

/** What a load generator reports of one run. */
export interface LoadFigures {
  readonly requests: number;
  readonly seconds: number;
  /** Answers with a status of 400 or more. */
  readonly notOk: number;
  /** Connections that failed or broke, requests without an answer. */
  readonly broken: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

export interface LoadOptions {
  readonly site: Site;
  readonly subject: Subject;
  readonly request: LoadRequest;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly seconds: number;
  /** Requests per second, all connections together; as many as possible when left out. */
  readonly rate: number | undefined;
}

/** A load that can begin: what is under it is awake. */
export interface Turn {
  run(): Promise<LoadFigures>;
  /** Closes the connections that are still open. */
  end(): Promise<void>;
}

/** In seconds: the shortest time that wrk knows. */
export const LEAD_IN_SECONDS = 1;

/** Puts `address` under load for a moment, from the core that is not measured. */
export async function leadIn(options: Readonly<LoadOptions>): Promise<Turn> {
  if (options.subject.atATime !== undefined) return leadInClients(options);
  await runLoad({ ...options, seconds: LEAD_IN_SECONDS });
  return { run: () => runLoad(options), end: async () => {} };
}

/** Puts `address` under load at once. */
export async function runLoad(options: LoadOptions): Promise<LoadFigures> {
  const lines = (await start(options).output()).trim().split('\n');
  return JSON.parse(lines.at(-1) ?? '');
}

/** They lead in by themselves, wait for a signal, and keep their connections until they are ended. */
async function leadInClients(options: LoadOptions): Promise<Turn> {
  const clients = start(options);
  await clients.line(1);
  return {
    async run() {
      clients.signal();
      return JSON.parse(await clients.line(2));
    },
    end: () => clients.stop(),
  };
}

function start(options: LoadOptions): BenchProcess {
  return new BenchProcess({
    ...commandFor(options),
    env: environment(options),
    core: pinnedTo(options.site.cores, 'others'),
  });
}

function commandFor({ subject, address, request, seconds }: LoadOptions) {
  const { connections } = subject;
  if (subject.kind === 'webSocket') {
    const url = `ws://${address}${request.path}`;
    const args = [modulePath('load/webSockets.ts'), url, String(connections), String(seconds)];
    return { name: 'the WebSocket clients', command: process.execPath, args };
  }
  const origin = `http://${address}`;
  if (subject.atATime !== undefined) {
    const counts = [connections, subject.atATime, LEAD_IN_SECONDS, seconds].map(String);
    return {
      name: 'the clients',
      command: process.execPath,
      args: [modulePath('load/clients.ts'), origin, ...counts],
    };
  }
  if (!isInstalled('wrk')) {
    const args = [modulePath('load/autocannon.mjs'), origin, String(connections), String(seconds)];
    return { name: 'autocannon', command: process.execPath, args };
  }
  // It knows whole seconds only.
  const script = modulePath('load/wrk.lua');
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '--timeout',
    '20s',
    '-s',
    script,
    origin,
  ];
  return { name: 'wrk', command: 'wrk', args };
}

function environment({ site, subject, request, rate }: LoadOptions): Record<string, string> {
  return {
    BENCH_PATH: request.path,
    ...(request.method && { BENCH_METHOD: request.method }),
    ...(request.token && { BENCH_TOKEN: site.token }),
    ...(request.distinct && { BENCH_DISTINCT: `${Date.now()}` }),
    ...(request.paths && { BENCH_PATHS: request.paths }),
    ...(request.tokens && { BENCH_TOKENS: request.tokens }),
    ...(request.bodyBytes && { BENCH_BODY_BYTES: String(request.bodyBytes) }),
    ...(rate && { BENCH_RATE: String(rate), BENCH_DELAY_MS: String((subject.connections / rate) * 1000) }),
  };
}
