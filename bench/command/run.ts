import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tell } from '../../config/commandLine/run.ts';
import type { Cores } from '../machine/machine.ts';
import { modulePath } from '../machine/modulePath.ts';

/** The peers are packages of their own: the product does not depend on them. */
export function installPeers(): void {
  if (existsSync(modulePath('node_modules'))) return;
  tell('Installing the peers into bench/node_modules, once ...');
  // npm's own words go to stderr: stdout is for the table.
  const args = ['ci', '--prefix', modulePath('.'), '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { stdio: ['ignore', 2, 2] });
}

/** This process reads the gateways' logs: not on the core that is measured. */
export function stepAside({ pinned, others }: Cores): void {
  // One listener for each process of the bench.
  process.setMaxListeners(0);
  if (!pinned)
    tell('Nothing is pinned to a core: there is only one, or no taskset. Trust these figures less.');
  else execFileSync('taskset', ['-acp', String(others), String(process.pid)], { stdio: 'ignore' });
}
