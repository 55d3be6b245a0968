// Measures how the cost of a request grows: npm run bench:curves -- --help
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { FlagError, type FlagValues } from '../config/commandLine/flags.ts';
import { print, runCommand, tell, writeJson } from '../config/commandLine/run.ts';
import { stepAside } from './command/run.ts';
import { CURVES_COMMAND } from './curves/command.ts';
import type { Curve } from './curves/curve.ts';
import { runCurve } from './curves/curveRun.ts';
import { ADDRESSES, CURVES } from './curves/list.ts';
import { curvePicture } from './curves/picture.ts';
import { type Cores, chooseCores, isInstalled, machineFacts } from './machine/machine.ts';
import { resultsAsJson, resultTable, runLine } from './report/report.ts';
import type { SubjectResult } from './report/results.ts';
import { openSite } from './servers/site.ts';

interface Measured {
  readonly curve: Curve;
  readonly results: readonly SubjectResult[];
}

type Flags = FlagValues<typeof CURVES_COMMAND.flags>;

async function measureAll(flags: Flags, cores: Cores): Promise<Measured[]> {
  const { only, rounds, seconds, warmUp, upTo } = flags;
  const site = await openSite(cores, { addresses: ADDRESSES });
  const options = { site, rounds, seconds, warmUp, upTo, random: Math.random, onProgress: tell };
  try {
    const measured: Measured[] = [];
    for (const curve of CURVES.filter(({ name }) => only.length === 0 || only.includes(name))) {
      measured.push({ curve, results: await runCurve(curve, options) });
    }
    return measured;
  } finally {
    await site.close();
  }
}

function draw(measured: readonly Measured[], directory: string): void {
  mkdirSync(directory, { recursive: true });
  for (const { curve, results } of measured) {
    writeFileSync(join(directory, `${curve.name}.svg`), curvePicture(curve, results));
  }
}

async function main(flags: Flags): Promise<number> {
  if (!isInstalled('nginx')) throw new FlagError('The service behind the gateway is nginx: install it');
  const cores = chooseCores();
  stepAside(cores);
  const machine = machineFacts(cores);
  const measured = await measureAll(flags, cores);
  const results = measured.flatMap((one) => one.results);
  print(`\n${runLine(machine, flags)}\n`);
  print(resultTable(results));
  if (flags.pictures !== undefined) draw(measured, resolve(flags.pictures));
  writeJson(flags.json, { machine, flags, curves: resultsAsJson(results) });
  return 0;
}

await runCommand(CURVES_COMMAND, main);
