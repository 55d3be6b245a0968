import type { Clock } from '../clock/clock.ts';
import type { Transport } from './transport.ts';

export interface ProbeOptions {
  readonly transport: Transport;
  readonly url: URL;
  /** What is asked for. Any answer will do, 404 too. */
  readonly path: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/** Whether something at `url` still answers requests. Never rejects. */
export function probe({ transport, url, path, timeoutMs, clock }: ProbeOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const abort = new AbortController();
    const cancel = clock.after(timeoutMs, () => settle(false));

    function settle(alive: boolean): void {
      cancel();
      resolve(alive);
      abort.abort();
    }

    transport.send(
      url,
      { method: 'GET', path },
      {
        onRequestStart(controller) {
          if (abort.signal.aborted) controller.abort(new Error('the probe is over'));
          else abort.signal.addEventListener('abort', () => controller.abort(new Error('the probe is over')));
        },
        onResponseStart: () => settle(true),
        onResponseData() {},
        onResponseEnd() {},
        onResponseError: () => settle(false),
      },
    );
  });
}
