import { expect, jest } from '@jest/globals';

/** A listener that throws. When it goes out of scope, the process must have been warned of it. */
export class BrokenListener implements Disposable {
  readonly #warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});

  readonly listen = (): never => {
    throw new Error('this listener is broken');
  };

  [Symbol.dispose](): void {
    const warnings = this.#warn.mock.calls.map(([warning]) => String(warning));
    this.#warn.mockRestore();
    expect(warnings).not.toEqual([]);
    for (const warning of warnings) expect(warning).toContain('this listener is broken');
  }
}
