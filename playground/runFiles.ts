import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { registryNameOf, SERVICE_NAMES, type ServiceName } from './catalogue.ts';

/** The directory of one run. Removed when the playground stops; left behind when it is killed. */
export interface RunFiles {
  /** Where the gateway runs, so that it finds no `.env` of somebody's. */
  readonly directory: string;
  /** For the gateway's embedded store. */
  readonly dataDir: string;
  readonly servicesFile: string;
  readonly remove: () => Promise<void>;
}

/** Writes what the gateway needs to find the services, those that run: for it there are no others. */
export async function createRunFiles(
  upstreams: Readonly<Record<ServiceName, readonly string[]>>,
): Promise<RunFiles> {
  const directory = await mkdtemp(join(tmpdir(), 'playground-'));
  const servicesFile = join(directory, 'services.json');
  await writeFile(servicesFile, JSON.stringify(servicesOf(upstreams), undefined, 2));
  return {
    directory,
    dataDir: join(directory, 'data'),
    servicesFile,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

function servicesOf(upstreams: Readonly<Record<ServiceName, readonly string[]>>) {
  const services = SERVICE_NAMES.filter((segment) => upstreams[segment].length > 0).map((segment) => {
    const name = registryNameOf(segment);
    const aliases = [`${name}-service`, segment].filter((alias) => alias !== name);
    return { name, path: `/${segment}`, upstreams: upstreams[segment], aliases };
  });
  return { services };
}
