/** What the service behind everything answers: a list of transactions of exactly 1 KiB, or 1 MiB of them. */
export const KIB = transactions(1024);
export const MIB = Buffer.alloc(1024 * 1024, KIB);

function transactions(bytes: number): string {
  const item = '{"id":1000,"amount":12.5,"currency":"MDL"}';
  const count = Math.floor((bytes - '{"transactions":[]}'.length) / (item.length + 1));
  const text = `{"transactions":[${Array.from({ length: count }, () => item).join()}]`;
  return `${text.padEnd(bytes - 1)}}`;
}
