import { asError } from './reason.ts';

/**
 * A caller's callback that cannot break whoever calls it: what it throws, or a promise of its that rejects,
 * goes to `onError`.
 */
export function guarded<A extends unknown[]>(
  callback: (...args: A) => unknown,
  onError: (error: Error) => void,
): (...args: A) => void {
  return (...args) => {
    try {
      const result = callback(...args);
      if (result instanceof Promise) result.catch((error: unknown) => onError(asError(error)));
    } catch (error) {
      onError(asError(error));
    }
  };
}

/** The error handler of last resort: its own failure has nowhere left to go. */
export function guardedLast(onError: (error: Error) => unknown): (error: Error) => void {
  return guarded(onError, () => {});
}
