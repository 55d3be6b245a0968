// npm run fuzz -- --seconds 60 [--seed N] [--kind request|answer] [--cases N]
import { parseArgs } from 'node:util';
import { fuzz, type Kind } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    kind: { type: 'string' },
    cases: { type: 'string' },
  },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const say = (line: string) => void process.stdout.write(`${line}\n`);

say(`seed ${seed}`);
const { cases, requests, findings } = await fuzz({
  seed,
  forMs: Number(values.seconds) * 1000,
  ...(values.cases === undefined ? {} : { cases: Number(values.cases) }),
  ...(values.kind === undefined ? {} : { kind: values.kind as Kind }),
  onFinding: (finding) => say(`FOUND ${finding}`),
});
say(`${cases} cases, ${requests} requests at the origin, ${findings.length} findings`);
process.exitCode = findings.length === 0 ? 0 : 1;
