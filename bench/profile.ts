// Where the gateway's time goes: node bench/profile.ts forward 'gateway internal'
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { chooseCores } from './machine/machine.ts';
import { modulePath } from './machine/modulePath.ts';
import { occupy } from './measure/bench.ts';
import { measure } from './measure/measure.ts';
import { SUBJECTS } from './measure/subjects.ts';
import { verify } from './measure/verify.ts';
import { startServer } from './servers/servers.ts';
import { openSite } from './servers/site.ts';

const SECONDS = 5;
const ROWS = 25;
const ROOT = modulePath('..');

/** The part of V8's format that is read here: https://chromedevtools.github.io/devtools-protocol/tot/Profiler/ */
interface CpuProfile {
  readonly nodes: readonly {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly endTime: number;
}

const [subjectName, contenderName = 'gateway'] = process.argv.slice(2);
const subject = SUBJECTS.find(({ name }) => name === subjectName);
const contender = subject?.contenders.find(
  ({ name, server }) => name === contenderName && server.startsWith('gateway'),
);
if (!subject || !contender) {
  const known = SUBJECTS.flatMap(({ name, contenders }) =>
    contenders.filter(({ server }) => server.startsWith('gateway')).map((one) => `  ${name} '${one.name}'`),
  );
  process.stderr.write(`Usage: node bench/profile.ts SUBJECT CONTENDER, such as\n${known.join('\n')}\n`);
  process.exit(2);
}

const site = await openSite(chooseCores());
try {
  const directory = join(site.directory, 'profile');
  const server = await startServer(contender.server, site, {
    nodeOptions: ['--cpu-prof', `--cpu-prof-dir=${directory}`],
  });
  if (!server) throw new Error(`${contender.server} cannot be started here`);
  const leave = subject.name === '429' ? await occupy(server, site) : () => {};
  await verify(subject, contender, server, site);
  await measure({ site, subject, contender, server, seconds: SECONDS, rate: undefined });
  const { cpuUs } = await measure({ site, subject, contender, server, seconds: SECONDS, rate: undefined });
  leave();
  await server.stop();
  const [file = ''] = readdirSync(directory);
  print(JSON.parse(readFileSync(join(directory, file), 'utf8')), cpuUs);
} finally {
  await site.close();
}

/** Self time of the second half, warm, as parts of a request's. */
function print(profile: CpuProfile, cpuUs: number): void {
  const { byFunction, byGroup } = selfTimes(profile);
  const total = [...byGroup.values()].reduce((sum, us) => sum + us, 0);
  const rows = (times: ReadonlyMap<string, number>) =>
    [...times]
      .sort(([, a], [, b]) => b - a)
      .slice(0, ROWS)
      .map(
        ([name, us]) =>
          `${((us / total) * cpuUs).toFixed(1).padStart(7)}  ${((us / total) * 100).toFixed(1).padStart(5)} %  ${name}`,
      );
  process.stdout.write(
    `${subjectName}, ${contenderName}: ${cpuUs.toFixed(1)} us a request under the profiler\n\n     us             by group\n${rows(byGroup).join('\n')}\n\n     us             by function, self time\n${rows(byFunction).join('\n')}\n`,
  );
}

function selfTimes({ nodes, samples, timeDeltas }: CpuProfile) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const totalUs = timeDeltas.reduce((sum, us) => sum + us, 0);
  const byFunction = new Map<string, number>();
  const byGroup = new Map<string, number>();
  let atUs = 0;
  for (const [index, id] of samples.entries()) {
    const us = timeDeltas[index] ?? 0;
    atUs += us;
    const frame = frames.get(id);
    if (!frame || frame.functionName === '(idle)' || totalUs - atUs > SECONDS * 1e6) continue;
    const place = placeOf(frame.url);
    add(byGroup, groupOf(place, frame.functionName), us);
    add(
      byFunction,
      `${frame.functionName || '(anonymous)'}  ${place}${place && `:${frame.lineNumber + 1}`}`,
      us,
    );
  }
  return { byFunction, byGroup };
}

function add(times: Map<string, number>, name: string, us: number): void {
  times.set(name, (times.get(name) ?? 0) + us);
}

function placeOf(url: string): string {
  return url.startsWith('file://') ? relative(ROOT, url.slice('file://'.length)) : url;
}

/** `lib/proxy`, a package's name, `node:http`, or V8's own `(garbage collector)`. */
function groupOf(place: string, functionName: string): string {
  if (place === '') return functionName.startsWith('(') ? functionName : 'native functions';
  if (place.startsWith('node:'))
    return place
      .split('/', 2)
      .slice(0, 1 + Number(place.includes('internal/')))
      .join('/');
  const parts = place.split('/');
  const packageAt = parts.lastIndexOf('node_modules') + 1;
  return packageAt > 0 ? (parts[packageAt] ?? '') : parts.slice(0, parts[0] === 'lib' ? 2 : 1).join('/');
}
