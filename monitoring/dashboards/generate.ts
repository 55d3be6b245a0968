// `npm run docs` writes the dashboards as Grafana reads them. Change them in this folder, not in the JSON.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Dashboard } from '@grafana/schema';
import { overview } from './overview.ts';
import { service } from './service.ts';

const FOLDER = join(import.meta.dirname, '../grafana/provisioning/dashboards');

/** Each dashboard by its file. */
export const DASHBOARDS: Readonly<Record<string, Dashboard>> = {
  [join(FOLDER, 'overview.json')]: overview,
  [join(FOLDER, 'service.json')]: service,
};

export function dashboardDocument(dashboard: Dashboard): string {
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

export function writeDashboards(): void {
  for (const [path, dashboard] of Object.entries(DASHBOARDS)) {
    writeFileSync(path, dashboardDocument(dashboard));
  }
}
