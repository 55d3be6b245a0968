// npm run fuzz -- --help
import { EXIT_FAILED, print, runCommand } from '../../config/commandLine/run.ts';
import { type Flags, FUZZ_COMMAND } from './command.ts';
import { fuzz } from './fuzz.ts';

async function main({ seconds, seed = Date.now() % 2 ** 31, kind, cases }: Flags): Promise<number> {
  print(`seed ${seed}`);
  const report = await fuzz({
    seed,
    forMs: seconds * 1000,
    ...(cases === undefined ? {} : { cases }),
    ...(kind === undefined ? {} : { kind }),
    onFinding: (finding) => print(`FOUND ${finding}`),
  });
  const { findings, requests } = report;
  print(`${report.cases} cases, ${requests} requests at the origin, ${findings.length} findings`);
  return findings.length === 0 ? 0 : EXIT_FAILED;
}

await runCommand(FUZZ_COMMAND, main);
