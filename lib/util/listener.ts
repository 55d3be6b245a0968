import { asError } from './asError.ts';

/**
 * Wraps a caller's callback so that it cannot break a request: what it throws, or what its promise rejects with, goes to
 * `onThrown`, which by default emits a process warning. Without a callback the returned function does nothing.
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
