import { loadSettings, type Settings } from '../config/config.ts';
import { readEnvironment } from '../config/environment.ts';
import { createLogger, type Logger } from '../lib/logging/logger.ts';
import { Gateway } from './gateway.ts';
import { spentBuffers } from './spentBuffers.ts';

const STOP_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT'];

try {
  const settings = loadSettings(readEnvironment());
  await run(settings, createLogger({ level: settings.logLevel, format: logFormat(settings) }));
} catch (error) {
  // Whoever starts it reads this: what is wrong and what to do, without a stack.
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

async function run(settings: Settings, logger: Logger): Promise<void> {
  const stop = new AbortController();
  // Not once: a terminal and npm may both pass a Ctrl-C on, and the second must not cut the draining short.
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop.abort());
  const creating = Gateway.create({ settings, logger, onContent: spentBuffers() });
  const gateway = await Promise.race([creating, aborted(stop.signal)]);
  if (!gateway) process.exit(0);
  aborted(stop.signal).then(() => leave(gateway));
  try {
    await gateway.start();
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function leave(gateway: Gateway): Promise<void> {
  try {
    await gateway.stop();
    process.exit(0);
  } catch (error) {
    gateway.parts.logger.error('Stopping failed', { error });
    process.exit(1);
  }
}

function logFormat({ logFormat: format }: Settings): 'json' | 'pretty' {
  if (format !== 'auto') return format;
  return process.stdout.isTTY ? 'pretty' : 'json';
}

function explain(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
