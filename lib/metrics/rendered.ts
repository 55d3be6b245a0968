import type { Clock } from '../clock/clock.ts';

export interface RenderedOptions {
  readonly render: () => Promise<string>;
  /** How long one rendering serves all who ask, from its beginning, in milliseconds. */
  readonly everyMs: number;
  readonly clock: Pick<Clock, 'ticks'>;
}

/**
 * `render`, but once in `everyMs` at the most and never twice at a time, however many ask: the work of showing metrics
 * is bounded, whoever can ask for them. A rendering that fails is forgotten at once.
 */
export function rendered({ render, everyMs, clock }: Readonly<RenderedOptions>): () => Promise<string> {
  let latest: Promise<string> | undefined;
  let isUnderWay = false;
  let beganAtMs = 0;

  function begin(): Promise<string> {
    isUnderWay = true;
    beganAtMs = clock.ticks();
    const rendering = render().finally(() => {
      isUnderWay = false;
    });
    rendering.catch(() => {
      latest = undefined;
    });
    return rendering;
  }

  return () => {
    const serves = isUnderWay || clock.ticks() - beganAtMs < everyMs;
    if (!latest || !serves) latest = begin();
    return latest;
  };
}
