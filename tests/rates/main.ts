// Tries whether a rate by claim is exact over two gateways: npm run test:rates -- --help
import { type Command, type FlagValues, number } from '../../config/commandLine/flags.ts';
import { EXIT_FAILED, print, runCommand, tell } from '../../config/commandLine/run.ts';
import { align } from '../../config/report/table.ts';
import { experiment } from './experiment.ts';

const flags = {
  requests: number(1_000_000, { min: 1_000, max: 100_000_000, whole: true }, 'how many requests, from 1000'),
};

const COMMAND: Command<typeof flags> = {
  about:
    'Sends requests of users with several plans over two gateways on one Redis, most of them too many, and sees whether anybody is let in too often or too seldom.',
  usage: ['npm run test:rates --', 'node tests/rates/main.ts'],
  flags,
  notes:
    'A million requests take some minutes. Exit code 1 when a promise was broken; 2 when a flag is wrong.',
};

async function main({ requests }: FlagValues<typeof flags>): Promise<number> {
  const isTerminal = process.stderr.isTTY;
  const onProgress = (sent: number) => {
    if (isTerminal || sent % 100_000 === 0) tell(`${sent} of ${requests} sent`);
  };
  const { seconds, rows, odd, alone } = await experiment(requests, onProgress);
  const table = rows.map(({ plan, asked, admitted, tooMany, short }) =>
    [plan, asked, admitted, tooMany, short].map(String),
  );
  print(align([['PLAN', 'ASKED', 'ADMITTED', 'TOO MANY', 'SHORT'], ...table]));
  for (const [status, count] of odd) print(`${count} x status ${status || 'none'}`);
  if (alone > 0) print(`${alone} requests were counted by one gateway alone: Redis did not respond in time.`);
  const tooMany = Math.max(...rows.map((row) => row.tooMany));
  const short = Math.max(...rows.map((row) => row.short));
  print(
    `${requests} requests in ${seconds.toFixed(0)} s, ${tooMany} too many, ${short} short by more than the burst allows.`,
  );
  return tooMany + short + odd.size + alone === 0 ? 0 : EXIT_FAILED;
}

await runCommand(COMMAND, main);
