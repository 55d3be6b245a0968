import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import gateway from 'express-gateway';
import { port, upstream } from './arguments.mjs';

const directory = join(process.argv[5], 'express-gateway');
const ownConfig = fileURLToPath(new URL('config', import.meta.resolve('express-gateway')));
cpSync(ownConfig, directory, { recursive: true });
// JSON is YAML.
writeFileSync(
  join(directory, 'gateway.config.yml'),
  JSON.stringify({
    http: { port: Number(port), hostname: '127.0.0.1' },
    apiEndpoints: { budgeting: { host: '*', paths: ['/budgeting*'] } },
    serviceEndpoints: { budgeting: { url: upstream } },
    policies: ['proxy'],
    pipelines: {
      main: {
        apiEndpoints: ['budgeting'],
        policies: [
          {
            proxy: [
              {
                action: {
                  serviceEndpoint: 'budgeting',
                  ignorePath: false,
                  prependPath: false,
                  stripPath: true,
                },
              },
            ],
          },
        ],
      },
    },
  }),
);
process.env.LOG_LEVEL = 'error';
await gateway().load(directory).run();
