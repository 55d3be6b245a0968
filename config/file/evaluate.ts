import { resolve } from 'node:path';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import type { Unreadable } from './unreadable.ts';

/** How long a module may take to say what it exports. */
const EVALUATED_WITHIN_MS = 5_000;

/** Gives the data that a module exports as its default. */
export type EvaluateModule = (path: string) => { readonly value: unknown } | Unreadable;

/**
 * Evaluates a module in a thread of its own, which is ended when it has exported its data or after five seconds: a file that
 * waits for ever, or never returns, keeps no gateway from saying so. This thread waits meanwhile.
 */
export const evaluateModule: EvaluateModule = (path) => evaluateWithin(path, EVALUATED_WITHIN_MS);

/** The same with another time, in milliseconds. */
export function evaluateWithin(path: string, timeoutMs: number): ReturnType<EvaluateModule> {
  const done = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const { port1, port2 } = new MessageChannel();
  const worker = new Worker(new URL('./evaluateThread.ts', import.meta.url), {
    workerData: { path: resolve(path), done, port: port2 },
    transferList: [port2],
    // What it prints, and how it ends, is nobody's business: what it exports is.
    stdout: true,
    stderr: true,
  });
  worker.on('error', () => {});
  worker.unref();
  Atomics.wait(done, 0, 0, timeoutMs);
  const said = receiveMessageOnPort(port1)?.message as ReturnType<EvaluateModule> | undefined;
  port1.close();
  void worker.terminate();
  return (
    said ?? {
      problem: `it has not exported anything after ${timeoutMs / 1000} s: expected one that does not wait, such as at a top-level await`,
      place: '',
    }
  );
}
