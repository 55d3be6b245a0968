import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { eventually } from '../eventually.ts';
import { ensureCommand } from '../processes/command.ts';
import { TiedProcess } from '../processes/tiedProcess.ts';
import { freePort } from '../stores/redis.ts';

const MONITORING = join(import.meta.dirname, '../../../monitoring');

/** One series of an answer, with its value at one moment or over time. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly points: readonly Point[];
}

export type Point = readonly [seconds: number, value: number];

export interface RangeQuery {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly stepSeconds: number;
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'pending' | 'firing';
}

export interface PrometheusServer {
  readonly url: string;
  /** The value of an expression now. Rejects, with what Prometheus says, when it cannot be evaluated. */
  query(expr: string): Promise<Series[]>;
  queryRange(expr: string, range: RangeQuery): Promise<Series[]>;
  labelValues(metric: string, label: string): Promise<string[]>;
  alerts(): Promise<Alert[]>;
  /** Ends the process and removes its data. */
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** `host:port` of the gateways. */
  readonly targets: readonly string[];
  readonly scrapeEveryMs?: number;
}

/** Makes sure that `prometheus` and `promtool` can be run. */
export function ensurePrometheus(): void {
  ensureCommand('prometheus', 'prometheus');
}

/** Starts a Prometheus with monitoring/prometheus.yml, but for its targets and its pace. */
export async function startPrometheus({
  targets,
  scrapeEveryMs = 500,
}: PrometheusOptions): Promise<PrometheusServer> {
  ensurePrometheus();
  const directory = mkdtempSync(join(tmpdir(), 'gateway-prometheus-'));
  const port = await freePort();
  const configFile = join(directory, 'prometheus.yml');
  writeFileSync(configFile, stringify(configuration(targets, port, `${scrapeEveryMs}ms`)));
  const running = await TiedProcess.start('prometheus', [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${join(directory, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
    '--log.level=error',
  ]);
  const url = `http://127.0.0.1:${port}`;
  await eventually('Prometheus is ready', async () => (await fetch(`${url}/-/ready`)).ok, 30_000);
  return {
    ...client(url),
    async stop() {
      await running.kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function configuration(targets: readonly string[], ownPort: number, every: string) {
  const config = parse(readFileSync(join(MONITORING, 'prometheus.yml'), 'utf8'));
  config.global = { scrape_interval: every, evaluation_interval: every, scrape_timeout: every };
  config.rule_files = config.rule_files.map((pattern: string) => join(MONITORING, pattern));
  const places: Readonly<Record<string, readonly string[]>> = {
    gateway: targets,
    prometheus: [`127.0.0.1:${ownPort}`],
  };
  for (const job of config.scrape_configs) {
    job.dns_sd_configs = undefined;
    job.static_configs = [{ targets: places[job.job_name] }];
  }
  return config;
}

function client(url: string): Omit<PrometheusServer, 'stop'> {
  async function ask(path: string, parameters: Readonly<Record<string, string>> = {}) {
    const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { status, data, error } = (await answer.json()) as Answer;
    if (status !== 'success') throw new Error(`${path} ${JSON.stringify(parameters)}: ${error}`);
    return data;
  }
  return {
    url,
    query: async (query) => seriesOf(await ask('query', { query })),
    queryRange: async (query, { startSeconds, endSeconds, stepSeconds }) =>
      seriesOf(
        await ask('query_range', {
          query,
          start: String(startSeconds),
          end: String(endSeconds),
          step: String(stepSeconds),
        }),
      ),
    labelValues: async (metric, label) =>
      (await ask(`label/${label}/values`, { 'match[]': metric })) as unknown as string[],
    alerts: async () => (await ask('alerts')).alerts,
  };
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  // biome-ignore lint/suspicious/noExplicitAny: each path has data of its own shape.
  readonly data: any;
}

type Sample = readonly [seconds: number, value: string];

interface Result {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: Sample;
  readonly values?: readonly Sample[];
}

function seriesOf({ result }: { readonly result: readonly Result[] }): Series[] {
  return result.map(({ metric, value, values = value ? [value] : [] }) => ({
    metric,
    points: values.map(([seconds, text]): Point => [seconds, Number(text)]),
  }));
}
