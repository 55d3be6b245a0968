import { mkdtempSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { GatewayFileInput } from '../../config/file/schema.ts';
import { BUILT_IN_SERVICES } from '../../config/sections/services.ts';
import type { ServiceName } from '../catalogue.ts';

/** What the gateway of a playground serves, for people to read. */
export const GATEWAY_FILE = new URL('../gateway.yaml', import.meta.url);

/** The directory of one run. Removed when the playground stops; left behind when it is killed. */
export interface RunFiles {
  /** Where every process of the playground runs, so that none finds a `.env` of somebody's. */
  readonly directory: string;
  /** For the gateway's embedded store. */
  readonly dataDir: string;
  /**
   * Writes the gateway's file: `gateway.yaml`, with the addresses of the services that run. For the gateway there are no
   * others, and no routes to them. Resolves to the path of the file.
   */
  writeGatewayFile(upstreams: Readonly<Record<ServiceName, readonly string[]>>): Promise<string>;
  remove(): Promise<void>;
}

export function createRunFiles(): RunFiles {
  const directory = resolve(mkdtempSync(join(tmpdir(), 'playground-')));
  return {
    directory,
    dataDir: join(directory, 'data'),
    async writeGatewayFile(upstreams) {
      const gatewayFile = join(directory, 'gateway.json');
      await writeFile(gatewayFile, JSON.stringify(await filledIn(upstreams), undefined, 2));
      return gatewayFile;
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

type RouteInput = NonNullable<GatewayFileInput['routes']>[number];

/** The services that a route leads to, and the one that gets copies. */
function servicesOf({ service, split = [], mirror }: RouteInput): string[] {
  const copied = typeof mirror === 'object' ? mirror.service : undefined;
  return [service, ...split.map((side) => side.service), copied].filter((name) => name !== undefined);
}

async function filledIn(
  upstreams: Readonly<Record<ServiceName, readonly string[]>>,
): Promise<GatewayFileInput> {
  const file = parse(await readFile(GATEWAY_FILE, 'utf8')) as GatewayFileInput;
  const services = (file.services ?? []).map((service) => ({
    // The names by which registries may know it as well.
    aliases: [...(BUILT_IN_SERVICES.find(({ path }) => path === service.path)?.aliases ?? [])],
    ...service,
    upstreams: [...upstreams[service.path.slice(1) as ServiceName]],
  }));
  const running = services.filter((service) => service.upstreams.length > 0);
  const names = running.map(({ name }) => name);
  const routes = file.routes?.filter((route) => servicesOf(route).every((name) => names.includes(name)));
  return { ...file, services: running, routes };
}
