// The thread that evaluates a GATEWAY_FILE in TypeScript: see evaluate.ts.
import { pathToFileURL } from 'node:url';
import { type MessagePort, workerData } from 'node:worker_threads';

const EXPECTED = 'expected export default { services: [...] }';

interface Task {
  readonly path: string;
  readonly done: Int32Array;
  readonly port: MessagePort;
}

const { path, done, port } = workerData as Task;
const url = pathToFileURL(path).href;

let isOver = false;

// Not awaited here, or Node would warn of a module that waits for ever.
import(url).then(tell, (error: unknown) => fail(error));
// Nothing is left to wait for, or the module has ended the thread.
process.once('exit', () => say({ problem: `it ends before it exports anything: ${EXPECTED}`, place: '' }));

function say(message: object): void {
  if (isOver) return;
  isOver = true;
  port.postMessage(message);
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
}

function tell(exported: { readonly default?: unknown }): void {
  if (exported.default === undefined) {
    say({ problem: `it has no default export: ${EXPECTED}`, place: '' });
    return;
  }
  try {
    say({ value: plain(exported.default) });
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): void {
  say({ problem: `it cannot be evaluated: ${messageOf(error)}`, place: placeOf(error) });
}

/** Only data leaves the thread. */
function plain(value: unknown): unknown {
  const text = JSON.stringify(value, (key, each: unknown) => {
    if (['function', 'symbol', 'bigint'].includes(typeof each)) {
      throw new TypeError(`${key || 'its default export'} is a ${typeof each}: expected data`);
    }
    return each;
  });
  return JSON.parse(text);
}

function messageOf(error: unknown): string {
  const message = Error.isError(error) ? error.message : String(error);
  return message.trim().split('\n', 1)[0] || 'unknown reason';
}

/** Line and column in the file itself, as the stack has them. */
function placeOf(error: unknown): string {
  const stack = Error.isError(error) ? (error.stack ?? '') : '';
  const at = stack.indexOf(`${url}:`);
  return at === -1 ? '' : (/^:\d+(?::\d+)?/.exec(stack.slice(at + url.length))?.[0] ?? '');
}
