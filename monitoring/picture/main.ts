// `npm run docs:dashboard` draws docs/dashboard.png: the overview with the data of a minute and a half of real traffic.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBrowser } from '../../tests/support/clients/browser.ts';
import {
  faultyTraffic,
  ordinaryTraffic,
  TRAFFIC_FLAGS,
  Traffic,
} from '../../tests/support/clients/traffic.ts';
import { fill, panelsOf, readDashboard } from '../../tests/support/monitoring/expressions.ts';
import {
  type PrometheusServer,
  type Series,
  startPrometheus,
} from '../../tests/support/monitoring/prometheus.ts';
import { startPlayground } from '../../tests/support/processes/playground.ts';
import { dashboardPage, type Span } from './page.ts';

const PICTURE = join(import.meta.dirname, '../../docs/dashboard.png');
const VARIABLES = { service: '.*', port: '.*', __rate_interval: '6s' };
const SECONDS = 90;
const USERS = 4;
/** When what goes wrong goes wrong: the last time is not over when the picture is taken. */
const FAULTS_AT_SECONDS = [15, 82];
/** One of three replicas hangs: the registry finds out, and users do not. */
const FROZEN = { replica: 'budgeting.2', fromSeconds: 36, toSeconds: 52 };

const HELP = `Draws docs/dashboard.png: the overview dashboard with the data of a real run of ${SECONDS} seconds.

Usage: npm run docs:dashboard

  -h, --help  print this and stop

It starts a playground, Prometheus and Chromium, and has no other flags.
`;

const args = process.argv.slice(2);
if (args.length > 0) {
  const asksForHelp = args.length === 1 && /^(-h|--help)$/.test(args[0] ?? '');
  (asksForHelp ? process.stdout : process.stderr).write(HELP);
  process.exit(asksForHelp ? 0 : 2);
}

const playground = await startPlayground(TRAFFIC_FLAGS, {
  REQUEST_TIMEOUT: '2s',
  SERVICE_REFRESH_INTERVAL: '2s',
  CIRCUIT_BREAKER_COOLDOWN: '10s',
  // A few failures stand for a service that breaks down.
  CIRCUIT_BREAKER_RATIO: '0',
  GET_CACHE_TTL: '2s',
  LOG_LEVEL: 'error',
});
const target = new URL(playground.urls.internal ?? '').host;
const prometheus = await startPrometheus({ targets: [target], scrapeEveryMs: 500 });

try {
  const startSeconds = Date.now() / 1000;
  await traffic(SECONDS);
  const span = { startSeconds: startSeconds + 5, endSeconds: Date.now() / 1000 };
  writeFileSync(PICTURE, await picture(await page(prometheus, span)));
} finally {
  await prometheus.stop();
  await playground.stop();
}

async function traffic(seconds: number): Promise<void> {
  const endsAt = performance.now() + seconds * 1000;
  const users = Array.from({ length: USERS }, async (_, index) => {
    const traffic = new Traffic(playground.urls);
    while (performance.now() < endsAt) {
      await ordinaryTraffic(traffic, await traffic.logIn(), 4 + index);
      await sleep(150 * index);
    }
  });
  const faults = FAULTS_AT_SECONDS.map(async (at) => {
    await sleep(at * 1000);
    const traffic = new Traffic(playground.urls);
    const token = await traffic.logIn();
    for (const _ of [1, 2, 3]) await faultyTraffic(traffic, token);
  });
  await Promise.all([...users, ...faults, freeze()]);
}

async function freeze(): Promise<void> {
  const { replica, fromSeconds, toSeconds } = FROZEN;
  await sleep(fromSeconds * 1000);
  await playground.ctl('freeze', replica);
  await sleep((toSeconds - fromSeconds) * 1000);
  await playground.ctl('thaw', replica);
}

async function page(server: PrometheusServer, span: Span): Promise<string> {
  const dashboard = readDashboard('overview');
  const results = new Map<number | undefined, Series[][]>();
  const ask = (expr: unknown) =>
    server.queryRange(fill(String(expr), VARIABLES), { ...span, stepSeconds: 0.5 });
  for (const panel of panelsOf(dashboard)) {
    results.set(panel.id, await Promise.all((panel.targets ?? []).map(({ expr }) => ask(expr))));
  }
  return dashboardPage(dashboard, results, span);
}

async function picture(html: string): Promise<Buffer> {
  await using browser = await startBrowser();
  const view = await browser.open('about:blank');
  await view.setViewportSize({ width: 1616, height: 1000 });
  await view.setContent(html);
  // Awaited: the browser closes with this function.
  return await view.screenshot({ fullPage: true });
}
