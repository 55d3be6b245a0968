import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BUILT_IN_SERVICES } from '../../config/sections/services.ts';
import type { ServiceName } from '../catalogue.ts';

/** The directory of one run. Removed when the playground stops; left behind when it is killed. */
export interface RunFiles {
  /** Where every process of the playground runs, so that none finds a `.env` of somebody's. */
  readonly directory: string;
  /** For the gateway's embedded store. */
  readonly dataDir: string;
  /**
   * Writes what the gateway needs to find the services, those that run: for it there are no others. Resolves to the
   * path of the file.
   */
  writeServices(upstreams: Readonly<Record<ServiceName, readonly string[]>>): Promise<string>;
  remove(): Promise<void>;
}

export function createRunFiles(): RunFiles {
  const directory = resolve(mkdtempSync(join(tmpdir(), 'playground-')));
  return {
    directory,
    dataDir: join(directory, 'data'),
    async writeServices(upstreams) {
      const gatewayFile = join(directory, 'gateway.json');
      await writeFile(gatewayFile, JSON.stringify(servicesOf(upstreams), undefined, 2));
      return gatewayFile;
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

function servicesOf(upstreams: Readonly<Record<ServiceName, readonly string[]>>) {
  const services = BUILT_IN_SERVICES.map((service) => ({
    ...service,
    upstreams: upstreams[service.path.slice(1) as ServiceName],
  }));
  return { services: services.filter((service) => service.upstreams.length > 0) };
}
