import { getHeapStatistics } from 'node:v8';
import { loadSettings, type Settings } from '../../config/config.ts';
import { readDotenv, readEnvironment } from '../../config/environment.ts';
import { settingsWarnings } from '../../config/report/warnings.ts';
import { systemClock } from '../../lib/clock/clock.ts';
import { levelSwitch } from '../../lib/logging/levelSwitch.ts';
import { createLogger, type Logger, type LogLevel } from '../../lib/logging/logger.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import { Gateway } from '../gateway.ts';
import { printedInstead } from './commandLine.ts';
import { takeHeapSnapshot } from './heapSnapshot.ts';
import { heapAdvice, keepWithin, memoryLine } from './memory.ts';
import { listenToSignals } from './signals.ts';

/** How long a drain may take beyond its time after an uncaught error, when nobody knows what still works. */
const GRACE_MS = 5_000;

try {
  const printed = printedInstead(process.argv.slice(2));
  if (printed === undefined) await start();
  else process.stdout.write(printed);
} catch (error) {
  // Read by whoever starts the gateway: it says what is wrong and what to do, without a stack trace.
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = 1;
}

async function start(): Promise<void> {
  const dotenv = readDotenv();
  const settings = loadSettings(readEnvironment(process.env, dotenv));
  const logger = createLogger({ level: settings.logLevel, format: logFormat(settings) });
  const { heap_size_limit: heapLimitBytes } = getHeapStatistics();
  const advice = heapAdvice(settings.memory, heapLimitBytes);
  if (advice) logger.warn(advice);
  logger.info(memoryLine(settings, heapLimitBytes));
  for (const warning of settingsWarnings({ env: process.env, dotenv, settings })) logger.warn(warning);
  // Node asks for it at each connection: to Redis, to services, to whoever has the keys of tokens.
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  await run(settings, logger);
}

async function run(settings: Settings, logger: Logger): Promise<void> {
  const stop = new AbortController();
  const switchLevel = levelSwitch(logger);
  listenToSignals({
    process,
    logger,
    clock: systemClock,
    onStop: () => stop.abort(),
    onSwitchLevel: () => {
      switchLevel();
      gateway?.setLogLevel(logger.level as LogLevel);
    },
    onHeapSnapshot: () =>
      takeHeapSnapshot({ directory: settings.heapSnapshotDir, logger, clock: systemClock }),
  });
  let gateway: Running | undefined;
  onUncaught(logger, () => {
    gateway?.metrics.uncaughtErrors.count();
    stop.abort();
    setTimeout(() => process.exit(), settings.drainTimeoutMs + GRACE_MS).unref();
  });
  const creating = create(settings, logger);
  gateway = (await Promise.race([creating, aborted(stop.signal)])) ?? process.exit();
  const running = gateway;
  aborted(stop.signal).then(() => leave(running, logger));
  try {
    await gateway.start();
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

/** A gateway of one thread or of several. */
interface Running {
  readonly metrics: Metrics;
  start(): Promise<unknown>;
  stop(): Promise<void>;
  /** Changes the level of the log. */
  setLogLevel(level: LogLevel): void;
}

async function create(settings: Settings, logger: Logger): Promise<Running> {
  if (settings.workers > 1) {
    const { MainGateway } = await import('../threads/main/mainGateway.ts');
    return MainGateway.create({ settings, logger, logFormat: logFormat(settings) });
  }
  const gateway = await Gateway.create({ settings, logger, onContent: keepWithin(settings.memory).passed });
  return {
    metrics: gateway.parts.metrics,
    start: () => gateway.start(),
    stop: () => gateway.stop(),
    // It uses this process's logger, whose level is changed elsewhere.
    setLogLevel() {},
  };
}

/** After an uncaught error the state of the process is unknown: it logs the error, drains and exits with 1. */
function onUncaught(logger: Logger, end: () => void): void {
  // Node reports unhandled rejections here as well.
  process.on('uncaughtException', (thrown, kind) => {
    const error = Error.isError(thrown) ? thrown : new Error(String(thrown));
    logger.error(`Ending because of an error that nobody caught (${kind})`, { error });
    process.exitCode = 1;
    end();
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function leave(gateway: Running, logger: Logger): Promise<void> {
  try {
    await gateway.stop();
    process.exit();
  } catch (error) {
    logger.error('Stopping failed', { error });
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
