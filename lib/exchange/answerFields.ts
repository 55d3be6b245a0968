import type { ServerResponse } from 'node:http';

/**
 * Adds a field to the answer on `res`, whoever writes it; its value is made when its head is. Appended, so that the
 * service may have a word to say, too.
 *
 * `res.setHeader` would do, but one field that is set makes Node copy, check and look up all others of the answer one
 * by one: that costs more than the rest of the head.
 */
export function addAnswerField(res: ServerResponse, name: string, makeValue: () => string): void {
  const { writeHead } = res;
  res.writeHead = function writeHeadWithField(this: ServerResponse, ...args: unknown[]) {
    const given = args.at(-1);
    if (Array.isArray(given)) args[args.length - 1] = [...given, name, makeValue()];
    else this.appendHeader(name, makeValue());
    return Reflect.apply(writeHead, this, args);
  } as typeof writeHead;
}
