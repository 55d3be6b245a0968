/**
 * The callback of a caller, made harmless for whoever calls it: what it throws becomes a process warning and
 * breaks no request. Nothing at all when there is no callback.
 */
export function listener<Args extends readonly unknown[]>(
  callback: ((...args: Args) => void) | undefined,
): (...args: Args) => void {
  if (!callback) return () => {};
  return (...args) => {
    try {
      callback(...args);
    } catch (error) {
      const what = error instanceof Error ? error.stack : String(error);
      process.emitWarning(`a listener threw ${what}`, 'GatewayListenerWarning');
    }
  };
}
