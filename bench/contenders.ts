// Builds Caddy and Traefik to measure against: npm run bench:contenders -- --help
import { type Command, FlagError } from '../config/commandLine/flags.ts';
import { runCommand, tell } from '../config/commandLine/run.ts';
import { BUILT, buildContenders } from './contenders/build.ts';
import { isInstalled } from './machine/machine.ts';

const COMMAND: Command<Record<string, never>> = {
  about: `Builds what the gateway is measured against and no registry of packages has: ${Object.entries(BUILT)
    .map((one) => one.join(' '))
    .join(' and ')}.`,
  usage: ['npm run bench:contenders --', 'node bench/contenders.ts'],
  flags: {},
  notes: `They are built from the source of their Go modules, with Go 1.26 or later, into node_modules/.cache/bench, and
not again once they are there. The first build takes some minutes of CPU and most of a GiB in Go's own caches.`,
};

await runCommand(COMMAND, async () => {
  if (!isInstalled('go')) throw new FlagError('Install Go first: Caddy and Traefik are built with it');
  buildContenders(tell);
  return 0;
});
