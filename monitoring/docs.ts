// `npm run docs` writes anew what is made of the source: docs/settings.md, docs/errors.md, .env.example, the dashboards,
// the JSON Schema of GATEWAY_FILE, and what the Helm chart and the manifests repeat.
import { parseArgs } from 'node:util';
import { writeJsonSchema } from '../config/file/jsonSchema.ts';
import { writeChartSchema } from '../config/report/chartSchema.ts';
import { writeSettings } from '../config/report/document.ts';
import { writeErrors } from '../gateway/process/document.ts';
import { writeDashboards } from './dashboards/generate.ts';
import { writeAlerts } from './prometheusRule.ts';

const USAGE = `Usage: npm run docs

Writes anew what is made of the source: the tables in docs/settings.md and docs/errors.md, .env.example,
both dashboards, the JSON Schema of GATEWAY_FILE, and for Kubernetes the alerts and the settings in the
schema of the Helm chart. A test fails where one of
them is out of date.

  -h, --help  print this and stop
`;

/** Runs the command; gives its exit code. */
function main(args: string[]): number {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } });
    if (values.help) {
      process.stdout.write(USAGE);
      return 0;
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 1;
  }
  writeSettings();
  writeErrors();
  writeDashboards();
  writeAlerts();
  writeChartSchema();
  writeJsonSchema();
  return 0;
}

process.exitCode = main(process.argv.slice(2));
