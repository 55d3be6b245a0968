/** A promise with its ends in the test's hand: the gate that a test opens when it is ready. */
export type Deferred<T = void> = PromiseWithResolvers<T>;

export function deferred<T = void>(): Deferred<T> {
  return Promise.withResolvers<T>();
}
