// How much memory a gateway takes, and for what: npm run bench:sizing -- --help
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { FlagError, type FlagValues } from '../config/commandLine/flags.ts';
import { print, runCommand, tell } from '../config/commandLine/run.ts';
import { stepAside } from './command/run.ts';
import { usageOf } from './machine/accounting.ts';
import { chooseCores, isInstalled, machineFacts } from './machine/machine.ts';
import { type MemoryGroup, memoryGroup } from './machine/memoryGroup.ts';
import { modulePath } from './machine/modulePath.ts';
import { BenchProcess } from './machine/processes.ts';
import { type Server, startServer } from './servers/servers.ts';
import { openSite, pinnedTo, type Site } from './servers/site.ts';
import { SIZING_COMMAND } from './sizing/command.ts';
import { POINTS, type Point } from './sizing/points.ts';

const MIB = 2 ** 20;
/** Long enough for V8 to have compiled what is asked for all the time. */
const ACTIVE_SECONDS = 30;
/** How long a gateway may rest before its memory is looked at. */
const REST_MS = 1_000;
const AT_A_TIME = 8;

/** Does what the point says; gives how many requests that took, and what lets go of its connections. */
async function exert(
  point: Point,
  server: Server,
  site: Site,
): Promise<{ requests: number; stop(): Promise<void> }> {
  const url = `http://${server.address}${point.path}`;
  if (point.subject === 'idle') return idle(url, point.count, site);
  if (point.subject === 'active')
    return { requests: await active(url, point.count, site), stop: async () => {} };
  if (point.subject === 'cache') await fill(url, point.count, site);
  return { requests: point.count, stop: async () => {} };
}

async function idle(url: string, count: number, site: Site) {
  const clients = new BenchProcess({
    name: 'the idle clients',
    command: process.execPath,
    args: [modulePath('load/idleClients.ts'), url, String(count)],
    env: { BENCH_TOKEN: site.token },
    core: pinnedTo(site.cores, 'others'),
  });
  const { open } = JSON.parse(await clients.line());
  if (open !== count) throw new Error(`${open} of ${count} connections are open`);
  return { requests: count, stop: () => clients.stop() };
}

/** Connections that all ask all the time. */
async function active(url: string, count: number, { token, cores }: Site): Promise<number> {
  const wrk = new BenchProcess({
    name: 'wrk',
    command: 'wrk',
    args: [
      '-t1',
      `-c${count}`,
      `-d${ACTIVE_SECONDS}s`,
      '--timeout',
      '30s',
      '-H',
      `Authorization: Bearer ${token}`,
      url,
    ],
    core: pinnedTo(cores, 'others'),
  });
  const [, requests] = /(\d+) requests in/.exec(await wrk.output()) ?? [];
  return Number(requests);
}

async function fill(url: string, count: number, { token }: Site): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_A_TIME });
  const headers = { Authorization: `Bearer ${token}` };
  let next = 0;
  const ask = async () => {
    while (next < count) {
      next += 1;
      await got(`${url}${next}`, agent, headers);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, ask));
  agent.destroy();
}

function got(url: string, agent: Agent, headers: Readonly<Record<string, string>>): Promise<void> {
  return new Promise((resolve, reject) => {
    request(url, { agent, headers }, (res) => {
      if (res.statusCode !== 200) reject(new Error(`${url} got ${res.statusCode}`));
      res.resume().once('end', resolve);
    })
      .once('error', reject)
      .end();
  });
}

async function measurePoint(point: Point, site: Site, limitBytes: number): Promise<string | undefined> {
  await using group = memoryGroup(limitBytes);
  const server = await startServer(point.server, site, { env: { ...point.env }, group });
  if (!server) return undefined;
  try {
    const cpuBefore = usageOf(server.pid).cpuSeconds;
    const load = await exert(point, server, site);
    const cpuSeconds = usageOf(server.pid).cpuSeconds - cpuBefore;
    await sleep(REST_MS);
    const line = row(point, { group, pid: server.pid, cpuUs: (cpuSeconds / load.requests) * 1e6 });
    await load.stop();
    return line;
  } finally {
    await server.stop();
  }
}

interface Figures {
  readonly group: MemoryGroup | undefined;
  readonly pid: number;
  readonly cpuUs: number;
}

function row({ subject, name, count }: Point, { group, pid, cpuUs }: Figures): string {
  const ownMib =
    Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const limited = group ? (group.peakBytes() / MIB).toFixed(0) : '';
  const cpu = count > 0 ? cpuUs.toFixed(0) : '';
  return `| ${subject} | ${name} | ${count.toLocaleString('en')} | ${limited} | ${ownMib.toFixed(0)} | ${cpu} |`;
}

async function main({ only, limit }: FlagValues<typeof SIZING_COMMAND.flags>): Promise<number> {
  if (!isInstalled('wrk') || !isInstalled('nginx')) throw new FlagError('Install wrk and nginx first');
  const cores = chooseCores();
  stepAside(cores);
  print(JSON.stringify(machineFacts(cores)));
  print('| what | of | count | limited, MiB | own, MiB | CPU us a request |\n|---|---|---|---|---|---|');
  const site = await openSite(cores);
  try {
    for (const point of POINTS.filter((one) => only.length === 0 || only.includes(one.subject))) {
      tell(`${point.subject} ${point.name} ${point.count}`);
      const line = await measurePoint(point, site, limit);
      if (line) print(line);
    }
  } finally {
    await site.close();
  }
  return 0;
}

await runCommand(SIZING_COMMAND, main);
