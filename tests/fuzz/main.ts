// npm run fuzz -- --help
import { FlagError } from '../support/flags.ts';
import { HELP, parseFlags } from './flags.ts';
import { fuzz } from './fuzz.ts';

const EXIT_FOUND = 1;
const EXIT_BAD_FLAGS = 2;

const say = (line: string) => void process.stdout.write(`${line}\n`);

async function main(): Promise<number> {
  const { help, seconds, seed = Date.now() % 2 ** 31, kind, cases } = parseFlags(process.argv.slice(2));
  if (help) {
    say(HELP);
    return 0;
  }
  say(`seed ${seed}`);
  const report = await fuzz({
    seed,
    forMs: seconds * 1000,
    ...(cases === undefined ? {} : { cases }),
    ...(kind === undefined ? {} : { kind }),
    onFinding: (finding) => say(`FOUND ${finding}`),
  });
  const { findings, requests } = report;
  say(`${report.cases} cases, ${requests} requests at the origin, ${findings.length} findings`);
  return findings.length === 0 ? 0 : EXIT_FOUND;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof FlagError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = EXIT_BAD_FLAGS;
}
