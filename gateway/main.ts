import { loadSettings, type Settings } from '../config/config.ts';
import { readEnvironment } from '../config/environment.ts';
import { createLogger, type Logger } from '../lib/logging/logger.ts';
import { Gateway } from './gateway.ts';

try {
  const settings = loadSettings(readEnvironment());
  await run(settings, createLogger({ level: settings.logLevel, format: logFormat(settings) }));
} catch (error) {
  // Whoever starts it reads this: what is wrong and what to do, without a stack.
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

async function run(settings: Settings, logger: Logger): Promise<void> {
  const gateway = await Gateway.create({ settings, logger });
  stopOn(['SIGTERM', 'SIGINT'], gateway);
  try {
    await gateway.start();
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

function stopOn(signals: readonly NodeJS.Signals[], gateway: Gateway): void {
  for (const signal of signals) {
    process.once(signal, () => {
      gateway.stop().then(
        () => process.exit(0),
        (error) => {
          gateway.parts.logger.error('Stopping failed', { error });
          process.exit(1);
        },
      );
    });
  }
}

function logFormat({ logFormat: format }: Settings): 'json' | 'pretty' {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'pretty' : 'json';
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE' && 'port' in error) {
    return `Port ${error.port} is taken: stop what listens there, or set EXTERNAL_PORT or INTERNAL_PORT.`;
  }
  return error.message;
}
