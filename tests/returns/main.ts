// Has a replica die and come back, again and again: node tests/returns/main.ts --help
import { type Command, choice, type FlagValues, number } from '../../config/commandLine/flags.ts';
import { EXIT_FAILED, print, runCommand } from '../../config/commandLine/run.ts';
import { startRedis } from '../support/stores/redis.ts';
import { COURSES, FAIR, gatewayRestarts, ONE_BY_ONE, replicaReturns, type Setup } from './experiment.ts';

const RESTARTED = { counts: [9_000, 0, 300], count: 440, most: 176 } as const;

const GATEWAYS = {
  'threads=1': { workers: 1, redis: false },
  'threads=2': { workers: 2, redis: false },
  redis: { workers: 1, redis: true },
} as const;

type Name = keyof typeof GATEWAYS;

const NAMES = Object.keys(GATEWAYS) as Name[];

const flags = {
  times: number(20, { min: 1, max: 1_000, whole: true }, 'how often with each gateway, 1 to 1000'),
  only: choice(undefined, NAMES, 'only with this gateway'),
};

const COMMAND: Command<typeof flags> = {
  about:
    'Has one replica of three die under load and come back, and sees what part it gets of what comes one by one.',
  usage: ['node tests/returns/main.ts'],
  flags,
  notes: `Exit code 1 when a part is not from ${FAIR.least} to ${FAIR.most} of ${ONE_BY_ONE}, a request under load fails, or a replica
gets more than ${RESTARTED.most} of ${RESTARTED.count} after a restart of the gateway; 2 when a flag is wrong.`,
};

/** Whether everything was as it should be. */
async function experiment(name: Name, setup: Setup, times: number): Promise<boolean> {
  const parts: number[] = [];
  const failed: string[] = [];
  for (let n = 0; n < times; n += 1) {
    const { part, failed: lines } = await replicaReturns(
      setup,
      COURSES[n % COURSES.length] as (typeof COURSES)[0],
    );
    parts.push(part);
    print(`${name}, time ${n + 1}: ${part} of ${ONE_BY_ONE}${lines.length > 0 ? ', with failures' : ''}`);
    failed.push(...lines);
  }
  const restarts: number[][] = [];
  for (const connections of [1, 50]) {
    restarts.push(await gatewayRestarts(setup, RESTARTED.counts, { count: RESTARTED.count, connections }));
  }
  print(
    `${name}: ${Math.min(...parts)} to ${Math.max(...parts)} of ${ONE_BY_ONE} for the replica that was back`,
  );
  print(
    `  after a restart of the gateway the three got ${restarts.join(' and ')}; ${failed.length} under load failed`,
  );
  for (const line of failed) print(`  ${line}`);
  const areFair = parts.every((part) => part >= FAIR.least && part <= FAIR.most);
  return areFair && failed.length === 0 && Math.max(...restarts.flat()) <= RESTARTED.most;
}

async function main({ times, only }: FlagValues<typeof flags>): Promise<number> {
  const wanted = only === undefined ? NAMES : [only];
  const redis = wanted.includes('redis') ? await startRedis() : undefined;
  let isGood = true;
  try {
    for (const name of wanted) {
      const { workers, redis: withRedis } = GATEWAYS[name];
      const redisUrl = withRedis ? redis?.url : undefined;
      isGood = (await experiment(name, { workers, redisUrl }, times)) && isGood;
    }
  } finally {
    await redis?.stop();
  }
  return isGood ? 0 : EXIT_FAILED;
}

await runCommand(COMMAND, main);
