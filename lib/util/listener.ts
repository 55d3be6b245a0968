import { asError } from './asError.ts';

/**
 * The callback of a caller, made harmless for whoever calls it: what it throws, or a promise of its that rejects, goes
 * to `onThrown`, by default as a process warning, and breaks no request. Nothing at all when there is no callback.
 */
export function listener<Args extends readonly unknown[]>(
  callback: ((...args: Args) => unknown) | undefined,
  onThrown: (error: Error) => void = warn,
): (...args: Args) => void {
  if (!callback) return () => {};
  return (...args) => {
    try {
      const result = callback(...args);
      if (result instanceof Promise) result.catch((thrown: unknown) => onThrown(asError(thrown)));
    } catch (thrown) {
      onThrown(asError(thrown));
    }
  };
}

function warn({ stack }: Error): void {
  process.emitWarning(`a listener threw ${stack}`, 'GatewayListenerWarning');
}
