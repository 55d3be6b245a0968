// A gateway that answers once on each port and stops: whatever it leaves behind keeps this process from ending.

import { loadSettings } from '../../../config/config.ts';
import { readEnvironment } from '../../../config/environment.ts';
import { Gateway } from '../../../gateway/gateway.ts';
import { createLogger } from '../../../lib/logging/logger.ts';

const settings = loadSettings(readEnvironment());
const logger = createLogger({ level: settings.logLevel, format: 'json' });
const gateway = await Gateway.create({ settings, logger });
const { externalPort, internalPort } = await gateway.start();
const [path] = settings.services.map((service) => service.path);
for (const url of [
  `http://127.0.0.1:${externalPort}${path}`,
  `http://127.0.0.1:${internalPort}/internal${path}`,
])
  process.stdout.write(`${(await fetch(url)).status}\n`);
await gateway.stop();
